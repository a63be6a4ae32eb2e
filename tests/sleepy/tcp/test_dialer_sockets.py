"""`sleepy.tcp.dialing.dialer` over real sockets, with TLS, under each event loop: rules by their number.

Each program is checked for what it leaves behind. Nothing here waits for time to pass, except where a deadline is the point.
"""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme

from sleepy.tcp.dialing.address import Address
from sleepy.tcp.dialing.dialer import Dialer, DialFailed, DialTimeout, usual_context
from sleepy.tcp.dialing.resolver import Resolver
from tests.sleepy.tcp.helpers import Wire, closed_port, soon, turns

T = TypeVar("T")
# What asyncio says, in debug mode, of a server whose client leaves during the handshake: here the server is the test's.
SERVERS_OWN = ("Error on transport creation for incoming connection",)
Run = Callable[[Coroutine[Any, Any, T]], T]


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "asyncio":
        return asyncio.new_event_loop()
    return pytest.importorskip("uvloop").new_event_loop()  # type: ignore[no-any-return]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Run a program in debug mode, and look for errors that nobody hears and for tasks and sockets left behind."""

    async def tidy(program: Coroutine[Any, Any, T]) -> T:
        loop, unheard = asyncio.get_running_loop(), list[Any]()
        loop.slow_callback_duration = 60.0
        loop.set_exception_handler(lambda _, context: context["message"] in SERVERS_OWN or unheard.append(context))
        before = asyncio.all_tasks()
        result = await soon(program)
        await turns()
        left = asyncio.all_tasks() - before
        gc.collect()  # a socket left behind is a ResourceWarning, and that an error
        assert not left
        assert not unheard
        return result

    def run(program: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(debug=True, loop_factory=lambda: new_loop(request.param)) as runner:
            return runner.run(tidy(program))

    return run


class TlsWire(Wire):
    """A wire that ends when the other side does, as TLS has it."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


class Server:
    """Wires that somebody else has connected to."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.came = asyncio.Event()

    def made(self, wire: Wire) -> None:
        self.wires.append(wire)
        self.came.set()

    async def accept(self) -> Wire:
        await soon(self.came.wait())
        return self.wires[-1]

    async def all_gone(self) -> None:
        for wire in self.wires:
            await wire.gone()


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, made: Callable[[Wire], object] = lambda wire: None, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[Server, str]]:
    """A server on this machine, and where it is."""
    server = Server()

    def greet(wire: Wire) -> None:
        server.made(wire)
        made(wire)

    listening = await asyncio.get_running_loop().create_server(
        lambda: TlsWire(greet) if tls else Wire(greet), host, 0, ssl=tls
    )
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    finally:
        listening.close()
        for wire in server.wires:
            wire.transport.abort()
        for wire in server.wires:
            await wire.until(lambda wire=wire: wire.lost)  # type: ignore[misc]


class Tls:
    """A certificate authority, and the two ends that trust it."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.certificate = self.authority.issue_cert("127.0.0.1", "peer.example")
        self.server = self.server_of(ssl.TLSVersion.TLSv1_3)
        self.client = ssl.create_default_context()
        self.authority.configure_trust(self.client)
        self.client.set_alpn_protocols(["http/1.1"])
        self.asked_for: list[str | None] = []
        self.server.sni_callback = lambda _, name, __: self.asked_for.append(name)  # type: ignore[assignment,return-value]

    def server_of(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["http/1.1"])
        self.certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def pair() -> Tls:
    return Tls()


def dialer(addr: str, tls: ssl.SSLContext | bool | None = None, timeout: float = 30.0, **options: Any) -> Dialer:
    return Dialer(addr, tls=tls, timeout=timeout, **options)


class Here(Resolver):
    """Every name is this machine."""

    async def resolve(self, name: str, family: int = 0) -> tuple[str, ...]:
        return ("127.0.0.1",)


async def talk(wire: Wire, server: Server) -> None:
    """Say something both ways, and end it."""
    wire.send(b"ping\n")
    peer = await server.accept()
    assert await peer.read(b"\n") == b"ping\n"
    peer.send(b"pong\n")
    assert await wire.read(b"\n") == b"pong\n"
    wire.close()
    await peer.gone()
    peer.close()
    await wire.until(lambda: wire.lost)


# ---------------------------------------------------------------------- plain


def test_a_connection(run: Run[None]) -> None:
    async def program() -> None:
        async with serving() as (server, addr):
            await talk(await dialer(f"{closed_port()},{addr}").dial(Wire), server)

    run(program())


def test_nobody_there(run: Run[None]) -> None:
    async def program() -> None:
        with pytest.raises(DialFailed, match=r"cannot connect: 127\.0\.0\.1:\d+: .*\(phase dial\)"):
            await dialer(closed_port()).dial(Wire)

    run(program())


def test_localhost_by_its_name(run: Run[None]) -> None:
    """Asked of the real system; where IPv6 comes first, nobody listens there, and the other family is tried."""

    async def program() -> None:
        async with serving() as (server, addr):
            await talk(await dialer(addr.replace("127.0.0.1", "localhost")).dial(Wire), server)

    run(program())


def test_ipv6(run: Run[None]) -> None:
    async def program() -> None:
        try:
            async with serving(host="::1") as (server, addr):
                await talk(await dialer(addr).dial(Wire), server)
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")

    run(program())


@pytest.mark.parametrize("secure", [False, True])
def test_a_unix_socket(run: Run[None], tmp_path: Path, pair: Tls, secure: bool) -> None:
    """fasthttp's behaviour 12."""
    path = str(tmp_path / "socket")

    async def program() -> None:
        server = Server()
        loop = asyncio.get_running_loop()
        tls, name = (pair.client, "peer.example") if secure else (None, None)
        listening = await loop.create_unix_server(lambda: Wire(server.made), path, ssl=pair.server if secure else None)
        await talk(await dialer(f"unix:{path}", tls, server_hostname=name).dial(Wire), server)
        listening.close()
        with pytest.raises(DialFailed, match=f"unix:{path}gone"):
            await dialer(f"unix:{path}gone", tls, server_hostname=name).dial(Wire)

    run(program())


class Buffered(asyncio.BufferedProtocol):
    """A protocol that brings its own, small buffer."""

    def __init__(self) -> None:
        self.buffer = bytearray(4)
        self.received = b""
        self.ended = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.buffer[:nbytes]

    def eof_received(self) -> None:
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocol", [Wire, Buffered])
def test_what_the_peer_says_first_is_not_lost(
    run: Run[None], pair: Tls, version: ssl.TLSVersion | None, protocol: type[Any]
) -> None:
    """With TLS 1.2 it comes together with the last message of the handshake."""
    tls = None if version is None else pair.server_of(version)

    async def program() -> None:
        async with serving(tls, lambda wire: wire.send(b"welcome to all")) as (server, addr):
            owner = await dialer(addr, pair.client if tls else None).dial(protocol)
            (await server.accept()).close()
            if isinstance(owner, Buffered):
                await soon(owner.ended.wait())
            else:
                await owner.gone()
            assert bytes(owner.received) == b"welcome to all"
            owner.transport.abort()

    run(program())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_peer_that_closes_behind_the_handshake(
    run: Run[None], pair: Tls, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """The dial fails, if it is told in time; else the owner hears of it. Nobody complains in the log."""

    async def program() -> None:
        async with serving(pair.server_of(version), lambda wire: wire.close()) as (_, addr):
            dialed = await asyncio.gather(dialer(addr, pair.client).dial(TlsWire), return_exceptions=True)
            if isinstance(dialed[0], TlsWire):
                await dialed[0].gone()
            else:
                assert isinstance(dialed[0], DialFailed)
                assert "closed the connection as soon as" in str(dialed[0])

    run(program())
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


# ---------------------------------------------------------------------- TLS


def test_a_secure_connection(run: Run[None], pair: Tls) -> None:
    """The phases are told, the name of the address is asked for, without a dot at its end, and HTTP/1.1 is agreed on."""

    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            phases: list[str] = []
            tested = dialer(addr.replace("127.0.0.1", "Peer.Example."), pair.client, resolver=Here())
            wire = await tested.dial(Wire, progress=phases.append)
            assert phases == ["dial-queue", "dns", "dial", "tls"]
            assert pair.asked_for[-1] == "peer.example"
            assert wire.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            await talk(wire, server)

    run(program())


def test_another_name_may_be_asked_for(run: Run[None], pair: Tls) -> None:
    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            wire = await dialer(addr, pair.client, server_hostname="peer.example").dial(Wire)
            assert pair.asked_for[-1] == "peer.example"
            await talk(wire, server)
            with pytest.raises(DialFailed, match="certificate"):  # which is for the former only
                await dialer(addr, pair.client, server_hostname="other.example").dial(Wire)

    run(program())


def test_an_untrusted_certificate_is_an_error_every_time(run: Run[None], pair: Tls) -> None:
    """fasthttp's behaviour 51."""

    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            tested = dialer(addr, tls=True)
            for _ in range(3):
                with pytest.raises(DialFailed, match=r"CERTIFICATE_VERIFY_FAILED.*\(phase tls\)") as caught:
                    await tested.dial(Wire)
                assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            await server.all_gone()

    run(program())


def test_the_usual_context_is_made_once_and_checks_its_peer() -> None:
    context = usual_context()
    assert context is usual_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_the_usual_context_offers_http(run: Run[None], pair: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    context = usual_context.__wrapped__()
    pair.authority.configure_trust(context)
    monkeypatch.setattr("sleepy.tcp.dialing.dialer.usual_context", lambda: context)

    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            wire = await dialer(addr, tls=True).dial(Wire)
            assert wire.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            await talk(wire, server)

    run(program())


def test_a_silent_peer_ends_the_handshake_at_the_deadline(run: Run[None], pair: Tls) -> None:
    """Rule 2, and fasthttp's behaviour 22: nobody answers the hello."""

    async def program() -> None:
        async with serving() as (server, addr):
            with pytest.raises(DialTimeout, match=rf"{addr}: silent for 0\.\d+ s \(phase tls\)$") as caught:
                await dialer(addr, pair.client, timeout=0.5).dial(Wire)
            assert caught.value.phase == "tls"
            await server.all_gone()

    run(program())


@pytest.mark.parametrize("end", ["close", "reset", "talk"])
def test_a_peer_that_does_not_speak_tls(run: Run[None], pair: Tls, end: str) -> None:
    def answer(wire: Wire) -> None:
        if end == "talk":
            wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif end == "close":
            wire.close()
        else:
            wire.reset()

    async def program() -> None:
        async with serving(None, answer) as (_, addr):
            with pytest.raises(DialFailed, match=rf"cannot connect: {addr}: .+"):
                await dialer(addr, pair.client).dial(Wire)

    run(program())


def test_tls_goes_through_a_dial_of_ones_own(run: Run[None], pair: Tls) -> None:
    """The certificate has to be for the address that was asked for, whatever was connected to."""

    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            host, _, port = addr.rpartition(":")

            async def through_proxy(factory: Callable[[], Any], address: Address) -> Any:
                _, protocol = await asyncio.get_running_loop().create_connection(factory, host, int(port))
                return protocol

            wire = await dialer("peer.example:443", pair.client, dial=through_proxy).dial(Wire)
            assert pair.asked_for[-1] == "peer.example"
            await talk(wire, server)

    run(program())


# ---------------------------------------------------------------------- cancellation (rule 5)


@pytest.mark.parametrize("secure", [False, True])
def test_a_dial_that_is_cancelled_at_any_turn_leaves_nothing_behind(run: Run[None], pair: Tls, secure: bool) -> None:
    """Rule 5: after so many turns of the event loop, from the first step to the last."""

    async def dial(addr: str, stop_after: int) -> bool:
        """Whether it was stopped before its end."""
        tls = pair.client if secure else None
        task = asyncio.create_task(dialer(addr.replace("127.0.0.1", "peer.example"), tls, resolver=Here()).dial(Wire))
        for _ in range(stop_after):
            await asyncio.sleep(0)
        task.cancel()
        try:
            wire = await task
        except asyncio.CancelledError:
            return True
        wire.transport.abort()
        return False

    async def program() -> None:
        async with serving(pair.server if secure else None) as (server, addr):
            stop_after = 0
            while await dial(addr, stop_after):
                stop_after += 1
            assert stop_after > 5
            await server.all_gone()

    run(program())


@pytest.mark.parametrize("phase", ["dns", "dial", "tls"])
def test_a_dial_that_is_cancelled_in_a_phase_leaves_nothing_behind(run: Run[None], pair: Tls, phase: str) -> None:
    """Rule 5: as the phase begins."""

    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            reached = asyncio.Event()
            tested = dialer(addr.replace("127.0.0.1", "peer.example"), pair.client, resolver=Here())
            task = asyncio.create_task(tested.dial(Wire, progress=lambda now: reached.set() if now == phase else None))
            await soon(reached.wait())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.all_gone()

    run(program())


@pytest.mark.parametrize("phase", ["dial-queue", "dns", "dial", "tls"])
def test_a_mistake_in_progress_leaves_nothing_behind(run: Run[None], pair: Tls, phase: str) -> None:
    """Rule 5: its error is the program's."""

    def progress(now: str) -> None:
        if now == phase:
            raise ZeroDivisionError

    async def program() -> None:
        async with serving(pair.server) as (server, addr):
            tested = dialer(
                addr.replace("127.0.0.1", "peer.example"), pair.client, resolver=Here(), max_concurrent_dials=1
            )
            with pytest.raises(ZeroDivisionError):
                await tested.dial(Wire, progress=progress)
            await talk(await tested.dial(Wire), server)

    run(program())


def test_a_stopped_program_leaves_nothing_behind(run: Run[None], pair: Tls) -> None:
    """As when somebody presses Ctrl-C: every task is cancelled at once."""

    async def program() -> Awaitable[Any]:
        async with serving() as (server, addr):
            tasks = [asyncio.create_task(dialer(addr, pair.client).dial(Wire)) for _ in range(5)]
            await server.accept()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if "dial" in str(task.get_coro()) or "_hold" in str(task.get_coro()):
                    task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(error, asyncio.CancelledError) for error in ended)
            await server.all_gone()

    run(program())
