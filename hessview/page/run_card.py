"""A run in a few lines: how far it is, and what it has found."""

from typing import Any

import xarray as xr

from hessview.page.module import card_page
from hessview.page.state import page_state
from hessview.page.widget import View


class RunCard(View):
    """A view without panels: progress, time left, headline numbers with uncertainties, Cancel.

    It weighs a hundredth of a view with them, and folds in a fraction of the time.

    Args:
        runs: As for `View`.
    """

    source = card_page()

    def _page(self, datasets: list[xr.Dataset]) -> dict[str, Any]:
        return page_state(datasets, panels=False)
