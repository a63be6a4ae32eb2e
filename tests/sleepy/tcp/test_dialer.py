"""`sleepy.tcp.dialer`: addresses in turn, under one deadline."""

import asyncio
import ssl
from typing import Any

import pytest

from sleepy.tcp.dialer import Dialer, split_address
from tests.sleepy.tcp.helpers import Clock, Peer, Wire, closed_port, soon

pytestmark = pytest.mark.usefixtures("tidy")


def dialer(*addrs: str, tls: ssl.SSLContext | None = None, timeout: float = 30.0) -> Dialer:
    return Dialer(",".join(addrs), tls=tls, timeout=timeout)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("a:1", ("a", 1)),
        ("example.org:65535", ("example.org", 65535)),
        ("127.0.0.1:080", ("127.0.0.1", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("[fe80::1.2.3.4]:8000", ("fe80::1.2.3.4", 8000)),
    ],
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "a:-1",
        "a:+1",
        "a: 1",
        "a:x",
        "a:\xb2",
        "::1",
        "::1:80",
        "[::1]",
        "[]:1",
        "[::1:80",
        "a b:1",
        "a\r\nb:1",
        "http://a:1",
        "a:1/",
        "bücher.example:80",
        "a:999999999",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        split_address(address)
    with pytest.raises(ValueError, match="is not host:port"):
        dialer("a:1", address)


class Network:
    """Stands in for ``loop.create_connection``: what each port does, and what was tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **ports: OSError | None) -> None:
        self.ports = ports  # by host: an error, or None to stay silent; the others answer
        self.tried: list[str] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", self.create_connection)

    async def create_connection(self, factory: Any, host: str, port: int, **_: Any) -> tuple[None, Any]:
        self.tried.append(host)
        if host in self.ports:
            error = self.ports[host]
            if error is None:
                await asyncio.Event().wait()
            else:
                raise error
        return None, factory()


async def test_each_dial_starts_with_the_next_address(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch)
    tested = dialer("a:1", " b:2 ", "c:3")
    for _ in range(4):
        await tested.dial(Wire)
    assert network.tried == ["a", "b", "c", "a"]


async def test_an_address_that_fails_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, a=OSError("no a"), b=ConnectionRefusedError("no b"))
    tested = dialer("a:1", "b:2", "c:3")
    assert isinstance(await tested.dial(Wire), Wire)
    assert network.tried == ["a", "b", "c"]
    await tested.dial(Wire)  # starts with b all the same
    assert network.tried[3:] == ["b", "c"]


async def test_if_none_answers_the_error_names_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch, a=OSError("no a"), b=ConnectionRefusedError("no b"))
    with pytest.raises(ConnectionError, match=r"cannot connect: a:1: no a; b:2: no b$"):
        await dialer("a:1", "b:2").dial(Wire)


async def test_a_silent_address_does_not_keep_the_next_from_being_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    network, clock = Network(monkeypatch, a=None), Clock()
    dial = asyncio.create_task(dialer("a:1", "b:2", timeout=10.0).dial(Wire))
    await clock.advance(4.9)
    assert network.tried == ["a"]
    await clock.advance(0.2)
    assert isinstance(await soon(dial), Wire)
    assert network.tried == ["a", "b"]


async def test_one_deadline_stands_over_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    network, clock = Network(monkeypatch, a=None, b=OSError("no b"), c=None), Clock()
    dial = asyncio.create_task(dialer("a:1", "b:2", "c:3", timeout=9.0).dial(Wire))
    await clock.advance(3.1)  # a third for a, then b fails at once, then all that is left for c
    assert network.tried == ["a", "b", "c"]
    await clock.advance(5.8)
    assert not dial.done()
    await clock.advance(0.2)
    with pytest.raises(TimeoutError, match=r"cannot connect: a:1: silent for 3 s; b:2: no b; c:3: silent for 5\.[89]"):
        await soon(dial)


async def test_a_real_connection() -> None:
    async with Peer() as peer:
        wire = await dialer(closed_port(), peer.addr).dial(Wire)
        wire.send(b"hello\n")
        assert await (await peer.accept()).read(b"\n") == b"hello\n"
        wire.close()


async def test_nobody_there() -> None:
    with pytest.raises(ConnectionError, match=r"cannot connect: 127\.0\.0\.1:\d+: .*refused|Connect call failed"):
        await dialer(closed_port()).dial(Wire)


async def test_a_silent_tls_peer_does_not_hold_a_dial_for_ever() -> None:
    """The handshake is under the same deadline."""
    clock = Clock()
    async with Peer() as peer:
        dial = asyncio.create_task(dialer(peer.addr, tls=ssl.create_default_context(), timeout=5.0).dial(Wire))
        wire = await peer.accept()
        await wire.until(lambda: len(wire.received) > 0)  # its hello, which nobody answers
        assert not dial.done()
        await clock.advance(5.1)
        with pytest.raises(TimeoutError, match=r"silent for [45]"):
            await soon(dial)
        await wire.gone()


async def test_a_tls_peer_that_speaks_something_else_is_an_error_of_the_dial() -> None:
    async with Peer() as peer:
        dial = asyncio.create_task(dialer(peer.addr, tls=ssl.create_default_context()).dial(Wire))
        wire = await peer.accept()
        wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(ConnectionError, match="cannot connect"):
            await soon(dial)
