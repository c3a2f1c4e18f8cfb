"""The study of bounds (tests/benchmarks/bounds.py) as a module: models, truths, measurements."""

import importlib.util

from helpers.folders import TESTS

_spec = importlib.util.spec_from_file_location("study_of_bounds", TESTS / "benchmarks/bounds.py")
study = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(study)
