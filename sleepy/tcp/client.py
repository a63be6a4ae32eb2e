"""Client: a HostClient for each peer, found by the URL.

Whoever asks many peers, or does not know beforehand which, names them in URLs. For each scheme, host and port there is a
`HostClient`, made when it is first needed. This is fasthttp's Client. Three things it has to get right:

1. **Nobody loses a client that he uses.** Every ten seconds those are dropped that have no connection, open or being
   dialed, and no request pending. A look-up and the counting of its request are one step, without an await between them; a
   client that was found cannot be dropped before it is used. (fasthttp's users met the gap.)
2. **Peers are told apart by all three**: https://a is not http://a:443, and neither of them gets the other's connections.
3. **One deadline over all redirects**. That, and where they lead, is decided in `sleepy.tcp.http.redirects`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from types import TracebackType
from typing import Final, Self, Unpack

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.codec import Codec
from sleepy.tcp.dialing.dialer import MAX_CONCURRENT_DIALS
from sleepy.tcp.dialing.resolver import Resolver
from sleepy.tcp.errors import LocalProtocolError
from sleepy.tcp.exchange import refused
from sleepy.tcp.host_client import HostClient
from sleepy.tcp.http.messages import HeaderLines, Headers, Request, Response, plain_get
from sleepy.tcp.http.redirects import REDIRECTS, Origin, Redirects, check_limit
from sleepy.tcp.http.url import Url, parse_url
from sleepy.tcp.metrics import Metrics
from sleepy.tcp.options import PeerOptions
from sleepy.tcp.pool import PoolStrategy
from sleepy.tcp.streams import entered_with

RECYCLE_INTERVAL: Final = 10.0  # seconds, as in fasthttp


class HostOptions(PeerOptions, total=False):
    """What a `Client` passes on to each `HostClient` as it is; see there what it means, and what it is by default."""

    max_conn_wait_timeout: float | None
    max_waiting_requests: int
    max_idle_conn_duration: float | None
    max_conn_duration: float | None
    pool_strategy: PoolStrategy
    codec: Codec[Request, Response] | None


class HostClientOptions(HostOptions, total=False):
    """All options of one `HostClient`."""

    max_conns: int


@mypyc_attr(allow_interpreted_subclasses=True)
class Client:
    """A client to any peer; an async context manager that closes it.

    Args:
        max_conns_per_host: How many connections may be open or being dialed at once to each peer (fasthttp:
            MaxConnsPerHost).
        max_redirects: How many redirects `get` and `post` follow; None to follow none, and answer with the first.
        normalize_paths: Whether two ways to write a path become one (not DisablePathNormalizing); see `sleepy.tcp.http.url`.
        configure: Is called with the origin of each new peer and the options for it, which it may change
            (ConfigureClient). What it raises is raised from the request, and the next request calls it again.
        options: Options for every peer: any of `HostOptions`. ``tls`` says how to speak TLS to https peers; by default their
            certificates are checked against the system's. ``resolver`` and the limit ``max_concurrent_dials`` are shared by
            all peers.

    Attributes:
        metrics: What it has done so far, with all peers together; of each redirect, too.

    Raises:
        TypeError: There is no such option.
        ValueError: An option that makes no sense; the message says which.
    """

    def __init__(
        self,
        *,
        max_conns_per_host: int = 512,
        max_redirects: int | None = 16,
        normalize_paths: bool = True,
        configure: Callable[[Origin, HostClientOptions], None] | None = None,
        **options: Unpack[HostOptions],
    ) -> None:
        self._max_redirects = max_redirects
        self._normalize = normalize_paths
        self._configure = configure
        self._options: HostClientOptions = {"max_conns": max_conns_per_host, "resolver": Resolver(), **options}
        HostClient("localhost:80", **self._options)  # so that a wrong option is found now, not at the first request
        check_limit(max_redirects or 0)
        dials = options.get("max_concurrent_dials", MAX_CONCURRENT_DIALS)
        self._options["max_concurrent_dials"] = asyncio.Semaphore(dials) if isinstance(dials, int) else dials
        self._hosts: dict[Origin, HostClient] = {}
        self.metrics = Metrics()
        self._recycler: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pending_requests(self) -> int:
        """Requests that have been asked and not been answered, of all peers."""
        return sum(host.pending_requests for host in self._hosts.values())

    @property
    def conns_count(self) -> int:
        """Connections open or being dialed, to all peers (ConnsCount)."""
        return sum(host.conns_count for host in self._hosts.values())

    @property
    def idle_conns_count(self) -> int:
        """Connections that serve nobody, to all peers (IdleConnsCount)."""
        return sum(host.idle_conns_count for host in self._hosts.values())

    def get(
        self, url: str, *, headers: Headers | HeaderLines = (), timeout: float | None = None
    ) -> Coroutine[None, None, Response]:
        """Ask with GET, and follow redirects; see `do`.

        Args:
            url: An absolute URL. Credentials in it become an ``Authorization`` field, unless there is one.
            headers: Fields to send.
            timeout: The longest all of it may take, redirects included, in seconds; None for as long as it takes.
        """
        plain = self._normalize and not headers
        try:
            request = plain_get(url) if plain else Request("GET", url, headers, normalize=self._normalize)
        except LocalProtocolError as error:
            return refused(error)
        return self.do(request, timeout=timeout, max_redirects=self._max_redirects)

    def post(
        self, url: str, body: bytes = b"", *, headers: Headers | HeaderLines = (), timeout: float | None = None
    ) -> Coroutine[None, None, Response]:
        """Ask with POST, and follow redirects; see `get` and `do`."""
        try:
            request = Request("POST", url, headers, body, normalize=self._normalize)
        except LocalProtocolError as error:
            return refused(error)
        return self.do(request, timeout=timeout, max_redirects=self._max_redirects)

    # --8<-- [start:do]
    async def do(self, request: Request, *, timeout: float | None = None, max_redirects: int | None = None) -> Response:
        """Send a request to the peer that its URL names, and wait for the answer.

        Args:
            request: What is asked, with an absolute URL.
            timeout: The longest all of it may take, redirects included, in seconds; None for as long as it takes.
            max_redirects: How many redirects are followed (DoRedirects); None to follow none.

        Returns:
            The answer, whatever its status.

        Raises:
            LocalProtocolError: The URL names no peer, or the request cannot be sent as it is.
            TooManyRedirects: The last peer redirects once more.
            RemoteProtocolError: What came is no answer, or redirects to what cannot be asked for.
            RequestTimeout: The time ran out; the error says in which phase.
            ConnectionClosed: The connection ended before the answer did.
            OSError: No connection could be made.
            RuntimeError: The client is closed.
        """
        check_limit(max_redirects or 0)
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        response = await self._ask_one(request, timeout)
        if max_redirects is None or response.status not in REDIRECTS:
            return response
        redirects = Redirects(max_redirects, normalize=self._normalize)
        return await redirects.go_on(request, response, self._ask_one, timeout, asked_at, clock)  # rule 3

    def _ask_one(self, request: Request, timeout: float | None) -> Coroutine[None, None, Response]:
        return self._host(request.url).do(request, timeout=timeout)

    # --8<-- [end:do]

    def stream(self, request: Request, *, timeout: float | None = None) -> AbstractAsyncContextManager[Response]:
        """Send a request; enter with its answer as soon as its head is there. Follows no redirects.

        See `HostClient.stream`.
        """
        return entered_with(lambda: self._host(request.url).stream(request, timeout=timeout))

    def close_idle_connections(self) -> None:
        """Close the connections that serve nobody (CloseIdleConnections)."""
        for host in self._hosts.values():
            host.close_idle_connections()

    async def close(self, timeout: float = 5.0) -> None:
        """Close the client. No more requests are taken; those pending may still end, for ``timeout`` seconds.

        To follow a redirect would be one more request: it is not taken either.
        """
        self._closed = True
        recycler, self._recycler = self._recycler, None
        if recycler is not None:
            recycler.cancel()
            await asyncio.wait([recycler])
        await asyncio.gather(*(host.close(timeout) for host in self._hosts.values()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(timeout=5.0 if kind is None else 0.0)

    # --8<-- [start:host]
    def _host(self, url: str) -> HostClient:
        """The client to the peer of an absolute URL. Whoever calls this goes on without an await (rule 1)."""
        if self._closed:
            raise RuntimeError("this client is closed")
        parsed, origin = _read(url)
        if not parsed.host:
            raise LocalProtocolError(f"{url!r} names no host: a Client needs a whole URL, such as http://host/path")
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = self._new_host(origin, parsed)
            if self._recycler is None:
                self._recycler = asyncio.get_running_loop().create_task(self._recycle())
        return host

    async def _recycle(self) -> None:
        """Drop what nobody uses, every ten seconds, as long as there is anything."""
        while self._hosts:
            await asyncio.sleep(RECYCLE_INTERVAL)
            unused = [
                origin for origin, host in self._hosts.items() if not host.conns_count and not host.pending_requests
            ]
            await asyncio.gather(*(self._hosts.pop(origin).close() for origin in unused))
        self._recycler = None

    # --8<-- [end:host]

    def _new_host(self, origin: Origin, url: Url) -> HostClient:
        options = self._options.copy()
        options["tls"] = options.get("tls") or True if origin.scheme == "https" else None
        trace = options.get("trace")
        if trace is not None:  # each peer's client counts for itself
            options["trace"] = trace.at(f"{trace.where} {origin.scheme}://{url.authority}")
        if self._configure is not None:
            self._configure(origin, options)
        host = HostClient(str(url.address), **options)
        host.metrics = self.metrics  # which outlive it
        return host


@lru_cache(1024)  # programs ask for the same URLs over and over
def _read(url: str) -> tuple[Url, Origin]:
    """A URL taken apart, and its origin."""
    parsed = parse_url(url)
    return parsed, Origin.of(parsed)
