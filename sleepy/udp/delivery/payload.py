"""A packet's payload while it is being filled, and who wants to know what becomes of it.

A packet is acked or lost as a whole; what mattered in it belongs to several senders. So each notes, with what it puts
in, a *token*: itself, and what it calls the thing. The connection keeps the tokens by the packet's sequence and hands
each back when the packet's fate is known. Tokens may be handed back in any order, and lost first and acked later.
"""

from typing import Protocol, TypeAlias


class Carrier(Protocol):
    """What put chunks in a packet, and wants to hear what became of it."""

    def on_acked(self, what: int, first: int, count: int, /) -> None:
        """The packet arrived."""

    def on_lost(self, what: int, first: int, count: int, /) -> None:
        """The packet did not arrive, as far as one knows; `on_acked` may come yet."""


Token: TypeAlias = tuple[Carrier, int, int, int]  # who, and what it calls it: a kind of chunk, the first, how many


class PacketBuilder:
    """A payload being filled.

    Attributes:
        parts: The bytes so far.
        room: How many bytes more there is room for.
        tokens: What is in it, for when its fate is known.
    """

    __slots__ = ("parts", "room", "tokens")

    def __init__(self, room: int) -> None:
        self.parts: list[bytes] = []
        self.room = room
        self.tokens: list[Token] = []

    def add(self, chunk: bytes, token: Token | None = None) -> bool:
        """Put in a chunk if it fits; says whether it did."""
        if len(chunk) > self.room:
            return False
        self.room -= len(chunk)
        self.parts.append(chunk)
        if token is not None:
            self.tokens.append(token)
        return True
