"""From segments back to byte streams: when each byte arrived, and when TCP could hand it over.

TCP promises its user the bytes in order. A byte that has arrived is worth nothing while one before it is missing: the
receiver keeps it and waits. The difference between the two times is head-of-line blocking, and it can be read off a
capture, for the capture has both. Rules:

1. A stream's first byte has the sequence number of its SYN plus one (RFC 9293, section 3.4). A connection whose SYNs
   are not in the capture is left out: its streams have no beginning.
2. Sequence numbers count modulo 2^32. Each is read as the place nearest to the highest byte so far, so that a stream
   may pass 4 GiB, and a byte sent again is known for an old one.
3. A byte has *arrived* when it was first seen; copies change nothing. A range has arrived with its last missing byte.
4. A byte is *delivered* when it and all bytes before it have arrived.
5. Data that starts below the highest byte sent is a retransmission. To see all of them, look where the stream enters
   the router: behind it, what was lost is not there to be above.

Selective acknowledgements are not consulted: what the receiver's side of the router let through is known from the
capture itself.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from labs.analysis.transit import Crossing, crossings, lost
from labs.capture import Address, Flag, Segment


class Chunk(NamedTuple):
    """A segment's data in its place.

    Attributes:
        start: The place of its first byte, from 0.
        end: The place behind its last.
        segment: The segment that carried it.
        again: Whether it is a retransmission (rule 5).
    """

    start: int
    end: int
    segment: Segment
    again: bool


class _Piece(NamedTuple):
    """Bytes that arrived together and for the first time."""

    start: int
    end: int
    time: float
    data: bytes


@dataclass(slots=True)
class Stream:
    """One direction of one connection, as it passed one place.

    Args:
        initial: The sequence number of its SYN.

    Attributes:
        chunks: Each segment's data, in the order captured.
    """

    initial: int
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    _pieces: list[_Piece] = field(default_factory=list[_Piece])  # disjoint, by place
    _highest: int = 0
    _joined: int = 0  # how many pieces follow each other without a gap from byte 0
    _steps: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])  # (delivered up to, when)

    @classmethod
    def of(cls, initial: int, segments: Sequence[Segment]) -> Self:
        """Put a stream together from all the segments of its direction, in the order captured."""
        stream = cls(initial)
        for segment in segments:
            if segment.payload:
                stream._add(segment)
        return stream

    @property
    def data(self) -> bytes:
        """The bytes up to the first gap."""
        return b"".join(piece.data for piece in self._pieces[: self._joined])

    # --8<-- [start:times]
    def arrived(self, start: int, end: int) -> float | None:
        """When the last missing byte of ``[start, end)`` arrived (rule 3), in seconds since 1970; ``None``: not yet."""
        first = bisect_right(self._pieces, start, key=lambda piece: piece.end)
        behind = bisect_left(self._pieces, end, key=lambda piece: piece.start)
        pieces = self._pieces[first:behind]
        covered = sum(min(piece.end, end) - max(piece.start, start) for piece in pieces)
        return max(piece.time for piece in pieces) if pieces and covered == end - start else None

    def delivered(self, end: int) -> float | None:
        """When all bytes below ``end`` had arrived (rule 4), in seconds since 1970; ``None``: not yet."""
        step = bisect_left(self._steps, end, key=lambda step: step[0])
        return self._steps[step][1] if step < len(self._steps) else None

    # --8<-- [end:times]

    def _add(self, segment: Segment) -> None:
        ahead = (segment.sequence - self.initial - 1 - self._highest + 2**31) % 2**32 - 2**31  # rule 2
        start = self._highest + ahead
        end = start + len(segment.payload)
        self.chunks.append(Chunk(start, end, segment, again=start < self._highest))
        if start < 0:  # a keep-alive probe repeats the byte before the stream
            return
        self._highest = max(self._highest, end)
        self._fill(start, segment.payload, segment.time)
        self._advance(segment.time)

    def _fill(self, origin: int, data: bytes, time: float) -> None:
        """Keep those bytes of ``data``, which starts at ``origin``, that had not yet arrived."""
        start, end = origin, origin + len(data)
        place = bisect_right(self._pieces, start, key=lambda piece: piece.end)
        while start < end:
            gap_end = min(end, self._pieces[place].start) if place < len(self._pieces) else end
            if start < gap_end:
                self._pieces.insert(place, _Piece(start, gap_end, time, data[start - origin : gap_end - origin]))
            start = self._pieces[place].end
            place += 1

    def _advance(self, time: float) -> None:
        reached = before = self._steps[-1][0] if self._steps else 0
        while self._joined < len(self._pieces) and self._pieces[self._joined].start == reached:
            reached = self._pieces[self._joined].end
            self._joined += 1
        if reached > before:
            self._steps.append((reached, time))


@dataclass(slots=True)
class Passage:
    """One direction of a connection on both sides of the router.

    Attributes:
        near: As it entered, on the sender's side.
        far: As it left, on the receiver's side.
        crossings: What became of each segment on the way.
    """

    near: Stream
    far: Stream
    crossings: list[Crossing]

    def lost(self) -> list[Chunk]:
        """The data that entered and never left."""
        gone = set(lost(self.crossings))
        return [chunk for chunk in self.near.chunks if chunk.segment in gone]


@dataclass(slots=True)
class Connection:
    """One TCP connection through the router.

    Attributes:
        client: Who opened it.
        server: To whom.
        to_server: The client's bytes.
        to_client: The server's bytes.
    """

    client: Address
    server: Address
    to_server: Passage
    to_client: Passage


def connections(left: Sequence[Segment], right: Sequence[Segment]) -> list[Connection]:
    """Find the connections from the router's left to its right, in the order opened.

    Args:
        left: What was captured on the clients' side.
        right: What was captured on the servers' side.
    """
    flows: dict[tuple[Address, Address], tuple[list[Segment], list[Segment]]] = {}
    for side, segments in enumerate((left, right)):
        for segment in segments:
            flows.setdefault((segment.source, segment.destination), ([], []))[side].append(segment)
    result: list[Connection] = []
    for (client, server), (near, far) in flows.items():
        opening = _initial(near, answer=False)
        back_far, back_near = flows.get((server, client), ([], []))
        answer = _initial(back_near, answer=True)
        if opening is not None and answer is not None:  # rule 1
            to_server = _passage(opening, near, far)
            to_client = _passage(answer, back_near, back_far)
            result.append(Connection(client, server, to_server, to_client))
    return result


def _initial(segments: Sequence[Segment], *, answer: bool) -> int | None:
    """The sequence number of the first SYN, or of the first SYN that answers one."""
    wanted = Flag.SYN | Flag.ACK if answer else Flag.SYN
    matches = (segment.sequence for segment in segments if segment.flags & (Flag.SYN | Flag.ACK) == wanted)
    return next(matches, None)


def _passage(initial: int, near: Sequence[Segment], far: Sequence[Segment]) -> Passage:
    return Passage(Stream.of(initial, near), Stream.of(initial, far), crossings(near, far))
