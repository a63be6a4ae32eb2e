"""Whose turn is it to put something in the packet?

A packet has room for little, and many want to be in it. If whoever came first filled it, a large file would keep out
everything else; if everybody had one chunk in turn, whoever has large chunks would get most of the room.

Rules:

1. Who has a better priority goes first, always. Nothing is put in a packet before the packet is about to leave: so
   what is urgent waits for the packet that is being sent, never for what else is queued.
2. Of equals, each in turn may use `QUANTUM` bytes. Who uses more, as the last chunk does not quite fit, has the less
   next time (*surplus* round robin): in the long run all use the same, and nobody has to be asked how large the next
   chunk is.
3. Who has nothing to send saves nothing up.
4. Whoever's turn the full packet cut short goes on in the next one.
5. What is left of the packet then, those may use who have something smaller; it counts as used of their next turns.
6. Who is alone needs no turns.

Source: Shreedhar and Varghese, "Efficient Fair Queuing using Deficit Round Robin", 1995; the surplus: Adiseshu,
Parulkar and Varghese, 1996.
"""

from typing import Final, Protocol

from sleepy.udp.delivery.payload import PacketBuilder

QUANTUM: Final = 512  # bytes


class Source(Protocol):
    """Somebody who puts chunks in packets."""

    def has_data(self) -> bool:
        """Whether there is something that may be sent now."""
        ...

    def fill(self, packet: PacketBuilder, budget: int) -> None:
        """Put in chunks until ``budget`` bytes are used (the last may use more), or nothing else fits."""


class _Level:
    """The sources of one priority."""

    __slots__ = ("deficits", "priority", "turns")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.turns: tuple[Source, ...] = ()  # in the order of their turns
        self.deficits: dict[Source, int] = {}  # what each may use yet of its turn


class Scheduler:
    """Fills packets from sources by priority and turn."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: tuple[_Level, ...] = ()  # the best priority first

    def add(self, source: Source, priority: int) -> None:
        """Let a source take part; priority 0 goes before 1 (rule 1)."""
        level = next((level for level in self._levels if level.priority == priority), None)
        if level is None:
            level = _Level(priority)
            self._levels = tuple(sorted((*self._levels, level), key=lambda level: level.priority))
        level.turns += (source,)

    def remove(self, source: Source) -> None:
        """Let a source take part no longer."""
        for level in self._levels:
            level.turns = tuple(other for other in level.turns if other is not source)
            level.deficits.pop(source, None)
        self._levels = tuple(level for level in self._levels if level.turns)

    def has_data(self) -> bool:
        """Whether anybody has something to send."""
        return any(source.has_data() for level in self._levels for source in level.turns)

    # --8<-- [start:fill]
    def fill(self, packet: PacketBuilder) -> None:
        """Fill a packet."""
        for level in self._levels:
            willing = [source for source in level.turns if source.has_data()]
            if len(willing) == 1:
                willing[0].fill(packet, packet.room)  # rule 6
            elif willing:
                self._take_turns(packet, level, willing)

    @staticmethod
    def _take_turns(packet: PacketBuilder, level: _Level, willing: list[Source]) -> None:
        deficits, turns = level.deficits, list(level.turns)
        for source in turns:
            if source not in willing:
                deficits[source] = 0  # rule 3
        cut_short = False
        while willing and packet.room > 0:
            source = willing.pop(0)
            budget = deficits.get(source, 0)
            if budget <= 0 and not cut_short:
                budget += QUANTUM  # a new turn
            allowance = packet.room if cut_short else budget  # rule 5
            before = packet.room
            if allowance > 0:
                source.fill(packet, allowance)
            used = before - packet.room
            deficits[source] = budget - used
            if not source.has_data():
                deficits[source] = 0  # rule 3
            elif used < allowance:
                cut_short = True  # the rest does not fit; rule 4
                continue
            else:
                willing.append(source)
            turns.remove(source)
            turns.append(source)
        level.turns = tuple(turns)

    # --8<-- [end:fill]
