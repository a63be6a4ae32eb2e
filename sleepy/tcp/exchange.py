"""One request on its way to its answer, and everything that is known of it meanwhile."""

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Generic, NoReturn, cast

from sleepy.tcp.codec import A, Q
from sleepy.tcp.errors import ConnectionClosed
from sleepy.tcp.http.messages import Headers

if TYPE_CHECKING:
    from sleepy.tcp.client_connection import ClientConnection
    from sleepy.tcp.codec import Encoded
    from sleepy.tcp.streams import IncomingBody


class Exchange(Generic[Q, A]):
    """A request on its way to its answer.

    Attributes:
        id: Its number with its client, if there is a trace.
        request: What is asked.
        data: The same as bytes.
        idempotent: Whether it may be sent twice.
        follows: Whether its body follows piece by piece.
        answer: What the caller awaits.
        asked_at: When it was asked, in seconds on the loop's clock.
        timeout: How long all of it may take, in seconds; infinity for any time.
        deadline: When that ends, in seconds on the loop's clock.
        streamed: Whether the caller wants the answer's body as it comes.
        connection: Where it was sent, once it was.
        sent_at: When, in seconds on the loop's clock.
        failures: How often it failed in a way that counts against ``max_attempts``.
        failure: Why the last attempt failed.
        was_stale: Whether it met a connection that the peer had closed while it was idle.
        suspect: Whether a connection was lost when its answer was the next, and it may have been the cause.
        body: The answer's body, once it was sent, if it is streamed.
        sender: The task that sends what follows the request, if anything does.
        go_ahead: Is done when the peer wants to have that.
    """

    # What most requests never change is kept once, with the class: there are a hundred thousand requests a second.
    id = 0
    streamed = False
    timeout = math.inf
    deadline = math.inf
    sent_at = 0.0
    failures = 0
    failure: Exception | None = None
    was_stale = False
    suspect = False
    connection: "ClientConnection[Q, A] | None" = None
    body: "IncomingBody | None" = None
    sender: asyncio.Task[None] | None = None
    go_ahead: asyncio.Future[None] | None = None

    def __init__(self, request: Q, encoded: "Encoded", answer: asyncio.Future[A], asked_at: float) -> None:
        self.request = request
        self.data, self.idempotent, self.follows = encoded
        self.answer = answer
        self.asked_at = asked_at

    def count_failure(self, error: Exception) -> None:
        """An attempt has failed. The first that met a stale connection is not held against the request."""
        self.failure = error
        if isinstance(error, ConnectionClosed) and error.stale and not self.was_stale:
            self.was_stale = True
        else:
            self.failures += 1

    def fail(self, error: Exception) -> None:
        """Give the caller an error, unless he has given up; in the middle of a streamed body, through the body."""
        if not self.answer.done():
            self.answer.set_exception(error)
        elif self.body is not None:
            self.body.fail(error)

    def interim(self, status: int, fields: Headers) -> None:  # noqa: ARG002 -- 100 (Continue) has none that matter
        """An answer before the answer: after a 100 the peer waits for what follows the request."""
        if status == 100 and self.go_ahead is not None and not self.go_ahead.done():
            self.go_ahead.set_result(None)


def time_and_answers(
    loop: asyncio.AbstractEventLoop,
) -> tuple[Callable[[], float], Callable[[], asyncio.Future[A]]]:
    """The methods ``time`` and ``create_future`` of a loop; if they are asyncio's own, what these would call.

    Every request needs both, and with them a call less.
    """

    def own(method: Callable[[], object], original: object) -> bool:
        return getattr(method, "__func__", None) is original

    base = asyncio.BaseEventLoop
    now = time.monotonic if own(loop.time, base.time) else loop.time
    answer: Callable[[], asyncio.Future[A]] = loop.create_future
    if own(answer, base.create_future):
        answer = cast("Callable[[], asyncio.Future[A]]", partial(asyncio.Future, loop=loop))
    return now, answer


async def refused(error: Exception) -> NoReturn:
    """Raise ``error`` when this is awaited.

    Who gathers a hundred requests wants to hear of the one that cannot be sent from that one, not to lose the others.
    """
    raise error
