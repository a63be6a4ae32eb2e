"""The server's side of a connection that carries many calls at once; see `sleepy.tcp.multiplex` for what goes over it.

Each request has a task of its own, and whichever ends first is answered first. A request occupies its place at the `Desk`
until the peer has room for its last word: so a peer that asks and does not read soon finds nobody working for it, and what
is held for it stays bounded.

A cancel ends the handler's task, which sees an `asyncio.CancelledError` wherever it waits, and may tidy up. The end of the
connection, or of the peer's side of it, ends them all. What is no message cuts the connection off at once: there is no id to
excuse oneself to.

For how long a peer may keep us waiting, and for what, is decided by `sleepy.tcp.serving.patience`, as for any other. That a
handler is at work for it is no excuse for a peer that stops in the middle of a frame, or takes its answers in drips: both
hold memory of ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from sleepy.tcp.codec import RequestReader
from sleepy.tcp.connection import Connection
from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.multiplex import Desk, Kind, Multiplex, decode
from sleepy.tcp.serving.patience import Limits, Wait
from sleepy.tcp.serving.watch import Watch, WatchedConnection

_log = logging.getLogger("sleepy.tcp")


class MultiplexSession:
    """One connection's requests and the tasks that answer them.

    Args:
        handler: Is awaited with each request and returns its answer.
        codec: Says how many handlers may be at work at once, and how long a message may be.
        requests: Reads what comes.
        enter: Is called when the connection is there.
        leave: Is called when it is no more.
        number: The connection's number, for traces.
        max_queued: How many more requests may wait.
        limits: How long the peer may keep us waiting.

    Attributes:
        requests: As given.
        connection: The connection.
    """

    def __init__(
        self,
        handler: Callable[[bytes], Awaitable[bytes]],
        codec: Multiplex,
        requests: RequestReader[bytes],
        enter: "Callable[[MultiplexSession], None]",
        leave: "Callable[[MultiplexSession], None]",
        number: int,
        max_queued: int,
        limits: Limits,
    ) -> None:
        self._handler = handler
        self._codec = codec
        self.requests = requests
        self._enter = enter
        self._leave = leave
        self.connection: Connection[bytes] = WatchedConnection(self, requests, number)
        self._desk = Desk(codec.max_concurrent_requests, max_queued)
        self._handling: dict[int, asyncio.Task[None]] = {}  # those whose last word is not known yet
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order: a simulated run repeats itself
        self._reading = True
        self._no_more = False  # no request is taken any more; the connection is finished when the desk is empty
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(limits, self._waiting, self._give_up)
        self._received = self._written = 0  # bytes
        self._in_frame = False  # a message has begun and is not whole

    # --8<-- [start:serve]
    def _settle(self) -> None:
        """Do what the desk decides."""
        for number, request in self._desk.start():
            self._handling[number] = self._start(number, self._serve(number, request))
        if self._desk.has_room != self._reading:
            self._reading = not self._reading
            self._read_on() if self._reading else self.connection.pause_reading()
        if self._desk.is_empty:
            self._watch.rest()
        if self._no_more and self._desk.is_empty and not self.connection.closing:
            self.connection.finish()

    async def _serve(self, number: int, request: bytes) -> None:
        try:
            word = self._codec.last_word(Kind.ANSWER, number, await self._handler(request))
        except Exception as error:  # noqa: BLE001 -- whatever the handler raises is answered, too
            _log.exception("the handler failed on %s", self._codec.describe(request))
            word = self._codec.error(number, error)
        del self._handling[number]
        await self._say(word)

    async def _say(self, word: bytes) -> None:
        self._written += len(word)
        self.connection.write(word)
        await self.connection.drain()

    def _start(self, number: int, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda task: self._ended(number, task))
        return task

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if self.connection.closing:
            return
        if self._handling.pop(number, None) is None:
            self._desk.done(number)
            self._settle()
        else:  # it was cancelled, and has not had its last word
            self._start(number, self._say(self._codec.last_word(Kind.CANCEL, number)))

    # --8<-- [end:serve]

    def _read_on(self) -> None:
        self.connection.resume_reading()
        if self._in_frame:  # meanwhile it was we who took nothing
            self._watch.begin(Wait.BODY, self._received)

    def _cancel(self, number: int) -> None:
        if self._desk.cancel(number):
            self._start(number, self._say(self._codec.last_word(Kind.CANCEL, number)))
        elif number in self._handling:
            self._handling[number].cancel()

    # Patience

    def _waiting(self) -> tuple[Wait, int]:
        """What we wait for, and how many bytes have moved on that way."""
        unsent = self.connection.unsent
        if unsent:
            return Wait.WRITE, self._written - unsent
        if self._in_frame and self._reading:
            return Wait.BODY, self._received
        return (Wait.IDLE if self._desk.is_empty else Wait.OURS), 0

    def _give_up(self, wait: Wait) -> None:
        """The peer's time is up."""
        if wait is Wait.IDLE:
            self.connection.close()
        else:
            self.connection.abort()

    def heard(self, size: int) -> None:
        """So many bytes have come, and been read."""
        self._received += size
        was_in_frame, self._in_frame = self._in_frame, not self.requests.between_messages
        if self._in_frame and not was_in_frame:
            self._watch.begin(Wait.BODY, self._received)

    def stuck(self) -> None:
        """The peer takes less than we write."""
        self._watch.begin(Wait.WRITE, self._written - self.connection.unsent)

    # The end

    def drain(self) -> None:
        """Take no more requests, and close when those taken have had their last word; at once if there are none."""
        if self._desk.is_empty and not self._no_more:
            self.connection.close()
        self._no_more = True

    def refuse(self, error: RemoteProtocolError) -> None:
        """There is no room for the connection, and no id to say so to."""
        self.connection.abort(error)

    async def wait_closed(self) -> None:
        """Return when the connection is closed and its tasks have ended."""
        await self.connection.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # What the connection tells its owner:

    def made(self, connection: Connection[bytes]) -> None:  # noqa: ARG002 -- it has only one
        """See `sleepy.tcp.connection.Owner`."""
        self._watch.begin(Wait.IDLE)
        self._enter(self)

    def received(self, connection: Connection[bytes], message: bytes) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`.

        Raises:
            RemoteProtocolError: It is no request and no cancel; the connection lets us know that we are confused.
        """
        kind, number, payload = decode(message)
        if kind is Kind.REQUEST:
            if not self._no_more:  # else it is read for the cancels between them
                self._desk.ask(number, payload)
        elif kind is Kind.CANCEL:
            self._cancel(number)
        else:
            raise RemoteProtocolError(f"a client sent a message of kind {kind.name}")
        self._settle()

    def confused(self, connection: Connection[bytes], error: RemoteProtocolError) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        connection.abort(error)

    def ended(self, connection: Connection[bytes]) -> bool:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: who waits for answers keeps his side open, so this one has gone."""
        return False

    def lost(self, connection: Connection[bytes], error: Exception | None) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`."""
        self._leave(self)
        self._watch.stop()
        for task in self._tasks:
            task.cancel()
