"""The headline numbers of a run, each with what it is worth."""

from collections.abc import Callable

import xarray as xr

from hessview.page.tiles.accuracy import accuracy_tiles
from hessview.page.tiles.benchmark import benchmark_tiles
from hessview.page.tiles.coupling import coupling_tiles
from hessview.page.tiles.density import density_tiles
from hessview.page.tiles.sweep import sweep_tiles
from hessview.page.tiles.tile import Tile

TILES: dict[str, Callable[[xr.Dataset], list[Tile]]] = {
    "accuracy": accuracy_tiles,
    "benchmark": benchmark_tiles,
    "coupling": coupling_tiles,
    "density": density_tiles,
    "epsilon_sweep": sweep_tiles,
    "fraction_sweep": sweep_tiles,
}
"""Tiles of each command's dataset, also of one with nothing measured yet."""

__all__ = ["TILES", "Tile"]
