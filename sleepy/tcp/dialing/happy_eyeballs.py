"""Several addresses, one connection: who connects first (RFC 8305, *Happy Eyeballs*).

A name often stands for addresses of two families, and often one family does not work: the packets go nowhere and nothing
says so. Trying one address after the other then costs a full timeout, and trying all at once costs every server a
connection for each that is used. So attempts are *staggered*: each address gets a head start of 250 ms, which is longer than
most round trips, and then the next is tried beside it. The first to connect wins, and the others are given up.

The order decides who gets the head start:

1. Families alternate, beginning with that of the first address: the system has sorted them (RFC 6724) and knows whether
   this machine has IPv6 at all. After one head start the other family has its chance, however many addresses there are.
2. Within a family every dial begins with the next address, so that a pool of connections spreads over the machines
   behind a name. (RFC 8305 keeps the system's order here, which is a browser's need: it opens one connection.)
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from itertools import zip_longest
from typing import Any, Final, TypeVar

ATTEMPT_DELAY: Final = 0.25  # seconds; RFC 8305, section 5: "Connection Attempt Delay"

T = TypeVar("T")


def interleave(addresses: Iterable[str], turn: int) -> list[str]:
    """Put IP addresses in the order in which they are to be tried.

    Args:
        addresses: As the system gave them.
        turn: How many dials went before this one (rule 2).
    """
    families: dict[bool, list[str]] = {}
    for address in addresses:
        families.setdefault(":" in address, []).append(address)
    turned = [family[turn % len(family) :] + family[: turn % len(family)] for family in families.values()]
    return [address for abreast in zip_longest(*turned) for address in abreast if address is not None]


# --8<-- [start:race]
async def race(attempts: Iterable[Callable[[], Coroutine[Any, Any, T]]], discard: Callable[[T], object]) -> T:
    """Start attempts, each a moment after the last or as soon as one has failed; give what the first to succeed gives.

    Args:
        attempts: At least one, in order. They fail with an `OSError`.
        discard: Gets what those gave that came too late.

    Raises:
        OSError: All have failed. If there was but one its own error.
    """
    waiting = deque(attempts)
    started: list[asyncio.Task[T]] = []
    winner: asyncio.Task[T] | None = None
    running: set[asyncio.Task[T]] = set()
    try:
        while waiting or running:
            if waiting:
                started.append(asyncio.create_task(waiting.popleft()()))
                running.add(started[-1])
            patience = ATTEMPT_DELAY if waiting else None
            ended, running = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in started if task in ended and not _error(task)), None)
            if winner is not None:
                return winner.result()
        raise _all_failed([error for task in started if (error := _error(task))])
    finally:
        losers = [task for task in started if task is not winner]
        for task in losers:
            task.cancel()
            task.add_done_callback(
                lambda task: None if task.cancelled() or task.exception() else discard(task.result())
            )
        if losers and winner is None:  # else nothing may come between the winner and who waits for it
            await asyncio.wait(losers)


# --8<-- [end:race]


def _error(task: asyncio.Task[Any]) -> OSError | None:
    """How an attempt that has ended failed; what is no `OSError` is nobody's to handle, and raised."""
    error = task.exception()
    if error is not None and not isinstance(error, OSError):
        raise error
    return error


def _all_failed(errors: list[OSError]) -> OSError:
    if len(errors) == 1:
        return errors[0]
    failed = ConnectionError(", ".join(str(error) for error in errors))
    failed.__cause__ = errors[-1]
    return failed
