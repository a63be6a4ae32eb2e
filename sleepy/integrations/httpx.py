"""An httpx program over sleepy's pool, by one argument.

    client = httpx.AsyncClient(transport=SleepyTransport())

httpx makes the requests, follows redirects, keeps cookies, unpacks bodies; a *transport* carries one request to its answer.
Here `sleepy.tcp.Client` does that, with all it promises: connections that died in the pool reach no caller, a caller that is
cancelled frees his place at once. What httpx's own transport does, this does in the same way, or says below how not.

httpx knows no deadline over all. It has four limits, each on one kind of waiting, and they mean the same here:

- ``pool``: for one of ``limits.max_connections`` places. There are as many requests in service at most, to all hosts.
- ``connect``: for a connection: a free one, or look-up, dial and TLS together. None means `LONGEST_DIAL`.
- ``write``: for the peer to take one piece of a body. The time in which a stream has no piece is not counted.
- ``read``: for the head of the answer, then for each piece of its body.

For one deadline over everything, put ``async with asyncio.timeout(...)`` around the call.

What differs: asyncio only, no trio. HTTP/1.1 only, no proxies, no upgrades (``network_stream``), no ``sni_hostname``.
``limits.max_keepalive_connections`` is not counted: idle connections live for ``keepalive_expiry``, and not at all if either
of the two is 0.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self, TypeVar, Unpack

import httpx

from sleepy.tcp import Client, ConnectionClosed, Http1, NoFreeConnections, RequestTimeout
from sleepy.tcp import LocalProtocolError as SleepyLocalProtocolError
from sleepy.tcp import RemoteProtocolError as SleepyRemoteProtocolError
from sleepy.tcp import Request as SleepyRequest
from sleepy.tcp.codec import Encoded
from sleepy.tcp.dialing.dialer import DialTimeout
from sleepy.tcp.options import PeerOptions

if TYPE_CHECKING:
    import ssl

    from sleepy.tcp.dialing.address import Address
    from sleepy.tcp.dialing.dialer import Dial

LONGEST_DIAL: Final = 60.0  # seconds, whatever httpx says: a dial whose caller has given up may go on for others
_PIECE: Final = 65536  # bytes; a body that is longer is sent in pieces, each under the limit on writing

P = TypeVar("P", bound=asyncio.BaseProtocol)


class SleepyTransport(httpx.AsyncBaseTransport):
    """Carries the requests of an `httpx.AsyncClient`; may be shared, and mounted, like any transport.

    A client closes its transport with itself, and this one is closed for good: of clients that share it, close all at once.

    Args:
        verify: Whom to trust: httpx's usual authorities if True, everybody if False, or a context of your own.
        cert: As in httpx.
        trust_env: As in httpx: whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` count.
        limits: How many requests may be in service, and how long a connection may stand idle.
        uds: The path of a Unix socket to connect to, whatever host the URL names.
        options: What else every `sleepy.tcp.HostClient` can be told. Unlike there ``max_attempts`` is 1, as httpx does not
            repeat what may have been executed; a request that meets a stale connection still goes to a fresh one.
    """

    def __init__(
        self,
        *,
        verify: "ssl.SSLContext | str | bool" = True,
        cert: str | tuple[str, str] | tuple[str, str, str] | None = None,
        trust_env: bool = True,
        limits: httpx.Limits = httpx.Limits(max_connections=100, keepalive_expiry=5.0),  # noqa: B008 -- it is a value
        uds: str | None = None,
        **options: Unpack[PeerOptions],
    ) -> None:
        context = httpx.create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
        context.set_alpn_protocols(["http/1.1"])
        places = sys.maxsize if limits.max_connections is None else limits.max_connections
        settings: PeerOptions = {"tls": context, "max_attempts": 1, "dial_timeout": LONGEST_DIAL}
        if uds is not None:
            settings["dial"] = _dial_unix(uds)
        settings.update(options)
        self._keeps_idle = limits.keepalive_expiry != 0 and limits.max_keepalive_connections != 0
        self._client = Client(
            max_conns_per_host=places,
            max_idle_conn_duration=limits.keepalive_expiry or None,
            codec=_Codec(user_agent=""),
            **settings,
        )
        self._places = asyncio.Semaphore(places)  # after the client, who says what is no number of connections

    # --8<-- [start:handle]
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request to the head of its answer; see `httpx.AsyncBaseTransport`."""
        _need_asyncio()
        limits: Mapping[str, float | None] = request.extensions.get("timeout", {})
        ending = AsyncExitStack()
        with _httpx_errors():
            asked = _translate(request)
        with _httpx_errors(asked):
            try:
                async with _Phases(limits) as asked.phases:
                    asked.phases.enter("pool")
                    await self._places.acquire()
                    ending.callback(self._leave)
                    asked.phases.enter("connect")  # until `_Codec` says that it has a connection
                    answer = await ending.enter_async_context(self._client.stream(asked))
            except BaseException:
                await ending.aclose()
                raise
        pieces: AsyncIterable[bytes] = answer.stream or _NOTHING
        return httpx.Response(
            answer.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()],
            stream=_Incoming(asked, pieces, limits.get("read"), ending),
            extensions={
                "http_version": answer.version.encode("ascii"),
                "reason_phrase": answer.reason.encode("latin-1"),
            },
        )

    # --8<-- [end:handle]

    def _leave(self) -> None:
        self._places.release()
        if not self._keeps_idle:
            self._client.close_idle_connections()

    async def aclose(self) -> None:
        """Close all connections; what is still in service fails."""
        _need_asyncio()
        await self._client.close(0.0)


def _need_asyncio() -> None:
    """Say so under trio, where asyncio's own error speaks of loops that nobody there knows of."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("SleepyTransport needs asyncio; under trio, httpx has a transport of its own") from None


class _Phases:
    """Which of the four limits holds now; an async context manager, in which at most one of them runs out."""

    def __init__(self, limits: Mapping[str, float | None]) -> None:
        self._limits = limits
        self._phase = "pool"
        self._timer = asyncio.timeout(None)
        self._over = False

    def enter(self, phase: str) -> None:
        """From now on this limit holds; one that is not set, and a phase that has none, may last for ever."""
        if self._over or self._timer.expired():
            return  # the answer came before its request was sent whole, or the time is up
        limit = self._limits.get(phase)
        self._phase = phase
        self._timer.reschedule(None if limit is None else asyncio.get_running_loop().time() + limit)

    async def __aenter__(self) -> Self:
        await self._timer.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._over = True
        try:
            await self._timer.__aexit__(*raised)  # type: ignore[arg-type]
        except TimeoutError as error:
            raise _TIMEOUTS[self._phase](f"{self._limits[self._phase]:g} s for {self._phase!r} were over") from error


class _Outgoing(SleepyRequest):
    """A request, and what is told of its progress; also what the caller's own stream has raised."""

    phases: _Phases
    raised: Exception | None = None


class _Codec(Http1):
    """HTTP/1.1; a codec is asked for what follows a request when that is sent, so it knows when there is a connection."""

    def encode_request(self, request: SleepyRequest, authority: str) -> Encoded:
        """See `Http1.encode_request`; whatever it is, we want to be asked what follows."""
        return super().encode_request(request, authority)._replace(follows=True)

    def body_of(self, request: SleepyRequest) -> AsyncGenerator[bytes, None] | None:
        """See `Http1.body_of`."""
        if isinstance(request, _Outgoing):
            request.phases.enter("read" if request.stream is None else "write")
        return super().body_of(request)


def _translate(request: httpx.Request) -> _Outgoing:
    """The same request in sleepy's words; httpx has normalized its URL."""
    url = request.url
    if url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol(f"{str(url)!r}: neither http:// nor https://")
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    # Chunks are made where the bytes are made; what else a caller says of transfer codings is refused there.
    fields = [field for field in fields if (field[0].lower(), field[1].lower()) != ("transfer-encoding", "chunked")]
    target: bytes = request.extensions.get("target", url.raw_path)
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    whole = b"".join(request.stream) if isinstance(request.stream, httpx.ByteStream) else None
    small = whole is not None and len(whole) <= _PIECE
    asked = _Outgoing(
        request.method,
        origin if target == b"*" else origin + target.decode("ascii"),
        fields,
        whole if whole is not None and small else b"",
        normalize=False,
    )
    if target == b"*":  # RFC 9112, section 3.2.4: the server as a whole
        asked.target = "*"
    if not small:
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 -- httpx has looked
        asked.stream = _Pieces(asked, request.stream if whole is None else _cut(whole))
    return asked


class _Pieces:
    """A body on its way out: the limit on writing holds from the giving of a piece to the asking for the next."""

    def __init__(self, request: _Outgoing, pieces: AsyncIterable[bytes]) -> None:
        self._request = request
        self._pieces = aiter(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        phases = self._request.phases
        phases.enter("produce")
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            phases.enter("read")
            raise
        except Exception as error:
            self._request.raised = error
            raise
        phases.enter("write")
        return piece


async def _cut(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


class _Incoming(httpx.AsyncByteStream):
    """The body of an answer, and what is to be done at its end."""

    def __init__(
        self, asked: _Outgoing, pieces: AsyncIterable[bytes], limit: float | None, ending: AsyncExitStack
    ) -> None:
        self._asked = asked
        self._pieces = aiter(pieces)
        self._limit = limit
        self._ending = ending

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            with _httpx_errors(self._asked):
                async with _Phases({"read": self._limit}) as phases:
                    phases.enter("read")
                    piece = await anext(self._pieces, b"")
            if not piece:
                return
            yield piece

    async def aclose(self) -> None:
        """Take no more of it: what is left is thrown away, or the connection is closed."""
        await self._ending.aclose()


class _Nothing:
    """No body."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


_NOTHING: Final = _Nothing()

# Errors:

_TIMEOUTS: Final[Mapping[str, type[httpx.TimeoutException]]] = {
    "pool": httpx.PoolTimeout,
    "queue": httpx.PoolTimeout,
    "connect": httpx.ConnectTimeout,
    "write": httpx.WriteTimeout,
    "read": httpx.ReadTimeout,
}


@contextmanager
def _httpx_errors(asked: _Outgoing | None = None) -> Generator[None, None, None]:
    """Raise what httpx's own transport would raise, with sleepy's error as the cause."""
    try:
        yield
    except Exception as error:
        translated = None if asked is not None and error is asked.raised else _in_httpxs_words(error)
        if translated is None:
            raise
        raise translated from error


def _in_httpxs_words(error: Exception) -> httpx.TransportError | None:
    text = str(error)
    match error:
        case RequestTimeout() | DialTimeout():  # by an option; the phases of a dial are all "connect"
            return _TIMEOUTS.get(error.phase, httpx.ConnectTimeout)(text)
        case NoFreeConnections():
            return httpx.PoolTimeout(text)
        case SleepyLocalProtocolError():
            return httpx.LocalProtocolError(text)
        case SleepyRemoteProtocolError():
            return httpx.RemoteProtocolError(text)
        case ConnectionClosed():  # broken, or closed in order at a place where that is a fault
            broken = isinstance(error.__cause__, OSError)
            return httpx.ReadError(text) if broken else httpx.RemoteProtocolError(text)
        case OSError():
            return httpx.ConnectError(text)
        case _:
            return None


def _dial_unix(path: str) -> "Dial":
    async def dial(factory: Callable[[], P], _address: "Address", /) -> P:
        _, protocol = await asyncio.get_running_loop().create_unix_connection(factory, path)
        return protocol

    return dial
