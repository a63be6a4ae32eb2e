"""From an address to a connection.

A dial goes through *phases*, and each can be slow for a reason of its own: the ``dial-queue``, when this program dials too
much at once; ``dns``; ``dial``, the connection itself; ``tls``, the handshake. A client that says "timeout" leaves its user
to guess, so every dial tells which phase it is in, and its error says where the time went.

Rules:

1. A peer may have several addresses. Each dial starts with the one after that which the dial before it started with, so
   that connections spread over them; if it does not answer the next is tried, until all have been.
2. One deadline stands over all phases and addresses. What is left of it is shared out: an address may use its share, so that
   a silent one does not keep the others from being tried.
3. A name may stand for several IP addresses, which are raced (see `happy_eyeballs`). That makes IPv6 safe to try, so unlike
   fasthttp we do by default. A name that led nowhere is looked up anew next time: it may have moved.
4. Only so many dials go on at a time (fasthttp: Concurrency): a thousand at once would find the peer's queue full, and time
   out together. The others wait, in order.
5. Whatever the end (an error, the deadline, a cancellation), nothing is left: no task, no socket, no slot.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import cache, partial
from socket import AF_INET, AF_UNSPEC
from typing import Final, Literal, Protocol, TypeVar

from sleepy.errors import SleepyError
from sleepy.tcp.dialing.address import Address, parse_addresses, parse_host
from sleepy.tcp.dialing.handover import Placeholder
from sleepy.tcp.dialing.happy_eyeballs import interleave, race
from sleepy.tcp.dialing.resolver import Resolver

MAX_CONCURRENT_DIALS: Final = 1000  # fasthttp's

P = TypeVar("P", bound=asyncio.BaseProtocol)
Phase = Literal["dial-queue", "dns", "dial", "tls"]
Progress = Callable[[Phase], object]


class Dial(Protocol):
    """Connects in the place of the event loop (fasthttp: Dial): through a proxy, say, or in a test."""

    def __call__(self, factory: Callable[[], P], address: Address, /) -> Awaitable[P]:
        """Make a connection to ``address`` for the protocol that ``factory`` makes, and give that; or raise `OSError`.

        If it fails or is cancelled, a connection that was made is closed for it.
        """
        ...


class DialFailed(SleepyError, ConnectionError):
    """No address answered. The message names each with its reason; the cause (``__cause__``) is the last of the errors."""


class DialTimeout(SleepyError, TimeoutError):
    """The time for a dial ran out, or an address used up its share in silence.

    Attributes:
        phase: The last in which that happened: ``dial-queue``, ``dns``, ``dial`` or ``tls``.
        queued: How long the dial waited for a slot, in seconds.
    """

    def __init__(self, message: str, phase: Phase, queued: float) -> None:
        super().__init__(message)
        self.phase = phase
        self.queued = queued


class Dialer:
    """Dials the addresses of one peer.

    Args:
        addr: ``host:port``, or several with commas between (fasthttp: Addr); see `sleepy.tcp.dialing.address`.
        tls: Speak TLS, with this context; True for a usual one, which trusts whom the system trusts and offers HTTP/1.1;
            None or False for plain TCP (TLSConfig, IsTLS).
        timeout: How long one dial may take in all, in seconds (DialTimeout).
        server_hostname: The name that a certificate must be for, and that is sent to the peer (SNI); by default the host
            of the address.
        default_port: The port of addresses that name none; None if each has to.
        dual_stack: Try IPv6 too (DialDualStack).
        resolver: Looks up names; by default one of this dialer's own. Share one, and its memory is shared.
        max_concurrent_dials: How many dials may go on at a time (Concurrency); a semaphore to share the limit.
        dial: Connects in our place.

    Attributes:
        addresses: As read from ``addr``.

    Raises:
        ValueError: A malformed address, or TLS to a Unix socket without ``server_hostname``; a number out of range.
    """

    def __init__(
        self,
        addr: str,
        *,
        tls: ssl.SSLContext | bool | None,
        timeout: float,
        server_hostname: str | None = None,
        default_port: int | None = None,
        dual_stack: bool = True,
        resolver: Resolver | None = None,
        max_concurrent_dials: int | asyncio.Semaphore = MAX_CONCURRENT_DIALS,
        dial: Dial | None = None,
    ) -> None:
        if timeout <= 0:
            raise ValueError(f"timeout is {timeout} s; it must be more than 0")
        if isinstance(max_concurrent_dials, int):
            if max_concurrent_dials < 1:
                raise ValueError(f"max_concurrent_dials is {max_concurrent_dials}; the least is 1")
            max_concurrent_dials = asyncio.Semaphore(max_concurrent_dials)
        self.addresses = parse_addresses(addr, default_port)
        self._tls = usual_context() if tls is True else tls or None
        self._server_hostname = None if server_hostname is None else parse_host(server_hostname)
        if self._tls and not self._server_hostname and any(address.path for address in self.addresses):
            raise ValueError(f"{addr!r} has no host to look for in the certificate: say which by server_hostname")
        self._timeout = timeout
        self._family = AF_UNSPEC if dual_stack else AF_INET
        self._resolver = Resolver() if resolver is None else resolver
        self._slots = max_concurrent_dials
        self._connect_custom = dial
        self._turn = 0

    # --8<-- [start:dial]
    async def dial(self, factory: Callable[[], P], *, progress: Progress | None = None) -> P:
        """Connect, and give the protocol that ``factory`` made. It is called once, when there is a connection for it.

        Args:
            factory: Makes the protocol.
            progress: Is told of each phase as it begins; of ``dns`` to ``tls`` for every address that is tried.

        Raises:
            DialTimeout: The time ran out, or an address was silent for its share of it.
            DialFailed: No address answered, for other reasons.
        """
        turn = self._turn
        self._turn += 1
        loop = asyncio.get_running_loop()
        began, must_wait = loop.time(), self._slots.locked()
        if progress is not None:
            progress("dial-queue")
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise DialTimeout(
                f"cannot connect: no slot to dial in was free for {self._timeout:.3g} s (max_concurrent_dials)",
                "dial-queue",
                loop.time() - began,
            ) from None
        try:
            attempt = _Attempt(began + self._timeout, loop.time() - began if must_wait else 0.0, progress)
            return await self._dial_each(turn, factory, attempt)
        finally:
            self._slots.release()

    # --8<-- [end:dial]

    async def _dial_each(self, turn: int, factory: Callable[[], P], attempt: "_Attempt") -> P:
        """Rules 1 and 2."""
        loop = asyncio.get_running_loop()
        start = turn % len(self.addresses)
        for tried, address in enumerate(self.addresses[start:] + self.addresses[:start]):
            share = (attempt.deadline - loop.time()) / (len(self.addresses) - tried)
            limit = asyncio.timeout(share)
            try:
                async with limit:
                    held = await self._open(address, turn // len(self.addresses), attempt)
                return _hand_over(held, factory)
            except OSError as error:
                self._resolver.forget(address.host)  # rule 3
                attempt.note_failure(address, error, share if limit.expired() else None)
        raise attempt.error()

    async def _open(self, address: Address, turn: int, attempt: "_Attempt") -> Placeholder:
        """A connection to one address that is ready for its owner."""
        held = await self._connect(address, turn, attempt)
        if self._tls is None:
            return held
        name = self._server_hostname or address.host.rstrip(".")  # RFC 6066, section 3: without the dot
        secure = Placeholder(half_open=False)
        try:
            attempt.enter("tls")
            transport = await asyncio.get_running_loop().start_tls(
                held.give_up_for_tls(), secure, self._tls, server_hostname=name, ssl_handshake_timeout=self._timeout
            )
        except BaseException:
            held.abort()
            raise
        if transport is None:  # lost in the turn in which the handshake ended
            held.abort()
            raise ConnectionResetError("the peer closed the connection as soon as it was secure")
        secure.connection_made(transport)
        return secure

    async def _connect(self, address: Address, turn: int, attempt: "_Attempt") -> Placeholder:
        loop, connect = asyncio.get_running_loop(), self._connect_custom
        hosts = [address.host]
        if connect is None and address.is_name:
            attempt.enter("dns")
            hosts = interleave(await self._resolver.resolve(address.host, self._family), turn)
        attempt.enter("dial")
        if connect is not None:
            return await _hold(lambda factory: connect(factory, address))
        if address.path:
            return await _hold(lambda factory: loop.create_unix_connection(factory, address.path))
        return await race([partial(_connect_tcp, host, address.port) for host in hosts], Placeholder.abort)


class _Attempt:
    """How far a dial has come, and how it has fared."""

    def __init__(self, deadline: float, queued: float, progress: Progress | None) -> None:
        self.deadline = deadline
        self._queued = queued
        self._progress = progress
        self._phase: Phase = "dial"
        self._timed_out: Phase | None = None
        self._failures: list[str] = []
        self._cause: OSError | None = None

    def enter(self, phase: Phase) -> None:
        self._phase = phase
        if self._progress is not None:
            self._progress(phase)

    def note_failure(self, address: Address, error: OSError, silent: float | None) -> None:
        """An address has failed: with an error, or by silence for so many seconds."""
        if silent is not None:
            reason = f"silent for {silent:.3g} s"
        else:
            reason, self._cause = str(error) or type(error).__name__, error
        if isinstance(error, TimeoutError):
            self._timed_out = self._phase
        self._failures.append(f"{address}: {reason} (phase {self._phase})")

    def error(self) -> DialTimeout | DialFailed:
        """What to raise when all addresses have failed."""
        message = f"cannot connect: {'; '.join(self._failures)}"
        if self._queued:
            message += f"; before that {self._queued:.3g} s in the queue for a slot to dial in (max_concurrent_dials)"
        error = DialFailed(message) if self._timed_out is None else DialTimeout(message, self._timed_out, self._queued)
        error.__cause__ = self._cause
        return error


@cache
def usual_context() -> ssl.SSLContext:
    """The context of all that do not bring their own: reading the system's certificates takes a while."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _hand_over(held: Placeholder, factory: Callable[[], P]) -> P:
    try:
        return held.hand_over(factory())
    except BaseException:
        held.abort()
        raise


async def _connect_tcp(host: str, port: int) -> Placeholder:
    loop = asyncio.get_running_loop()
    return await _hold(lambda factory: loop.create_connection(factory, host, port))


async def _hold(connect: Callable[[Callable[[], Placeholder]], Awaitable[object]]) -> Placeholder:
    """Connect, and hold the connection."""
    held = Placeholder()
    try:
        await connect(lambda: held)
    except BaseException:
        held.abort()
        raise
    return held
