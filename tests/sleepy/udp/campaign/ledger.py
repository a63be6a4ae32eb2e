"""What was said in a world, and the judge of what was heard.

One side of one connection is a *voice*. Each message names its voice, its channel and its number, so that whoever hears it
can trace it back. Rules:

1. What is heard was said, byte for byte, by a voice of the other host.
2. A connection has two voices, which hear each other and nobody else, however often either side was started anew.
3. On a reliable ordered channel messages are heard in the order of saying, none twice; of what is missing in between, each
   had a lifetime. On a reliable unordered channel none is heard twice. On an unreliable one neither; on a sequenced one what
   is heard is always newer than what was heard before.
4. If a connection lives until the world is at peace, all that was said on reliable channels is heard, but for what had
   a lifetime. So it is if it was closed and its drain did not run out.
5. What had a lifetime does not leave after it: on unreliable channels it is not heard later than its lifetime and the
   longest way.
6. A stream brings the bytes that were written, from the first on; its end comes only after the last.
7. Nothing ends but with a documented error, and that error is true: somebody closed, or was started anew, or was not to be
   heard for long.
8. No buffer exceeds its limit (`tests.sleepy.udp.campaign.limits`); nothing is left when a node is closed.
9. Every wait ends in time, and so does the world; who has nothing to say falls silent.
"""

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, NamedTuple

from sleepy.udp.delivery.channels.config import Delivery

HEAD: Final = struct.Struct(">IBI")  # voice, channel, number


class Said(NamedTuple):
    """A message.

    Attributes:
        data: Its bytes.
        deadline: When it need not arrive any more, in seconds; infinity: never.
    """

    data: bytes
    deadline: float


@dataclass(eq=False)
class Voice:
    """One side of one connection.

    Attributes:
        number: Its number, from 1 on.
        host: Whose it is.
        began: When, in seconds.
        said: By channel, the messages by their number.
        heard: By channel, the numbers of what was heard of the other voice.
        counterpart: The other voice; None before anything was heard.
        closing: Whether its program has closed it.
        drained: Whether that took no longer than it should, so that all has arrived.
        error: Why the connection ended.
        over: Whether its program listens no more: all was heard that ever will be.
        killed: Whether its program was killed, and could not hear all.
    """

    number: int
    host: str
    began: float
    said: dict[int, list[Said | None]] = field(default_factory=dict[int, list[Said | None]])
    heard: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    seen: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    counterpart: "Voice | None" = None
    closing: bool = False
    drained: bool = False
    error: BaseException | None = None
    over: bool = False
    killed: bool = False


class Ledger:
    """Everything that is written down in one world.

    Args:
        now: The world's clock.
        echo: Whether what happens is kept, to be shown.

    Attributes:
        now: As given.
        deliveries: What each channel promises.
        longest_way: How long a packet may be under way, in seconds (rule 5); infinity if a host has paused.
        faults: How often something bad happened.
        outcomes: How things ended.
        violations: What must not happen, and did.
        events: What happened, if it is kept.
        voices: All voices by their number.
    """

    def __init__(self, now: Callable[[], float], *, echo: bool) -> None:
        self.now = now
        self._echo = echo
        self.deliveries: list[Delivery] = []
        self.longest_way = 0.0
        self.faults: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.violations: list[str] = []
        self.events: list[str] = []
        self.voices: dict[int, Voice] = {}

    # ---- what happens

    def note(self, what: str, **facts: Any) -> None:
        """Something has happened."""
        if self._echo:
            self.events.append(f"{self.now():10.6f}  {what:20} " + " ".join(f"{k}={v}" for k, v in facts.items()))

    def fault(self, kind: str, **facts: Any) -> None:
        """Something bad has happened."""
        self.faults[kind] += 1
        self.note(f"fault {kind}", **facts)

    def violate(self, what: str) -> None:
        """What must not happen has happened."""
        self.violations.append(f"at {self.now():.6f} s: {what}")
        self.note(f"VIOLATION {what}")

    def check(self, holds: bool, what: str) -> None:
        """It is a violation unless this holds."""
        if not holds:
            self.violate(what)

    # ---- messages

    def voice(self, host: str) -> Voice:
        """A connection has begun, for one of its sides."""
        voice = Voice(len(self.voices) + 1, host, self.now())
        self.voices[voice.number] = voice
        self.note("voice", number=voice.number, host=host)
        return voice

    def say(self, voice: Voice, channel: int, size: int, lifetime: float | None = None) -> bytes:
        """The next message of a voice, of ``size`` bytes, though not shorter than what names it.

        An empty one, which names nothing, is possible where order tells what it is, and the two know each other.
        """
        said = voice.said.setdefault(channel, [])
        head = HEAD.pack(voice.number, channel, len(said))
        filler = bytes([(voice.number + 3 * len(said)) & 0xFF])
        ordered = self.deliveries[channel] is Delivery.RELIABLE_ORDERED
        nameless = size == 0 and ordered and voice.counterpart is not None and lifetime is None
        data = b"" if nameless else head + filler * (size - len(head))
        said.append(Said(data, inf if lifetime is None else self.now() + lifetime))
        return data

    def unsay(self, voice: Voice, channel: int) -> None:
        """The last message was not taken."""
        voice.said[channel][-1] = None

    def hear(self, voice: Voice, channel: int, data: bytes) -> None:
        """A voice hears a message of the other one (rules 1 to 3, and 5)."""
        number = self._trace(voice, channel, data)
        if number is None:
            return
        self.outcomes["heard"] += 1
        heard = voice.heard.setdefault(channel, [])
        where = f"voice {voice.number}, channel {channel} ({self.deliveries[channel].value}):"
        delivery = self.deliveries[channel]
        last = heard[-1] if heard else -1
        if (channel, number) in voice.seen:
            self.violate(f"{where} message {number} is heard twice")
        elif delivery in {Delivery.RELIABLE_ORDERED, Delivery.UNRELIABLE_SEQUENCED} and number < last:
            self.violate(f"{where} message {number} is heard after {last}")
        elif delivery is Delivery.RELIABLE_ORDERED:
            self._check_gap(voice, channel, last + 1, number, where)
        voice.seen.add((channel, number))
        heard.append(number)
        assert voice.counterpart is not None
        said = voice.counterpart.said[channel][number]
        late = self.now() - (said.deadline if said else inf)
        if late > self.longest_way and not delivery.reliable:
            self.violate(f"{where} message {number} is heard {late} s after its lifetime")

    def _check_gap(self, voice: Voice, channel: int, first: int, after: int, where: str) -> None:
        assert voice.counterpart is not None
        for missing, said in enumerate(voice.counterpart.said[channel][first:after], first):
            if said is not None and said.deadline == inf:
                self.violate(f"{where} message {after} is heard, and {missing} was not")

    def _trace(self, voice: Voice, channel: int, data: bytes) -> int | None:
        """The number of a message that was heard; None if nobody said it."""
        where = f"voice {voice.number}, channel {channel}: {data[:20]!r} ({len(data)} bytes)"
        if not data:
            number = self._find_empty(voice, channel)
            if number is None:
                self.violate(f"{where} nobody said nothing here")
            return number
        if len(data) < HEAD.size:
            self.violate(f"{where} was never said")
            return None
        speaker_number, said_on, number = HEAD.unpack_from(data)
        speaker = self.voices.get(speaker_number)
        said = speaker.said.get(channel, []) if speaker is not None else []
        if speaker is None or said_on != channel or number >= len(said):
            self.violate(f"{where} was never said here")
            return None
        record = said[number]
        if record is None or record.data != data:
            self.violate(f"{where} was said otherwise")
            return None
        return number if self.meet(voice, speaker) else None

    def _find_empty(self, voice: Voice, channel: int) -> int | None:
        """The next message that was said on this channel, and is empty."""
        if voice.counterpart is None or self.deliveries[channel] is not Delivery.RELIABLE_ORDERED:
            return None
        heard = voice.heard.get(channel, [])
        first = heard[-1] + 1 if heard else 0
        for number, said in enumerate(voice.counterpart.said[channel][first:], first):
            if said is not None and said.data == b"":
                return number
        return None

    def meet(self, voice: Voice, speaker: Voice) -> bool:
        """One voice hears another; whether they are each other's (rule 2)."""
        known = voice.counterpart or speaker, speaker.counterpart or voice
        if known != (speaker, voice) or speaker.host == voice.host:
            self.violate(f"voice {voice.number} of {voice.host} hears voice {speaker.number}, which is none of its own")
            return False
        voice.counterpart, speaker.counterpart = speaker, voice
        return True

    def unheard(self, speaker: Voice) -> list[tuple[int, int]]:
        """What a voice said on reliable channels, without a lifetime, and was not heard yet: channels and numbers."""
        listener = speaker.counterpart
        return [
            (channel, number)
            for channel, all_said in speaker.said.items()
            if self.deliveries[channel].reliable
            for number, said in enumerate(all_said)
            if said is not None and said.deadline == inf
            if listener is None or (channel, number) not in listener.seen
        ]

    def check_heard(self, speaker: Voice, why: str) -> None:
        """Rule 4."""
        missing = self.unheard(speaker)
        if missing:
            self.violate(f"voice {speaker.number}: {len(missing)} messages were not heard, {missing[0]} first; {why}")

    @property
    def messages(self) -> int:
        """How many were said."""
        return sum(
            said is not None for voice in self.voices.values() for channel in voice.said.values() for said in channel
        )
