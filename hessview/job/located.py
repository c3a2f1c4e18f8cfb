"""Saying at which place of a measurement it failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from hessview.errors import ObjectiveError


@contextmanager
def located(**place: int | str) -> Iterator[None]:
    """Put the place before the text of an error.

    Args:
        **place: Coordinates of the reading that is being made, such as probe=0, step=3.

    Raises:
        ObjectiveError: One was raised inside.
    """
    try:
        yield
    except ObjectiveError as error:
        where = ", ".join(f"{name} {value}" for name, value in place.items())
        raise ObjectiveError(f"{where}: {error}") from error
