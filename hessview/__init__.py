"""See the Hessian of a sharded model live, from a notebook.

Names are loaded on first use, so that importing hessview loads neither torch nor
a plotting library.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "Objective",
    "Run",
    "Session",
    "TrainerCallback",
    "attach",
    "coupling_summary",
    "dashboard",
    "launch",
    "local",
    "open_runs",
    "plan",
    "report",
    "ritz",
    "serve",
    "spectral_density",
    "summary",
    "training",
    "views",
    "watch",
]

_HOMES = {
    "Objective": "hessview.job.objective",
    "Session": "hessview.session.session",
    "Run": "hessview.session.run",
    "TrainerCallback": "hessview.hooks.trainer",
    "attach": "hessview.session.attach",
    "coupling_summary": "hessview.data.coupling",
    "dashboard": "hessview.page.dashboard",
    "launch": "hessview.session.launch",
    "local": "hessview.session.local",
    "open_runs": "hessview.data.store",
    "plan": "hessview.planning",
    "report": "hessview.page.report",
    "ritz": "hessview.data.ritz",
    "serve": "hessview.job.serve",
    "spectral_density": "hessview.data.spectral_density",
    "summary": "hessview.data.summary",
    "training": "hessview.data.training",
    "watch": "hessview.session.watch",
    "views": "",  # a package, not a name in one
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hessview' has no attribute {name!r}")
    if not _HOMES[name]:
        return importlib.import_module(f"hessview.{name}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*_HOMES, *(name for name in globals() if name.startswith("__"))})
