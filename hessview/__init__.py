"""See the Hessian of a sharded model live, from a notebook.

What is public stands in `__all__`; all else is an inner room, which may change with any version.
Names are loaded on first use, so that importing hessview loads neither torch nor a plotting
library.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from hessview._version import __version__ as __version__

if TYPE_CHECKING:  # what editors and type checkers see; a test holds it against _HOMES
    from hessview import errors as errors
    from hessview import operators as operators
    from hessview import views as views
    from hessview.analysis.coupling import coupling_summary as coupling_summary
    from hessview.analysis.density import spectral_density as spectral_density
    from hessview.analysis.ritz import ritz as ritz
    from hessview.analysis.store import open_runs as open_runs
    from hessview.analysis.store import to_netcdf as to_netcdf
    from hessview.analysis.store import to_zarr as to_zarr
    from hessview.analysis.summary import summary as summary
    from hessview.analysis.training import join_training as join_training
    from hessview.analysis.training import training as training
    from hessview.hooks.trainer import TrainerCallback as TrainerCallback
    from hessview.job.leaving import leave as leave
    from hessview.job.linear_operator import operator as operator
    from hessview.job.objective import Objective as Objective
    from hessview.job.serve import serve as serve
    from hessview.page.dashboard import dashboard as dashboard
    from hessview.page.report import report as report
    from hessview.planning import plan as plan
    from hessview.session.connect import attach as attach
    from hessview.session.connect import local as local
    from hessview.session.connect import watch as watch
    from hessview.session.launch import launch as launch
    from hessview.session.run import Run as Run
    from hessview.session.session import Session as Session

__all__ = [
    "Objective",
    "Run",
    "Session",
    "TrainerCallback",
    "attach",
    "coupling_summary",
    "dashboard",
    "errors",
    "join_training",
    "launch",
    "leave",
    "local",
    "open_runs",
    "operator",
    "operators",
    "plan",
    "report",
    "ritz",
    "serve",
    "spectral_density",
    "summary",
    "to_netcdf",
    "to_zarr",
    "training",
    "views",
    "watch",
]

_HOMES = {
    "Objective": "hessview.job.objective",
    "Session": "hessview.session.session",
    "Run": "hessview.session.run",
    "TrainerCallback": "hessview.hooks.trainer",
    "attach": "hessview.session.connect",
    "coupling_summary": "hessview.analysis.coupling",
    "dashboard": "hessview.page.dashboard",
    "errors": "",  # a module, not a name in one
    "join_training": "hessview.analysis.training",
    "launch": "hessview.session.launch",
    "leave": "hessview.job.leaving",
    "local": "hessview.session.connect",
    "open_runs": "hessview.analysis.store",
    "operator": "hessview.job.linear_operator",
    "operators": "",
    "plan": "hessview.planning",
    "report": "hessview.page.report",
    "ritz": "hessview.analysis.ritz",
    "serve": "hessview.job.serve",
    "spectral_density": "hessview.analysis.density",
    "summary": "hessview.analysis.summary",
    "to_netcdf": "hessview.analysis.store",
    "to_zarr": "hessview.analysis.store",
    "training": "hessview.analysis.training",
    "watch": "hessview.session.connect",
    "views": "",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hessview' has no attribute {name!r}")
    if not _HOMES[name]:
        return importlib.import_module(f"hessview.{name}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*_HOMES, *(name for name in globals() if name.startswith("__"))})


if "xarray" in sys.modules:  # then it costs nothing that files it opens have ds.hessview at once
    importlib.import_module("hessview.record.provenance")
