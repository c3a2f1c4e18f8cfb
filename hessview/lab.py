"""JupyterLab at the notebooks that come with hessview."""

import os
import pathlib
import shutil
import sys
import urllib.parse
from collections.abc import Sequence
from typing import NoReturn

from hessview.errors import InputError
from hessview.session.launch import job_environment

_HERE = pathlib.Path(__file__).parent
_SHIPPED = (_HERE / "_notebooks", _HERE.parent / "notebooks")  # a wheel's, or the repository's


def lab(notebook: pathlib.Path | None = None, options: Sequence[str] = ()) -> NoReturn:
    """Become JupyterLab on 127.0.0.1, opened at a notebook; returns only if it cannot start.

    Without a notebook, those of hessview are copied into `hessview-notebooks` in this folder
    (files that are there already stay as they are) and the first is opened.

    Args:
        notebook: The notebook to open.
        options: Further arguments of `jupyter lab`, such as `--no-browser`.

    Raises:
        InputError: There is no such notebook.
    """
    if notebook is None:
        notebook = _copied(pathlib.Path("hessview-notebooks"))
    elif not notebook.is_file():
        raise InputError(f"there is no notebook {notebook}; pass the path of an .ipynb file.")
    # A notebook's terminal and `!` commands find torchrun and hessview there.
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    sys.stdout.flush()
    os.execve(
        sys.executable,
        [
            *(sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"),
            f"--ServerApp.root_dir={notebook.resolve().parent}",
            f"--LabApp.default_url=/lab/tree/{urllib.parse.quote(notebook.name)}",
            *options,
        ],
        {**os.environ, **job_environment(), "PATH": path},
    )


def _copied(folder: pathlib.Path) -> pathlib.Path:
    """Copy what is not in the folder yet; gives the first notebook."""
    shipped = next(place for place in _SHIPPED if place.is_dir())
    names = sorted(path.name for path in shipped.glob("*.ipynb"))
    folder.mkdir(exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            shutil.copyfile(shipped / name, folder / name)
    return folder / names[0]
