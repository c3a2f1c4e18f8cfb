"""An unpickler that makes nothing but the few objects which calls between kernel and job need."""

import pickle
from collections.abc import Mapping
from typing import Any, ClassVar


class AllowlistUnpickler(pickle.Unpickler):
    """Refuses every global that is not on its list, so that no pickle runs foreign code.

    Subclasses set `allowed`.
    """

    allowed: ClassVar[Mapping[tuple[str, str], Any]] = {}
    """Objects by module and qualified name."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of this name.

        Raises:
            pickle.UnpicklingError: It is not on the list.
        """
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"{module}.{name} is not allowed between kernel and job"
            ) from None
