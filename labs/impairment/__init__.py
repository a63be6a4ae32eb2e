"""What bends the link: netem where the kernel has it, a queue in user space where it has not, or nothing.

All are set up on the router, read the same `Link` figures, and are driven by the same loop (see `labs.router`).
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self


class Impairment(Protocol):
    """A bent link, in force as long as its context lasts."""

    def __enter__(self) -> Self:
        """Set it up."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo it."""
        ...

    def sockets(self) -> Sequence[int]:
        """The file descriptors to be watched; when one is readable, it is time to `serve`."""
        ...

    def serve(self) -> float | None:
        """Do what is to be done now.

        Returns:
            When to be called again at the latest, in seconds since the epoch; None if only `sockets` matter.
        """
        ...

    def statistics(self) -> Mapping[str, object]:
        """What it did, for the record: JSON values by name."""
        ...
