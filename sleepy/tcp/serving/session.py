"""The server's side of one connection: requests come in, and their answers go out in the same order.

A pipelining client sends more requests before the first is answered. They queue here and are handled one after another, so
that answers leave in order (RFC 9112, section 9.3.2) and one connection never occupies more than one handler. One task
serves a connection for as long as it lives: to wake it costs less than to make a new one for each request.

Rules:

1. A connection whose queue is full, or whose streamed body nobody reads, is not read from until there is room; one whose
   peer does not read is not written to. Both push back through TCP, and memory stays bounded.
2. A peer that waits to hear whether its body is wanted (``Expect: 100-continue``) hears it when the request's turn has come:
   earlier, the word would be taken for an answer to one before. With a streamed body it hears it when the handler reads, and
   before an answer that is itself a stream, since that may read on.
3. An answer that is ready before all of its request's body has come is the last: what is still on its way cannot be told
   from the next request by a peer that stops in the middle. The same after what is no request: where the next begins is
   anybody's guess.
4. After its last answer a connection is not closed at once, but when the peer has closed it too (see `Connection.finish`).
5. An answer that breaks in its middle breaks the connection, in such a way that it cannot be taken for a whole one.

For how long a peer may keep us waiting, and for what, is decided by `sleepy.tcp.serving.patience`.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, NamedTuple

from sleepy.tcp.codec import A, Codec, Q
from sleepy.tcp.connection import Connection
from sleepy.tcp.errors import ConnectionClosed, RemoteProtocolError
from sleepy.tcp.serving.patience import Limits, Wait
from sleepy.tcp.serving.request_body import RequestBody
from sleepy.tcp.serving.watch import Watch, WatchedConnection

_log = logging.getLogger("sleepy.tcp")


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What every session of a server goes by; see `sleepy.tcp.serving.server.Server`."""

    limits: Limits
    max_request_body_size: int | None
    max_queued_requests: int
    max_requests_per_connection: int | None
    stream_request_body: bool
    clock: Callable[[], float] | None


class _Asked(NamedTuple, Generic[Q]):
    request: Q | RemoteProtocolError
    keep_alive: bool  # whether another may follow
    body: "RequestBody | None"  # if it is streamed


class _Reply(NamedTuple):
    data: bytes
    body: AsyncGenerator[bytes, None] | None  # what follows
    keep_alive: bool


class Session(Generic[Q, A]):
    """One connection's requests and the task that answers them.

    Args:
        handler: Is awaited with each request and returns its answer.
        codec: How requests and answers look as bytes.
        options: See `SessionOptions`.
        enter: Is called when the connection is there.
        leave: Is called when it is no more.
        number: The connection's number, for traces.

    Attributes:
        connection: The connection.
        requests: Reads what comes.
    """

    def __init__(
        self,
        handler: Callable[[Q], Awaitable[A]],
        codec: Codec[Q, A],
        options: SessionOptions,
        enter: "Callable[[Session[Q, A]], None]",
        leave: "Callable[[Session[Q, A]], None]",
        number: int,
    ) -> None:
        self._handler = handler
        self._codec = codec
        self._options = options
        self._enter = enter
        self._leave = leave
        self.requests = codec.request_reader(options.max_request_body_size, self._begun)
        self.connection: Connection[Q] = WatchedConnection(self, self.requests, number)
        self._queue: deque[_Asked[Q]] = deque()
        self._count = 0  # requests
        self._draining = False  # the next request is the last
        self._no_more = False  # no request is taken any more; the connection is finished when the queue is empty
        self._finished = False
        # What is being read:
        self._in_head = False
        self._in_body = False  # of a request that is given when it is whole
        self._go_ahead = b""  # what its peer waits for
        self._stream: RequestBody | None = None  # the body that is on its way, of a request that was given before it
        self._new_stream: RequestBody | None = None  # of a request that is just about to be given
        self._stream_full = False
        self._reading = True
        # What is being answered:
        self._task: asyncio.Task[None] | None = None
        self._asleep: asyncio.Future[None] | None = None
        self._answering = False
        # How long it takes:
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(options.limits, self._waiting, self._give_up)
        self._received = self._written = 0  # bytes

    # --8<-- [start:serve]
    async def _serve(self) -> None:
        """Answer what is asked, in order."""
        while (asked := await self._next()) is not None:
            reply = await self._answer(asked)
            await self._send(reply)

    # --8<-- [end:serve]

    async def _run(self) -> None:
        try:
            await self._serve()
        except BaseException:  # a handler was cancelled: those behind must not get their answers in its place
            self.connection.abort()
            raise
        self._finished = True
        if not self.connection.closing:
            self.connection.finish()
            self._watch.begin(Wait.LINGER)

    async def _next(self) -> _Asked[Q] | None:
        """What is to be answered next; None if nothing will come any more."""
        while not self._queue:
            if self._no_more:
                return None
            if self._go_ahead:
                self.go_ahead(self._go_ahead)
            self._asleep = self._loop.create_future()
            await self._asleep  # for a future: waking by it costs less than by an event
        self._answering = True
        asked = self._queue.popleft()
        self._read_if_room()
        return asked

    async def _answer(self, asked: _Asked[Q]) -> _Reply:
        """Ask the handler; whatever it raises is answered, too."""
        request, _, body = asked
        if isinstance(request, RemoteProtocolError):
            return self._excuse(request, None, asked)
        try:
            return self._reply(await self._handler(request), request, asked)
        except Exception as error:  # noqa: BLE001 -- see above
            if body is not None and error is body.error:  # not the handler's fault
                return self._excuse(error, None, asked)
            _log.exception("the handler failed on %r", request)
            return self._excuse(error, request, asked)

    def _excuse(self, error: Exception, request: Q | None, asked: _Asked[Q]) -> _Reply:
        answer = self._codec.answer_to(error, request)
        if answer is None:
            return _Reply(b"", None, keep_alive=False)
        return self._reply(answer, request, asked)

    def _reply(self, answer: A, request: Q | None, asked: _Asked[Q]) -> _Reply:
        keep_alive = (
            asked.keep_alive
            and not (self._no_more and not self._queue)
            and (asked.body is None or asked.body.whole)  # rule 3
            and self._codec.can_follow(answer, request)
        )
        now = None if self._options.clock is None else self._options.clock()
        data = self._codec.encode_answer(answer, request, keep_alive=keep_alive, now=now)
        answer_body = self._codec.body_of_answer(answer, request)
        if asked.body is not None:  # a go-ahead in the middle of an answer would be taken for a part of it
            asked.body.waive() if answer_body is None else asked.body.want()
        return _Reply(data, answer_body, keep_alive)

    async def _send(self, reply: _Reply) -> None:
        if not reply.keep_alive:
            self._queue.clear()
            self._no_more = True
        if reply.body is not None:
            self._write(reply.data)
            await self._send_body(reply.body)
        elif self._queue:
            self._write(reply.data)  # together with the next
        else:
            self._written += len(reply.data)
            self.connection.write_through(reply.data)
        if self.connection.held_up:
            await self.connection.drain()
        self._answering = False
        if not self._in_head and not self._in_body:
            self._watch.rest()

    async def _send_body(self, body: AsyncGenerator[bytes, None]) -> None:
        try:
            async with aclosing(body):
                async for piece in body:
                    self._write(piece)
                    await self.connection.drain()
        except Exception:  # noqa: BLE001 -- rule 5
            _log.exception("an answer broke in its middle")
            self._queue.clear()
            self._no_more = True
            self._break_off()

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        self.connection.write(data)

    def _break_off(self) -> None:
        """Reset the connection: an orderly end would be the end of the answer, if nothing else tells it."""
        sock: socket.socket | None = self.connection.transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.abort()

    # Reading

    def _begun(self, request: Q) -> RequestBody | None:
        """The reader tells of a request whose body has yet to be read."""
        self._in_head = False
        go_ahead = self._codec.go_ahead(request)
        if self._options.stream_request_body:
            self._stream = self._new_stream = RequestBody(self, go_ahead)
        else:
            self._in_body = True
            self._go_ahead = go_ahead
        self._watch.begin(Wait.BODY, self._received)
        return self._new_stream

    def _enqueue(self, request: Q | RemoteProtocolError, *, keep_alive: bool, body: RequestBody | None = None) -> None:
        self._queue.append(_Asked(request, keep_alive, body))
        self._read_if_room()
        if self._task is None:
            self._task = self._loop.create_task(self._run())
        elif self._asleep is not None and not self._asleep.done():
            self._asleep.set_result(None)

    def _read_if_room(self) -> None:
        wanted = len(self._queue) < self._options.max_queued_requests and not self._no_more
        room = (wanted or self._stream is not None) and not self._stream_full
        if room != self._reading and not self.connection.closing:
            self._reading = room
            self.connection.resume_reading() if room else self.connection.pause_reading()

    def go_ahead(self, word: bytes) -> None:
        """Let the peer send the body that it holds back (rule 2)."""
        self._go_ahead = b""
        if not self.connection.closing:
            self._written += len(word)
            self.connection.write_through(word)
            self._watch.begin(Wait.BODY, self._received)

    # Of a streamed body this is the source; see `sleepy.tcp.streams.Source`.

    def pause_reading(self) -> None:
        """The handler reads more slowly than the peer writes."""
        self._stream_full = True
        self._read_if_room()

    def resume_reading(self) -> None:
        """The handler reads on."""
        self._stream_full = False
        self._read_if_room()
        self._watch.begin(Wait.BODY, self._received)

    def abort(self, error: Exception | None = None) -> None:  # noqa: ARG002
        """The handler wants no more of a long body: its answer, which says so, is still to come (rule 3)."""
        self.pause_reading()

    def stream_ended(self) -> None:
        """All of it has come, or no more will."""
        self._stream = None
        self._read_if_room()

    # Patience

    @property
    def busy(self) -> bool:
        """Whether a request is waiting or being answered."""
        return self._answering or bool(self._queue)

    def _waiting(self) -> tuple[Wait, int]:
        """What we wait for, and how many bytes have moved on that way."""
        unsent = self.connection.unsent
        if self._finished:
            return Wait.LINGER, 0
        if unsent:
            return Wait.WRITE, self._written - unsent
        if not self._reading or self._go_ahead:
            return Wait.OURS, 0
        if self._in_head:
            return Wait.HEAD, 0
        if self._in_body or (self._stream is not None and not self._stream.awaited):
            return Wait.BODY, self._received
        return (Wait.OURS if self.busy else Wait.IDLE), 0

    def _give_up(self, wait: Wait) -> None:
        """The peer's time is up."""
        if wait is Wait.IDLE:
            self.connection.close()
        elif wait in {Wait.HEAD, Wait.BODY}:
            self.confused(self.connection, RemoteProtocolError(f"no more patience with {wait.value}", status=408))
        else:
            self.connection.abort()

    def heard(self, size: int) -> None:
        """So many bytes have come, and been read."""
        self._received += size
        if self.requests.between_messages or self._no_more:
            return
        if self._go_ahead:
            if not self.busy:
                self.go_ahead(self._go_ahead)
        elif not (self._in_head or self._in_body or self._stream is not None):
            self._in_head = self.requests.in_head
            self._in_body = not self._in_head
            self._watch.begin(Wait.HEAD if self._in_head else Wait.BODY, self._received)

    def stuck(self) -> None:
        """The peer takes less than we write."""
        self._watch.begin(Wait.WRITE, self._written - self.connection.unsent)

    # The end

    def drain(self) -> None:
        """Take no more requests, and close when those taken are answered; at once if there are none."""
        self._draining = True
        if self.busy:
            self._no_more = True
            self._read_if_room()
        elif not (self._in_head or self._in_body or self._no_more):
            self._no_more = True
            self.connection.close()

    async def wait_closed(self) -> None:
        """Return when the connection is closed and its task has ended."""
        await self.connection.wait_closed()
        if self._task is not None:
            await asyncio.wait([self._task])

    # What the connection tells its owner:

    def made(self, connection: Connection[Q]) -> None:  # noqa: ARG002 -- it has only one
        """See `sleepy.tcp.connection.Owner`."""
        self._watch.begin(Wait.IDLE)
        self._enter(self)

    def received(self, connection: Connection[Q], message: Q) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`."""
        self._in_head = self._in_body = False
        self._go_ahead = b""
        self._count += 1
        last = self._draining or self._count == self._options.max_requests_per_connection
        body, self._new_stream = self._new_stream, None
        self._enqueue(message, keep_alive=self.requests.keep_alive and not last, body=body)

    def refuse(self, error: RemoteProtocolError) -> None:
        """There is no room for the connection."""
        self.confused(self.connection, error)

    def confused(self, connection: Connection[Q], error: RemoteProtocolError) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: the fault is answered when its turn comes."""
        if self._stream is not None:
            self._stream.fail(error)  # whose handler has the word
        else:
            self._enqueue(error, keep_alive=False)
        self._no_more = True
        self._read_if_room()

    def ended(self, connection: Connection[Q]) -> bool:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: what was asked before the end is still answered."""
        self._no_more = True
        if self._stream is not None:
            self._stream.fail(RemoteProtocolError("the peer ended in the middle of the request's body"))
        return self.busy

    def lost(self, connection: Connection[Q], error: Exception | None) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`."""
        self._leave(self)
        self._queue.clear()
        self._watch.stop()
        if self._stream is not None:
            self._stream.fail(ConnectionClosed("the connection ended in the middle of the request's body"))
        if self._task is not None:
            self._task.cancel()
