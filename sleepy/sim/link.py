"""What becomes of a packet on a bad link.

A link is a queue, then a transmitter, then a wire. The queue is finite and drops what does not fit; the transmitter
needs time for every bit; the wire takes time to cross, and on it packets are lost, damaged, doubled, or overtaken.
Everything a network does to its users comes from these few figures, one direction at a time.

Rules, in the order in which they judge a packet:

1. Larger than ``mtu``: lost. The link does not take packets apart; that is for those who send them.
2. Would wait, and no room: lost. Those waiting (the one being sent counts with what is left of it) never exceed
   ``queue`` bytes. A packet that finds the transmitter idle always passes.
3. The transmitter takes ``size`` * 8 / ``rate`` seconds, one packet after the other. What the wire loses was
   transmitted all the same, so losses do not make a link faster.
4. On the wire, lost are: the packets on the ``drop`` list; those in a bad spell, with the spell's own loss
   (``burst``); outside of spells, the share ``loss``, each packet on its own.
5. What is not lost arrives after ``delay`` +- ``jitter``, drawn evenly. Jitter alone does not reorder: a late packet
   holds up those behind it, as in any queue. With ``ordered=False`` each packet runs on its own, and overtakes.
6. The share ``reorder`` skips the delay and so overtakes whatever is under way (netem's meaning of the word).
7. The share ``duplicate`` arrives twice, the copy with a delay of its own; the share ``corrupt`` arrives damaged. Who
   carries the bytes must do the damage.

Bad spells are Gilbert's and Elliott's: a two-state chain that moves once per packet. Loss in real networks comes so,
because what fills a queue or fades a radio lasts longer than one packet.

Every kind of chance draws from a source of its own, made from the seed. So the same packets are lost if only the delay
is changed, and two experiments differ in nothing but what was varied.

The module decides and does nothing: no clock, no bytes. Callers bring ``now`` in seconds from any monotonic clock.

Sources: E. N. Gilbert, "Capacity of a burst-noise channel" (1960); E. O. Elliott (1963); tc-netem(8).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

SMALLEST_MTU: Final = 68  # RFC 791, section 3.2: every internet module must forward 68 bytes unfragmented


class Arrival(NamedTuple):
    """One packet at the far end.

    Attributes:
        time: When its last bit arrives, in seconds.
        corrupt: Whether it arrives damaged.
    """

    time: float
    corrupt: bool


class Burst(NamedTuple):
    """Bad spells on a link (rule 4).

    Attributes:
        share: The share of packets that meet a bad spell.
        length: How many packets a spell lasts on average, at least 1.
        loss: The share of packets lost within a spell.
    """

    share: float
    length: float
    loss: float = 1.0

    @property
    def leave(self) -> float:
        """The chance that a spell ends with the next packet."""
        return 1 / self.length

    @property
    def enter(self) -> float:
        """The chance that a spell begins with the next packet; makes `share` of all packets meet one."""
        return self.share / (1 - self.share) * self.leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The figures of a link, one way.

    Args:
        delay: From the packet's last bit sent to its last bit arrived, in seconds.
        jitter: How far the delay strays to either side, in seconds; at most ``delay``.
        ordered: Whether packets keep their order in spite of jitter.
        rate: What the transmitter puts out, in bits per second; ``None``: no limit.
        queue: How many bytes may wait for the transmitter; ``None``: no limit.
        loss: The share of packets lost, each on its own.
        burst: Bad spells in which packets are lost together; a plain sequence of its figures will do.
        duplicate: The share of packets that arrive twice.
        reorder: The share of packets that skip the delay.
        corrupt: The share of packets that arrive damaged.
        mtu: The largest packet, in bytes; ``None``: no limit.
        drop: Packets to be lost for certain, by their index among the counted ones, from 1.

    Raises:
        ValueError: A figure is impossible; the message says what would be possible.
    """

    delay: float = 0.0
    jitter: float = 0.0
    ordered: bool = True
    rate: float | None = None
    queue: int | None = None
    loss: float = 0.0
    burst: Burst | None = None
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    mtu: int | None = None
    drop: Sequence[int] = ()

    def __post_init__(self) -> None:
        for name in ("delay", "jitter"):
            _check(name, getattr(self, name), "is a time in seconds, 0 or more", least=0)
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            _check(name, getattr(self, name), "is a share from 0 to 1 (0.02 is 2 %)", least=0, most=1)
        if self.jitter > self.delay:
            raise ValueError(
                f"jitter {self.jitter} s exceeds delay {self.delay} s, and nothing arrives before it is sent: "
                "raise delay or lower jitter"
            )
        if self.reorder and not self.delay:
            raise ValueError(f"reorder {self.reorder} has no delay to skip: give the link a delay")
        if self.rate is not None:
            _check("rate", self.rate, "is in bits per second, more than 0 (1e6 is a megabit)", least=math.ulp(0.0))
        if self.queue is not None:
            _check("queue", self.queue, "is in whole bytes, 0 or more", least=0, whole=True)
            if self.rate is None:
                raise ValueError(f"queue {self.queue} needs a rate: without one nothing ever waits")
        if self.mtu is not None:
            _check("mtu", self.mtu, f"is in whole bytes, {SMALLEST_MTU} or more", least=SMALLEST_MTU, whole=True)
        if self.burst is not None:
            object.__setattr__(self, "burst", _burst(self.burst))  # frozen: a scenario file brings a list
        object.__setattr__(self, "drop", _drop_list(self.drop))

    def start(self, seed: int | str) -> "Carrier":
        """Put the link to work: the same seed, sizes and times give the same fates."""
        return Carrier(self, seed)


class Carrier:
    """A link at work: decides each packet's fate, in the order they are sent.

    Attributes:
        link: The figures in force; may be exchanged at any time. What is under way is not affected; the queue, the
            count and the sources of chance go on.
        packets: How many packets were carried, lost ones included.
        counted: How many of them counted for the drop list.
        lost: How many were lost, by cause: ``mtu``, ``queue``, ``drop``, ``burst``, ``loss``.
        cause: The cause of the last loss.
    """

    __slots__ = ("_bad_spell", "_chances", "_drop", "_free", "_last", "_link", "cause", "counted", "lost", "packets")

    def __init__(self, link: Link, seed: int | str) -> None:
        self.link = link
        self.packets = 0
        self.counted = 0
        self.lost: Counter[str] = Counter()
        self.cause = ""
        self._chances = _Chances(seed)
        self._bad_spell = False
        self._free = -math.inf  # when the transmitter will be idle
        self._last = -math.inf  # the latest arrival in order

    @property
    def link(self) -> Link:
        """The figures in force."""
        return self._link

    @link.setter
    def link(self, link: Link) -> None:
        self._link = link
        self._drop = frozenset(link.drop)

    @property
    def unreached(self) -> list[int]:
        """The indexes of the drop list that no packet has reached."""
        return [index for index in self._link.drop if index > self.counted]

    # --8<-- [start:carry]
    def carry(self, size: int, now: float, counted: bool = True) -> Sequence[Arrival]:
        """Decide the fate of a packet.

        Args:
            size: Its size in bytes.
            now: The time at which it is handed to the link, in seconds; never less than before.
            counted: Whether it counts for the drop list.

        Returns:
            Its arrivals: none if it is lost, two if it is duplicated.
        """
        link = self._link
        self.packets += 1
        self.counted += counted
        if link.mtu is not None and size > link.mtu:  # rule 1
            return self._lose("mtu")
        sent = now
        if link.rate is not None:
            idle = max(now, self._free)
            waiting = round((idle - now) * link.rate / 8)
            if waiting and link.queue is not None and waiting + size > link.queue:  # rule 2
                return self._lose("queue")
            sent = self._free = idle + size * 8 / link.rate  # rule 3
        if counted and self.counted in self._drop:  # rule 4
            return self._lose("drop")
        if link.burst is not None and self._in_bad_spell(link.burst):
            if self._chances["burst"].random() < link.burst.loss:
                return self._lose("burst")
        elif link.loss and self._chances["loss"].random() < link.loss:
            return self._lose("loss")
        first = self._arrive(sent)
        if link.duplicate and self._chances["duplicate"].random() < link.duplicate:  # rule 7
            return (first, self._arrive(sent))
        return (first,)

    # --8<-- [end:carry]

    def _lose(self, cause: str) -> tuple[()]:
        self.lost[cause] += 1
        self.cause = cause
        return ()

    def _in_bad_spell(self, burst: Burst) -> bool:
        """Move the chain one packet on."""
        chance = self._chances["burst"].random()
        self._bad_spell = chance >= burst.leave if self._bad_spell else chance < burst.enter
        return self._bad_spell

    def _arrive(self, sent: float) -> Arrival:
        link = self._link
        if link.reorder and self._chances["reorder"].random() < link.reorder:  # rule 6
            time = sent
        else:
            time = sent + link.delay
            if link.jitter:
                time += link.jitter * (2 * self._chances["jitter"].random() - 1)
            if link.ordered:  # rule 5
                time = self._last = max(time, self._last)
        return Arrival(time, bool(link.corrupt) and self._chances["corrupt"].random() < link.corrupt)


class _Chances(dict[str, Random]):
    """The sources of chance, one for each kind, made when first asked for. A text as seed means the same everywhere."""

    def __init__(self, seed: int | str) -> None:
        super().__init__()
        self._seed = seed

    def __missing__(self, kind: str) -> Random:
        self[kind] = Random(f"{self._seed} {kind}")
        return self[kind]


def _check(name: str, value: Any, meaning: str, *, least: float, most: float = math.inf, whole: bool = False) -> None:
    """Refuse what is no number, or none in the range."""
    number = isinstance(value, int) if whole else isinstance(value, int | float)
    if not number or isinstance(value, bool) or not least <= value <= most or value == math.inf:
        raise ValueError(f"{name} is {value!r}, but it {meaning}")


def _burst(figures: Iterable[float]) -> Burst:
    try:
        burst = Burst(*figures)
    except TypeError:
        raise ValueError(f"burst is {figures!r}, but it is (share, length) or (share, length, loss)") from None
    _check("burst share", burst.share, "is a share from 0 to 0.99 (0.02 is 2 %)", least=0, most=0.99)
    _check("burst length", burst.length, "is a mean number of packets, 1 or more", least=1)
    _check("burst loss", burst.loss, "is a share from 0 to 1", least=0, most=1)
    if burst.enter > 1:
        raise ValueError(
            f"bad spells of {burst.length} packets cannot make up {burst.share} of all packets, since at least one "
            f"good packet parts them: make them at least {burst.share / (1 - burst.share):.3g} packets long"
        )
    return burst


def _drop_list(indexes: Iterable[object]) -> tuple[int, ...]:
    try:
        listed = set(indexes)
    except TypeError:
        listed = {None}
    numbers = {index for index in listed if type(index) is int and index >= 1}
    if numbers != listed:
        raise ValueError(f"drop is {indexes!r}, but it lists packets by their index, and the first packet is 1")
    return tuple(sorted(numbers))
