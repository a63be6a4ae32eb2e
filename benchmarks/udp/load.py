"""What the two ends say to each other, whoever they are.

*Echo*: `WINDOW` messages of `MESSAGE`'s size are under way, each is sent back, and for each that comes back another one is
sent. *Bulk*: a stream of so many bytes in one direction; it is over when the other side has read its end, and says so.
"""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

HOST = "127.0.0.1"
WINDOW = 256  # messages
MESSAGE = b"e" * 100  # reliable and ordered
PIECE = bytes(1 << 16)  # of bulk


class Client(Protocol):
    """What takes turns."""

    def echo(self, count: int) -> None:
        """So many messages there and back; at least `WINDOW`."""

    def bulk(self, pieces: int) -> None:
        """So many pieces, until the peer has them all."""


def loop_factory(uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    if not uvloop:
        return asyncio.new_event_loop
    factory: Any = import_module("uvloop").new_event_loop
    return factory
