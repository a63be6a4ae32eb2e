"""The root of every error that sleepy raises on its own account."""

from collections.abc import Callable
from typing import Any


class SleepyError(Exception):
    """Something went wrong that sleepy has a name for.

    Misuse (an impossible option, a call on a closed client) raises the built-in ``ValueError`` or ``RuntimeError``
    instead: that is for the programmer to mend, not for the program to handle.

    It can be pickled, as a pool of processes does with what its workers raise, whatever arguments its class takes.
    """

    def __reduce__(self) -> tuple[Callable[..., "SleepyError"], tuple[Any, ...]]:
        # An exception is usually made anew from its message alone: a class that takes something else would fail, and a
        # pool that waits for the error would wait for ever.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[SleepyError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SleepyError:
    """An error like one in another process."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error
