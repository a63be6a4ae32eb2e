"""Punching a hole: two peers behind NATs knock at each other until one of the ways works both ways.

A NAT lets in what answers something that went out. So if both send to each other at about the same time, each opens its own
NAT for the other: the first datagrams may be thrown away on the far side, but they have opened the near side, and the next
ones pass. Who else is needed is somebody to tell both where the other is, and when to begin (`sleepy.udp.nat.traversal`).

Where to knock? At the address under which the server saw the peer; at its inside addresses, if both live behind the same
NAT; later perhaps by way of a relay. These are the *candidates*. We knock at all of them, over and over, and the first from
which our knock is answered wins: no measure of "best" beats having been the fastest to work.

Which pairs of NATs can meet? A hole is punched if at least one of the two sees the other's datagrams come from where it
sends its own:

| | full cone | restricted cone | port-restricted cone | symmetric |
|---|---|---|---|---|
| full cone | yes | yes | yes | yes |
| restricted cone | yes | yes | yes | yes |
| port-restricted cone | yes | yes | yes | relay |
| symmetric | yes | yes | relay | relay |

A symmetric NAT shows each remote address another port. The peer behind it can be seen to come from a port that the server
could not know; it is answered there, if the NAT on this side lets such a datagram in. That is what rule 2 is for.

Rules:

1. Knocks are sealed between the two peers. Neither the server nor anybody on the way can make one, so an address from which
   a knock or an answer comes is one where the peer *is*, or somebody who passes its datagrams on.
2. A knock from an address that is no candidate makes it one, and is returned at once: the peer has opened its side.
3. Each knock is answered once, by a datagram of the same size. So a copy sent in the name of a third gains nothing.
4. An answer counts if it comes from the very address to which we sent the knock: then datagrams pass both ways.
5. The pauses between rounds of knocking grow from 0.1 s to 0.5 s and are drawn with a quarter of chance, so that two who
   began together do not stay in step with what hinders them. Whoever gave us a wrong address, in good faith or bad, can make
   us send a few dozen bytes a few dozen times to each of at most eight addresses.
6. Who has found a way knocks no more, but still answers: the other may not have found it yet.

Sources: Ford, Srisuresh, Kegel: "Peer-to-peer communication across network address translators" (2005); ICE (RFC 8445), of
which this is the part that is needed when the keys are known: sections 7.2.5.3.1 (rule 2) and 7.2.5.2.1 (rule 4).
"""

from collections.abc import Iterable
from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.nat.traversal_wire import Probe, decode_probe, encode_probe
from sleepy.udp.security.noise import RandomBytes
from sleepy.udp.security.sealing import Sealer

FIRST_WAIT: Final = 0.1  # seconds
LONGEST_WAIT: Final = 0.5  # seconds
GROWTH: Final = 1.25
JITTER: Final = 0.25  # of the wait, to either side
MAX_CANDIDATES: Final = 8


class Punch:
    """One peer's side of it.

    Args:
        conversation: What both call this attempt, 8 bytes.
        sealer: Seals for the other peer.
        candidates: Where to knock.
        now: The time, in seconds on any monotonic clock; the first round is due at once.
        random_bytes: Where jitter comes from.

    Attributes:
        path: The address by which the peer was reached; None until then.
    """

    __slots__ = (
        "_candidates",
        "_conversation",
        "_heard",
        "_next",
        "_random_bytes",
        "_sealer",
        "_sent",
        "_wait",
        "path",
    )

    def __init__(
        self,
        conversation: bytes,
        sealer: Sealer,
        candidates: Iterable[Address],
        *,
        now: float,
        random_bytes: RandomBytes,
    ) -> None:
        self._conversation = conversation
        self._sealer = sealer
        self._candidates = list(dict.fromkeys(candidates))[:MAX_CANDIDATES]
        self._next = now
        self._wait = FIRST_WAIT
        self._random_bytes = random_bytes
        self._sent: list[Address] = []  # where each of our knocks went, by its number
        self._heard: set[int] = set()  # numbers of the peer's knocks
        self.path: Address | None = None

    @property
    def next_timeout(self) -> float:
        """When to call `on_time` again, in seconds; infinity when there is nothing left to do."""
        return self._next if self.path is None else inf

    def add(self, candidate: Address) -> list[tuple[bytes, Address]]:
        """One more place to knock at; returns the datagrams to send now."""
        if candidate in self._candidates or len(self._candidates) >= MAX_CANDIDATES or self.path is not None:
            return []
        self._candidates.append(candidate)
        return [self._knock(candidate)]

    # --8<-- [start:punch]
    def on_time(self, now: float) -> list[tuple[bytes, Address]]:
        """The datagrams to send at ``now``: a round of knocks, if it is time for one (rule 5)."""
        if now < self.next_timeout:
            return []
        chance = int.from_bytes(self._random_bytes(2), "little") / 2**15 - 1  # from -1 to 1
        self._next = now + self._wait * (1 + JITTER * chance)
        self._wait = min(GROWTH * self._wait, LONGEST_WAIT)
        return [self._knock(candidate) for candidate in self._candidates]

    def receive(self, datagram: bytes, address: Address) -> list[tuple[bytes, Address]]:
        """Take a PROBE of this conversation; returns the datagrams to send in answer."""
        probe = decode_probe(self._sealer, datagram)
        if probe is None:
            return []
        if probe.answer:
            if self.path is None and self._sent[probe.number : probe.number + 1] == [address]:  # rule 4
                self.path = address
            return []
        if probe.number in self._heard:  # rule 3
            return []
        self._heard.add(probe.number)
        answer = encode_probe(self._conversation, self._sealer, Probe(answer=True, number=probe.number))
        return [(answer, address), *self.add(address)]  # rule 2

    # --8<-- [end:punch]

    def _knock(self, candidate: Address) -> tuple[bytes, Address]:
        self._sent.append(candidate)
        probe = Probe(answer=False, number=len(self._sent) - 1)
        return encode_probe(self._conversation, self._sealer, probe), candidate
