"""No impairment at all: the control experiment, in which a lab must find no effect."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self


class Untouched:
    """Leaves the link as it is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def sockets(self) -> Sequence[int]:
        """None."""
        return ()

    def serve(self) -> float | None:
        """Nothing."""
        return None

    def statistics(self) -> Mapping[str, object]:
        """Nothing."""
        return {}
