"""`sleepy.sim.loop`: asyncio's network calls, answered by the host on which a task lives."""

import asyncio
import socket
import socket as real_socket
from typing import Any

import pytest

from tests.sleepy.sim.datagrams import PORT, Inbox, bind, simulate
from tests.sleepy.sim.tcp import streams
from tests.sleepy.sim.tcp.streams import Recorder


def test_an_unknown_name_is_an_error() -> None:
    async def client() -> Inbox:
        inbox = Inbox()
        (await bind(inbox)).sendto(b"x", ("srever", PORT))
        with pytest.raises(socket.gaierror, match="no host is called 'srever'; there are: client, server"):
            await bind(Inbox(), remote=("srever", PORT))
        return inbox

    assert [type(error) for error in simulate(client).errors] == [socket.gaierror]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sock": object()}, NotImplementedError),
        ({"reuse_port": True}, NotImplementedError),
        ({"local_addr": "/run/socket"}, NotImplementedError),
        ({"tpyo": 1}, TypeError),
    ],
)
def test_options_that_cannot_be_heeded_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    async def client() -> None:
        with pytest.raises(error, match="create_datagram_endpoint"):
            await asyncio.get_running_loop().create_datagram_endpoint(Inbox, **options)

    simulate(client)


def test_an_unknown_name_is_an_error_for_streams_too() -> None:
    async def client() -> None:
        with pytest.raises(real_socket.gaierror, match="no host is called 'srever'"):
            await asyncio.open_connection("srever", PORT)

    streams.simulate(client)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ssl": True}, NotImplementedError),
        ({"ssl_handshake_timeout": 5}, NotImplementedError),
        ({"sock": 1}, NotImplementedError),
        ({"tpyo": 1}, TypeError),
    ],
)
def test_so_are_those_of_connections_and_servers(options: dict[str, Any], error: type[Exception]) -> None:
    async def client() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(error, match="create_connection"):
            await loop.create_connection(Recorder, "server", PORT, **options)
        with pytest.raises(error, match="create_server"):
            await loop.create_server(Recorder, "0.0.0.0", PORT, **options)

    streams.simulate(client)


def test_an_option_that_says_no_is_heeded() -> None:
    """Libraries hand on all that asyncio has."""
    no = {"ssl": None, "ssl_handshake_timeout": None, "ssl_shutdown_timeout": None}

    async def client() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "0.0.0.0", PORT, reuse_port=None, **no)
        transport, _ = await loop.create_connection(Recorder, "localhost", PORT, server_hostname=None, sock=None, **no)
        transport.close()

    streams.simulate(client)


@pytest.mark.parametrize("port", [-1, 65536, "65536"])
def test_what_is_no_port_is_refused_as_by_real_sockets(port: Any) -> None:
    async def client() -> None:
        loop = asyncio.get_running_loop()
        for call in (
            lambda: loop.create_connection(Recorder, "server", port),
            lambda: loop.create_server(Recorder, "0.0.0.0", port),
            lambda: loop.create_datagram_endpoint(Inbox, ("0.0.0.0", port)),
            lambda: loop.getaddrinfo("server", port),
        ):
            with pytest.raises(OverflowError, match="port must be 0-65535"):
                await call()

    simulate(client)


@pytest.mark.parametrize(
    ("host", "flags", "address"),
    [
        ("server", 0, "10.0.0.2"),
        (b"server", 0, "10.0.0.2"),
        ("10.0.0.2", 0, "10.0.0.2"),
        (None, 0, "127.0.0.1"),
        ("", 0, "127.0.0.1"),
        (None, socket.AI_PASSIVE, "0.0.0.0"),
        ("localhost", 0, "127.0.0.1"),
    ],
)
def test_names_are_those_of_the_network(host: Any, flags: int, address: str) -> None:
    """Without one it is this host; for who listens, all of its addresses."""

    async def client() -> Any:
        return await asyncio.get_running_loop().getaddrinfo(host, "80", type=socket.SOCK_STREAM, flags=flags)

    assert simulate(client) == [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))]


def test_what_is_not_in_the_network_is_an_error_of_the_resolver() -> None:
    async def client() -> None:
        resolve = asyncio.get_running_loop().getaddrinfo
        with pytest.raises(socket.gaierror, match="IPv4 only"):
            await resolve("server", 80, family=socket.AF_INET6)
        with pytest.raises(socket.gaierror, match="IPv4 only"):
            await resolve("::1", 80)
        with pytest.raises(socket.gaierror, match="not names such as 'http'"):
            await resolve("server", "http")
        with pytest.raises(socket.gaierror, match="no host is called"):
            await resolve("nobody", 80)
        both = await resolve("server", 80)
        assert [kind for _, kind, _, _, _ in both] == [socket.SOCK_STREAM, socket.SOCK_DGRAM]
        assert len(await resolve("server", 80, proto=socket.IPPROTO_UDP)) == 1

    simulate(client)
