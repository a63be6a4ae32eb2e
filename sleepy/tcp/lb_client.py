"""LBClient: spreads requests over clients whose peers can all do the same work.

`sleepy.tcp.balance` decides who gets which request, and who gets none for a while. This is fasthttp's LBClient, and it adds
what its users miss, *fail-over*: a request that failed goes on to another client, under these rules:

1. Only if that is safe: the request may be repeated (it is idempotent, or its caller says so), or nothing of it was sent.
2. Not after a timeout: who says that another peer would be quicker? And whoever waits has waited long enough.
3. At most ``max_attempts`` clients in all, each once, and one deadline over all of them.

A peer that is dead from the start then costs its callers nothing: no connection to it can be made, so nothing was sent.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from random import Random
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from sleepy.tcp.balance import Balancer, Ticket
from sleepy.tcp.codec import A, Q, Q_contra
from sleepy.tcp.dialing.dialer import DialFailed, DialTimeout
from sleepy.tcp.errors import (
    BodyTooLarge,
    LocalProtocolError,
    NoAvailableClients,
    NoFreeConnections,
    PipelineOverflow,
    RequestTimeout,
)
from sleepy.trace import Trace

A_co = TypeVar("A_co", covariant=True)


class AnyClient(Protocol[Q_contra, A_co]):
    """What requests can be spread over: `HostClient`, `PipelineClient`, an `LBClient`, or one of your own."""

    @property
    def pending_requests(self) -> int:
        """Requests that have been asked and not been answered."""
        ...

    async def do(self, request: Q_contra, *, timeout: float | None = None) -> A_co:
        """Send a request and wait for its answer, for ``timeout`` seconds at most."""
        ...

    async def close(self, timeout: float = 5.0) -> None:
        """Let pending requests end for ``timeout`` seconds, then free everything."""
        ...


class LBClient(Generic[Q, A]):
    """A client over clients.

    Args:
        clients: Where requests go (fasthttp: Clients). They belong to the `LBClient`, which closes them.
        timeout: The longest a request may take unless its caller says otherwise, in seconds (Timeout); None for any time.
        health_check: Is called with the request, its answer or None, and its error or None, and says whether that speaks for
            the client (HealthCheck). By default an answer does, whatever it says, and an error does not. It is not asked
            about what says nothing of the peer: a caller's mistake, and a client that has no room for the request.
        may_repeat: Whether a request may be sent to another client though the first may have executed it. By default the
            request's attribute ``idempotent`` says so, unless its body is a stream; what has none may not.
        max_attempts: How many clients a request is given to at most; 1 is not to fail over.
        eject_after: How many failures in a row eject a client.
        min_ejection: How long the first ejection lasts, in seconds; each that follows on it lasts twice as long.
        max_ejection: The longest an ejection lasts, in seconds.
        random: Shortens ejections by chance (see `Balancer`); hand in a seeded one to have the same again.
        trace: Is told who is ejected and who is readmitted; None for nobody.

    Raises:
        ValueError: An option that makes no sense, or a client that is there twice.
    """

    def __init__(
        self,
        clients: Iterable[AnyClient[Q, A]] = (),
        *,
        timeout: float | None = 1.0,
        health_check: Callable[[Q, A | None, Exception | None], bool] | None = None,
        may_repeat: Callable[[Q], bool] | None = None,
        max_attempts: int = 3,
        eject_after: int = 5,
        min_ejection: float = 1.0,
        max_ejection: float = 60.0,
        random: Random | None = None,
        trace: Trace | None = None,
    ) -> None:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout is {timeout} s; None is no limit")
        if max_attempts < 1:
            raise ValueError(f"max_attempts is {max_attempts}; the least is 1")
        self._timeout = timeout
        self._is_healthy = _no_error if health_check is None else health_check
        self._may_repeat = _is_idempotent if may_repeat is None else may_repeat
        self._max_attempts = max_attempts
        self._balancer = Balancer[AnyClient[Q, A]](
            eject_after=eject_after, min_ejection=min_ejection, max_ejection=max_ejection, random=random
        )
        self._trace = trace
        self._closed = False
        for client in clients:
            self._balancer.add(client)

    @property
    def clients(self) -> list[AnyClient[Q, A]]:
        """All clients, in the order in which they came."""
        return self._balancer.clients

    @property
    def ejected(self) -> list[AnyClient[Q, A]]:
        """The clients that get nothing but a probe now and then."""
        return self._balancer.ejected

    @property
    def pending_requests(self) -> int:
        """Requests that the clients have been asked and have not answered."""
        return sum(client.pending_requests for client in self._balancer.clients)

    def add_client(self, client: AnyClient[Q, A]) -> None:
        """Let one more take part (AddClient). It starts as if it had had its share of the requests so far.

        Raises:
            ValueError: It does already.
        """
        self._balancer.add(client)

    def remove_clients(self, predicate: Callable[[AnyClient[Q, A]], bool]) -> list[AnyClient[Q, A]]:
        """Let those take part no longer for which ``predicate`` is true, and give them (RemoveClients).

        Requests that they have already may end. Closing them is now yours: `close` waits for these.
        """
        return self._balancer.remove(predicate)

    # --8<-- [start:do]
    async def do(self, request: Q, *, timeout: float | None = None) -> A:
        """Send a request by one of the clients, or by several in turn, and wait for its answer.

        Args:
            request: What is asked.
            timeout: The longest all of it may take, in seconds; None for the client's own ``timeout``.

        Returns:
            The answer.

        Raises:
            NoAvailableClients: There are no clients.
            RequestTimeout: The time ran out.
            Exception: What the last client tried has raised.
            RuntimeError: This client is closed.
        """
        if self._closed:
            raise RuntimeError("this client is closed")
        timeout = self._timeout if timeout is None else timeout
        if timeout is not None and timeout <= 0:
            raise RequestTimeout("queue", timeout)  # before anybody is blamed for it
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        tried: list[AnyClient[Q, A]] = []
        ticket = self._balancer.choose(loop.time())
        if ticket is None:
            raise NoAvailableClients("there is no client to ask: add one with add_client()")
        while True:
            try:
                return await self._ask(ticket, request, None if timeout is None else deadline - loop.time())
            except Exception as error:
                tried.append(ticket.member.client)
                other = self._fail_over(request, error, tried) if loop.time() < deadline else None
                if other is None:
                    raise
                ticket = other

    def _fail_over(self, request: Q, error: Exception, tried: list[AnyClient[Q, A]]) -> Ticket[AnyClient[Q, A]] | None:
        """Who gets a request that has failed; None if nobody may."""
        if isinstance(error, _FINAL) or not (isinstance(error, _UNSENT) or self._may_repeat(request)):  # rules 1 and 2
            return None
        if self._closed or len(tried) == self._max_attempts:  # rule 3
            return None
        return self._balancer.choose(asyncio.get_running_loop().time(), tried)

    # --8<-- [end:do]

    async def _ask(self, ticket: Ticket[AnyClient[Q, A]], request: Q, timeout: float | None) -> A:
        """Ask the chosen client, and let the balancer know what becomes of it."""
        try:
            answer = await ticket.member.client.do(request, timeout=timeout)
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, _BLAMELESS):
                self._judge(ticket, request, None, error)
            else:  # or the caller has given up
                self._balancer.forget(ticket)
            raise
        self._judge(ticket, request, answer, None)
        return answer

    def _judge(self, ticket: Ticket[AnyClient[Q, A]], request: Q, answer: A | None, error: Exception | None) -> None:
        healthy = False  # also if the health check itself fails
        try:
            healthy = self._is_healthy(request, answer, error)
        finally:
            member, news, now = ticket.member, ticket.member.news, asyncio.get_running_loop().time()
            self._balancer.settle(ticket, now, healthy=healthy)
            if self._trace is not None and member.news != news:
                if member.ejected_until is None:
                    self._trace("client.readmitted", client=repr(member.client))
                else:
                    self._trace("client.ejected", client=repr(member.client), seconds=member.ejected_until - now)

    async def close(self, timeout: float = 5.0) -> None:
        """Close all clients. No more requests are taken; those pending may still end, for ``timeout`` seconds."""
        self._closed = True
        await asyncio.gather(*(client.close(timeout) for client in self._balancer.clients))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(timeout=5.0 if kind is None else 0.0)


# Another client would fare no better, or there is no time to try.
_FINAL = (RequestTimeout, LocalProtocolError, BodyTooLarge)
# They say nothing about the peer.
_BLAMELESS = (LocalProtocolError, NoFreeConnections, PipelineOverflow)
# Nothing was sent: no connection was free, or none could be made.
_UNSENT = (NoFreeConnections, PipelineOverflow, DialFailed, DialTimeout)


def _no_error(_request: object, _answer: object, error: Exception | None) -> bool:
    return error is None


def _is_idempotent(request: object) -> bool:
    is_a_stream = getattr(request, "stream", None) is not None  # it can be read only once
    return getattr(request, "idempotent", False) is True and not is_a_stream
