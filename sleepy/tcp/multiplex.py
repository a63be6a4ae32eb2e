"""Many calls at once on one connection, answers in any order: the wire format, and who is in flight. Decisions only.

Where answers come in the order of the requests, a slow one holds up all behind it (`sleepy.tcp.pipeline`). The cure is a
number: whoever asks gives each request an *id*, the answer brings it back, and no answer waits for another. Every message is
a frame (`sleepy.tcp.frames`) that begins with five bytes:

    length   4 bytes   of what follows
    kind     1 byte    0 request   1 answer   2 error               3 cancel
    id       4 bytes   chosen by who asks; all numbers are big-endian
    payload  the rest  any bytes   any bytes  what is wrong, UTF-8  nothing

1. **Every request gets one last word**: its answer, an error, or, if it was cancelled before, a cancel. With it the id is
   free again, and both sides know. A last word that is not due ends the connection, as does a second request of one id.
2. **Who gives up is free at once.** A request that was not sent is forgotten; one that was is cancelled: the peer is told,
   so that it can stop working. Its id stays taken until its last word, which may be an answer that was sent before the
   cancel was read: whatever it is, nobody gets it.
3. **Least pending first.** A request goes to a connection with nothing pending, else to a new one while fewer than
   ``max_conns`` exist, else to the one with the least pending. When that has ``max_pending`` already, it is refused at once.
4. **A lost connection loses what is in doubt.** What was not sent moves to another; what was sent may have been executed,
   and moves only if it may be repeated (which is for the client to say).
5. **A peer that does not heed cancels is left.** Ids that wait for nothing but their last word cost it and us; when there
   are ``max_pending`` of them the connection is closed.
6. **A server works on so many at once.** A few more may wait; then it reads no more, until one is done. (Among those few a
   cancel can still be read: a server that reads nothing while it is busy could never be told to stop.)

Two things a number cannot cure. All calls share one stream of bytes: a lost segment stalls every one of them until it was
sent again (a reason for a second connection, or for UDP). And a frame goes out whole: behind one of 4 MiB the next waits for
as long as 4 MiB take. Keep frames small, or give large ones a client of their own.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from sleepy.tcp.codec import Encoded
from sleepy.tcp.errors import LocalProtocolError, PipelineOverflow, RemoteProtocolError
from sleepy.tcp.frames import FrameReader, Frames, frame

if TYPE_CHECKING:
    from sleepy.tcp.codec import Stream

HEAD = Struct(">BI")  # kind and id
_ID = 5  # where the id is, from the frame's first byte
_IDS = 1 << 32


class Kind(IntEnum):
    """What a message is."""

    REQUEST = 0
    ANSWER = 1
    ERROR = 2
    CANCEL = 3


class Message(NamedTuple):
    """A frame's content, understood."""

    kind: Kind
    id: int
    payload: bytes


def encode(kind: Kind, number: int, payload: bytes = b"", *, max_size: int = 0) -> bytes:
    """A message as a frame; its payload has ``max_size`` bytes at most.

    Raises:
        LocalProtocolError: The payload is too long.
        TypeError: It is not bytes.
    """
    return frame(payload, max_size, HEAD.pack(kind, number))


def renumber(message: bytes, number: int) -> bytes:
    """The same frame with another id: which one is free is known only when it is sent."""
    return b"".join((message[:_ID], number.to_bytes(4, "big"), memoryview(message)[_ID + 4 :]))


def decode(content: bytes) -> Message:
    """Understand a frame's content.

    Raises:
        RemoteProtocolError: It is no message.
    """
    if len(content) < HEAD.size:
        raise RemoteProtocolError(f"a frame of {len(content)} bytes has no room for a kind and an id")
    kind, number = HEAD.unpack_from(content)
    if kind > Kind.CANCEL:
        raise RemoteProtocolError(f"there is no message of kind {kind}")
    if kind == Kind.CANCEL and len(content) > HEAD.size:
        raise RemoteProtocolError("a cancel carries nothing")
    return Message(Kind(kind), number, content[HEAD.size :])


class Multiplex(Frames):
    """The server's codec for calls with ids. Clients need none: see `sleepy.tcp.multiplex_client.MultiplexClient`.

    Args:
        max_frame_size: The longest payload, in bytes, sent or read; see `Frames`.
        max_concurrent_requests: How many handlers may be at work for one connection (rule 6).

    Raises:
        ValueError: A limit that would let nothing through.
    """

    __slots__ = ("max_concurrent_requests",)

    def __init__(self, *, max_frame_size: int = 4 * 1024 * 1024, max_concurrent_requests: int = 64) -> None:
        super().__init__(max_frame_size=max_frame_size)
        if max_concurrent_requests < 1:
            raise ValueError(f"max_concurrent_requests of {max_concurrent_requests} would let nothing through")
        self.max_concurrent_requests = max_concurrent_requests

    def encode_request(self, request: bytes, authority: str) -> Encoded:  # noqa: ARG002 -- there is nothing to be done
        """It has no id here.

        Raises:
            LocalProtocolError: Always.
        """
        raise LocalProtocolError("requests with ids are asked by a MultiplexClient, which needs no codec")

    def request_reader(
        self,
        max_body_size: int | None = None,
        begun: "Callable[[bytes], Stream | None] | None" = None,  # noqa: ARG002 -- a frame is given when it is whole
    ) -> FrameReader:
        """A reader for the server's side of one connection."""
        return FrameReader(self._limit(max_body_size), HEAD.size)

    def last_word(self, kind: Kind, number: int, payload: bytes = b"") -> bytes:
        """What ends a call, as bytes; see `encode`."""
        return encode(kind, number, payload, max_size=self._max_frame_size)

    def error(self, number: int, error: Exception) -> bytes:
        """What a handler raised, in words: its type and its text, and nothing of where in the program it was."""
        text = f"{type(error).__name__}: {error}".encode(errors="replace")
        return self.last_word(Kind.ERROR, number, text[: self._max_frame_size])


class Desk:
    """The server's side of one connection: which requests are worked on, and which wait.

    Args:
        max_concurrent: How many may be worked on at once.
        max_waiting: How many more may wait before nothing is read any more.
    """

    __slots__ = ("_at_work", "_leaving", "_max_concurrent", "_max_waiting", "_waiting")

    def __init__(self, max_concurrent: int, max_waiting: int) -> None:
        self._max_concurrent = max_concurrent
        self._max_waiting = max_waiting
        self._waiting: dict[int, bytes] = {}
        self._at_work: set[int] = set()
        self._leaving: set[int] = set()  # cancelled while they waited; their last word is on its way

    @property
    def has_room(self) -> bool:
        """Whether more should be read (rule 6)."""
        return len(self._waiting) + len(self._leaving) < self._max_waiting

    @property
    def is_empty(self) -> bool:
        """Whether every request has had its last word."""
        return not (self._waiting or self._at_work or self._leaving)

    def ask(self, number: int, request: bytes) -> None:
        """A request has come.

        Raises:
            RemoteProtocolError: Another with its id has not had its last word (rule 1).
        """
        if number in self._waiting or number in self._at_work or number in self._leaving:
            raise RemoteProtocolError(f"the id {number} is taken by a request that has not been answered")
        self._waiting[number] = request

    def start(self) -> Iterator[tuple[int, bytes]]:
        """Give those requests that are to be worked on from now on, the oldest first."""
        while self._waiting and len(self._at_work) < self._max_concurrent:
            number = next(iter(self._waiting))
            self._at_work.add(number)
            yield number, self._waiting.pop(number)

    def cancel(self, number: int) -> bool:
        """A cancel has come. True if its request was waiting: it is not worked on, and its last word is due."""
        if self._waiting.pop(number, None) is None:
            return False
        self._leaving.add(number)
        return True

    def done(self, number: int) -> None:
        """A request has had its last word, and the peer has room for more."""
        self._at_work.discard(number)
        self._leaving.discard(number)


R = TypeVar("R")  # a client's request


class Lane(Generic[R]):
    """The client's side of one connection: its requests.

    Attributes:
        waiting: Those that were not sent, the oldest first.
        idle_since: When one of them last ended, in seconds; since then it is idle, if nothing is pending.
    """

    __slots__ = ("_id_of", "_in_flight", "_next_id", "idle_since", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[R, None] = {}
        self.idle_since = 0.0
        self._in_flight: dict[int, R | None] = {}  # by id; None if nobody waits for its last word any more
        self._id_of: dict[R, int] = {}
        self._next_id = 0

    @property
    def pending(self) -> int:
        """Requests that somebody waits for."""
        return len(self.waiting) + len(self._id_of)

    @property
    def unheeded(self) -> int:
        """Cancelled requests that have not had their last word."""
        return len(self._in_flight) - len(self._id_of)

    def send(self) -> list[tuple[int, R]]:
        """Everything that waits is sent now; give it, with its ids."""
        batch = [(self._take_id(request), request) for request in self.waiting]
        self.waiting.clear()
        return batch

    def _take_id(self, request: R) -> int:
        while self._next_id in self._in_flight:  # after 2^32 requests some of the first may still be in flight
            self._next_id = (self._next_id + 1) % _IDS
        number = self._next_id
        self._in_flight[number] = request
        self._id_of[request] = number
        self._next_id = (number + 1) % _IDS
        return number

    # --8<-- [start:last_word]
    def last_word(self, message: Message, now: float) -> R | None:
        """A message has come: give the request that it ends; None if nobody waits for it any more (rule 2).

        Raises:
            RemoteProtocolError: It is nobody's last word (rule 1).
        """
        if message.kind is Kind.REQUEST or message.id not in self._in_flight:
            raise RemoteProtocolError(
                f"the peer sent a message that nobody asked for ({message.kind.name}, {message.id})"
            )
        request = self._in_flight.pop(message.id)
        if request is not None:
            del self._id_of[request]
            self.idle_since = now
        return request

    # --8<-- [end:last_word]

    def withdraw(self, request: R, now: float) -> int | None:
        """Nobody waits for a request any more; it need not be known. Give its id if the peer should hear of it."""
        if request in self.waiting:
            del self.waiting[request]
        self.idle_since = now
        number = self._id_of.pop(request, None)
        if number is not None:
            self._in_flight[number] = None
        return number

    def empty(self) -> tuple[list[R], list[R]]:
        """The connection is gone, or never came: give the requests that were sent, and those that were not (rule 4)."""
        sent, unsent = list(self._id_of), list(self.waiting)
        self.waiting.clear()
        self._id_of.clear()
        self._in_flight.clear()
        return sent, unsent


class Lanes(Generic[R]):
    """The connections to one peer, and which takes which request.

    Args:
        max_conns: How many there may be.
        max_pending: How many requests may be pending on each.

    Raises:
        ValueError: A limit that would let nothing through.
    """

    def __init__(self, max_conns: int, max_pending: int) -> None:
        for name, limit in (("max_conns", max_conns), ("max_pending_requests", max_pending)):
            if limit < 1:
                raise ValueError(f"{name} of {limit} would let nothing through; the least is 1")
        self._max_conns = max_conns
        self._max_pending = max_pending
        self._lanes: list[Lane[R]] = []

    def __iter__(self) -> Iterator[Lane[R]]:
        return iter(self._lanes)

    # --8<-- [start:choose]
    def add(self, request: R, *, survivor: bool = False) -> Lane[R]:
        """Give a request to a lane (rule 3). A lane that is new must be dialed.

        Args:
            request: The request.
            survivor: Whether it was accepted before, by a lane that is gone: then the limit is not held against it.

        Raises:
            PipelineOverflow: Too much is pending already.
        """
        lane = min(self._lanes, key=lambda lane: lane.pending, default=None)
        if lane is None or (lane.pending and len(self._lanes) < self._max_conns):
            lane = Lane[R]()
            self._lanes.append(lane)
        if lane.pending >= self._max_pending and not survivor:
            raise PipelineOverflow(
                f"{sum(lane.pending for lane in self._lanes)} requests are pending on {len(self._lanes)} of "
                f"{self._max_conns} connections, {self._max_pending} are allowed on each: ask less at once, or raise "
                f"max_conns or max_pending_requests"
            )
        lane.waiting[request] = None
        return lane

    # --8<-- [end:choose]

    def must_leave(self, lane: Lane[R]) -> bool:
        """Whether the peer has left too many cancels unheeded (rule 5)."""
        return lane.unheeded >= self._max_pending

    def remove(self, lane: Lane[R]) -> None:
        """A lane takes no more."""
        self._lanes.remove(lane)
