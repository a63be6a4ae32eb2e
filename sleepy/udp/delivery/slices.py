"""Which parts of a large thing are to be sent, and which have come.

What is larger than a packet is cut, and its parts get lost one by one. The parts are counted in units of a few bytes,
and a set of units is one whole number, in which unit ``n`` is bit ``n``. Python's numbers have as many bits as one
wants, and so "all that was lost, but for what arrived after all" is ``lost & ~arrived``, at the speed of the machine.

Rules:

1. A unit is to be sent, or under way, or acked. Lost means to be sent again; acked is for ever, also if it comes
   late.
2. How much of it goes into one packet depends on the room that the packet has, so a part may be sent again in other
   pieces.
3. The earliest units go first, which is what a reader who wants them in order waits for.
"""

from sleepy.udp.delivery.chunks import UNIT

LEAST_PIECE = 256  # bytes; smaller ones, unless they are all there is, cost more in headers than they use of the room


# --8<-- [start:span]
def span(first: int, count: int) -> int:
    """The set of ``count`` units from ``first`` on."""
    return ((1 << count) - 1) << first


def units(size: int) -> int:
    """How many units so many bytes need."""
    return -(-size // UNIT)


def first_run(todo: int, most: int) -> tuple[int, int]:
    """The first unit of a set that is not empty, and how many in a row are in it from there on, at most ``most``."""
    first = (todo & -todo).bit_length() - 1
    rest = todo >> first & ((1 << most) - 1)
    return first, (~rest & (rest + 1)).bit_length() - 1


# --8<-- [end:span]


class Outstanding:
    """What a sender still has to see acked.

    Attributes:
        todo: Units to be sent.
        open: Units that are not acked.
    """

    __slots__ = ("open", "todo")

    def __init__(self, count: int) -> None:
        self.todo = self.open = (1 << count) - 1

    def on_acked(self, first: int, count: int) -> None:
        """Units arrived (rule 1)."""
        self.open &= ~span(first, count)
        self.todo &= self.open

    def on_lost(self, first: int, count: int) -> None:
        """Units did not arrive; those of them that did otherwise are not sent again (rule 1)."""
        self.todo |= span(first, count) & self.open

    def take(self, room: int, size: int) -> tuple[int, int]:
        """Take what to send next in so many bytes, of a thing of ``size`` bytes (rules 2 and 3).

        Returns:
            First unit and number of units; 0 units if the room is too small to be worth it.
        """
        first, count = first_run(self.todo, max(room, 0) // UNIT + 1)
        bytes_left = min(count * UNIT, size - first * UNIT)
        if bytes_left > room:
            count = max(room, 0) // UNIT
            if count * UNIT < LEAST_PIECE:
                return first, 0
        self.todo &= ~span(first, count)
        return first, count


class Assembly:
    """A message whose parts are coming.

    Attributes:
        missing: The units that have not come.
        size: Of the whole, in bytes.
    """

    __slots__ = ("_buffer", "missing", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.missing = (1 << units(size)) - 1
        self._buffer = bytearray(size)

    def add(self, unit: int, data: bytes) -> bytes | None:
        """Store a part; the whole, if nothing is missing any more."""
        start = unit * UNIT
        self._buffer[start : start + len(data)] = data
        self.missing &= ~span(unit, units(len(data)))
        return None if self.missing else bytes(self._buffer)
