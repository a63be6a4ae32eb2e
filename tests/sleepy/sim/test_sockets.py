"""`sleepy.sim.sockets`: ports, and what a program may ask of a socket."""

import errno
import socket
import sys

import pytest

from sleepy.sim.sockets import SocketInfo
from tests.sleepy.sim.datagrams import PORT, Inbox, bind, simulate


def test_a_port_has_one_owner_until_it_is_closed() -> None:
    async def client() -> None:
        first = await bind(Inbox(), ("0.0.0.0", 5))
        for address in ("0.0.0.0", "127.0.0.1", "client"):
            with pytest.raises(OSError, match=r":5 on <Host client") as caught:
                await bind(Inbox(), (address, 5))
            assert caught.value.errno == errno.EADDRINUSE
        first.close()
        await bind(Inbox(), ("127.0.0.1", 5))
        with pytest.raises(OSError, match=r"0\.0\.0\.0:5"):
            await bind(Inbox(), ("0.0.0.0", 5))
        await bind(Inbox(), ("client", 5))
        with pytest.raises(OSError, match="is not <Host client") as caught:
            await bind(Inbox(), ("server", 5))
        assert caught.value.errno == errno.EADDRNOTAVAIL

    simulate(client)


def test_ports_for_clients_are_given_out_in_turn_and_run_out() -> None:
    async def client() -> None:
        transports = [await bind(Inbox()) for _ in range(65536 - 49152)]
        assert len({t.get_extra_info("sockname") for t in transports}) == len(transports)
        with pytest.raises(OSError, match="all 16384 ports"):
            await bind(Inbox())
        transports[77].close()
        assert (await bind(Inbox())).get_extra_info("sockname")[1] == 49152 + 77

    simulate(client)


def test_what_programs_ask_of_a_transport_and_its_socket() -> None:
    async def client() -> None:
        inbox = Inbox()
        transport = await bind(inbox, remote=("server", PORT))
        info = transport.get_extra_info("socket")
        assert info.getsockname() == transport.get_extra_info("sockname") == ("10.0.0.1", 49152)
        assert info.getpeername() == transport.get_extra_info("peername") == ("10.0.0.2", PORT)
        assert (info.family, info.type) == (socket.AF_INET, socket.SOCK_DGRAM)
        info.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert info.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 1 << 20
        assert transport.get_write_buffer_size() == 0
        assert transport.get_protocol() is inbox
        with pytest.raises(NotImplementedError, match="no file descriptor"):
            info.fileno()
        with pytest.raises(OSError, match="not connected"):
            (await bind(Inbox())).get_extra_info("socket").getpeername()

    simulate(client)


def test_the_options_that_are_heeded() -> None:
    told: list[bool] = []
    info = SocketInfo("tcp", ("10.0.0.1", 5), None, told.append)
    assert info.type is socket.SOCK_STREAM
    assert info.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1  # as asyncio sets it
    for value in (0, 1, (0).to_bytes(4, "little"), (1).to_bytes(4, "little")):
        info.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, value)
    assert told == [False, True, False, True]
    info.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert len(told) == 4
    assert not info.dont_fragment
    option, value = {"linux": (10, 2), "darwin": (28, 1), "win32": (14, 1)}[sys.platform]
    info.setsockopt(socket.IPPROTO_IP, option, value)
    assert info.dont_fragment


def test_an_option_that_was_not_set_is_nothing() -> None:
    info = SocketInfo("udp", ("10.0.0.1", 5), None)
    assert info.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 0
    assert info.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == bytes(8)


def test_what_needs_a_real_socket_says_so() -> None:
    info = SocketInfo("udp", ("10.0.0.1", 5), None)
    with pytest.raises(AttributeError, match="a simulated socket has no 'recv'; talk to its transport"):
        info.recv(100)
    assert info.gettimeout() == 0.0
