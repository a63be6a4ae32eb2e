"""The rules of sleepy/udp/nodes/batch.py, over the loopback, with and without what the kernel offers."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sleepy import sim
from sleepy.udp.nodes import batch
from sleepy.udp.nodes.batch import BatchSocket, TransportSocket, normal_address, open_socket, resolve

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="segmentation offload is Linux's")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a test's coroutine on each loop, for ten seconds at most."""
    new_loop = asyncio.new_event_loop
    if request.param == "uvloop":
        new_loop = pytest.importorskip("uvloop").new_event_loop

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=new_loop, debug=True) as runner:
            runner.run(asyncio.wait_for(main, 10))

    return run


class Inbox:
    """What arrived, and a way to wait for it."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.senders: set[tuple[str, int]] = set()
        self._changed = asyncio.Event()

    def __call__(self, datagrams: list[bytes], address: tuple[str, int]) -> None:
        self.datagrams += datagrams
        self.senders.add(address)
        self._changed.set()

    async def holds(self, count: int) -> None:
        while len(self.datagrams) < count:
            self._changed.clear()
            await self._changed.wait()


class Kernel(socket.socket):
    """A socket that behaves as another kernel or another network card would."""

    def __init__(self, *, offload: bool = True) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.bind(("127.0.0.1", 0))
        self.offload = offload
        self.answers: list[int] = []  # errors of the next calls; 0: as usual
        self.super_packets = 0

    def _answer(self) -> None:
        number = self.answers.pop(0) if self.answers else 0
        if number:
            raise OSError(number, os.strerror(number))

    def setsockopt(self, level: int, option: int, value: Any, *rest: Any) -> None:
        if level == batch.SOL_UDP and not self.offload:
            raise OSError(errno.ENOPROTOOPT, "no such option")
        super().setsockopt(level, option, value, *rest)

    def sendto(self, data: bytes, address: Any) -> int:  # type: ignore[override]
        self._answer()
        return super().sendto(data, address)

    def sendmsg(self, *args: Any) -> int:
        self.super_packets += 1
        self._answer()
        return super().sendmsg(*args)


def over(sock: socket.socket, receive: Any = lambda *_: None, on_room: Any = lambda: None) -> BatchSocket:
    return BatchSocket(asyncio.get_running_loop(), sock, receive, on_room)


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [number.to_bytes(4, "big").ljust(size, b".") for number in range(count)]


# --- rules 2 and 3: over the loopback ---------------------------------------------------------------------------------


@pytest.mark.parametrize("offload", [True, False])
def test_datagrams_arrive_in_order_with_and_without_offload(run: Any, offload: bool) -> None:
    """Rule 2: the same datagrams come out; with offload, by far fewer calls at both ends."""
    expected = [*numbered(100, 1200), b"a shorter one", *numbered(100, 50)]

    async def main() -> None:
        inbox = Inbox()
        here, there = over(Kernel(offload=offload)), over(Kernel(offload=offload), inbox)
        here.send(expected, there.address)
        await inbox.holds(len(expected))
        assert inbox.datagrams == expected
        assert inbox.senders == {here.address}
        assert (here.counters.sent, there.counters.received) == (201, 201)
        if offload and sys.platform == "linux":
            assert here.counters.calls == 4
            assert there.counters.calls <= 10
        else:
            assert here.counters.calls == 201
        here.close()
        there.close()

    run(main())


@linux_only
@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP])
def test_a_refused_super_packet_goes_in_pieces_and_is_not_tried_again(run: Any, number: int) -> None:
    """Rule 2: nothing is lost by the refusal, and it is asked for no second one."""

    async def main() -> None:
        inbox = Inbox()
        kernel = Kernel()
        here, there = over(kernel), over(Kernel(), inbox)
        kernel.answers = [number]
        here.send(numbered(150), there.address)
        here.send(numbered(20), there.address)
        await inbox.holds(170)
        assert inbox.datagrams == numbered(150) + numbered(20)
        assert kernel.super_packets == 3  # all that were made up before the refusal; the two others go well
        assert here.counters.failed == 0
        here.close()
        there.close()

    run(main())


@linux_only
def test_no_way_there_is_no_refusal(run: Any) -> None:
    """Rules 2 and 4: a network that is down loses datagrams and says why; the offload is used again afterwards."""

    async def main() -> None:
        inbox = Inbox()
        kernel = Kernel()
        here, there = over(kernel), over(Kernel(), inbox)
        kernel.answers = [errno.ENETUNREACH]
        here.send(numbered(10), there.address)
        assert (here.counters.failed, kernel.super_packets) == (10, 1)
        assert here.counters.last_error is not None
        assert here.counters.last_error.errno == errno.ENETUNREACH
        here.send(numbered(10), there.address)
        await inbox.holds(10)
        assert kernel.super_packets == 2
        here.close()
        there.close()

    run(main())


@pytest.mark.parametrize("offload", [True, False])
def test_reading_leaves_others_their_turn(run: Any, offload: bool) -> None:
    """Rule 3: a full socket is not emptied in one go, and not left alone either."""

    async def main() -> None:
        inbox = Inbox()
        here, there = over(Kernel(offload=offload)), over(Kernel(offload=offload), inbox)
        here.send(numbered(600, 10), there.address)
        there._on_readable()
        assert batch.READS_PER_TURN <= len(inbox.datagrams) < batch.READS_PER_TURN + batch.MAX_SEGMENTS
        await inbox.holds(600)
        assert inbox.datagrams == numbered(600, 10)
        here.close()
        there.close()

    run(main())


def test_empty_datagrams_and_closing_while_reading_are_no_errors(run: Any) -> None:
    """Anybody may send an empty datagram, and whoever receives may close the socket at once."""

    async def main() -> None:
        heard: list[list[bytes]] = []

        def receive(datagrams: list[bytes], _address: Any) -> None:
            heard.append(datagrams)
            if datagrams:
                there.close()

        there = over(Kernel(offload=False), receive)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for datagram in (b"", b"first", b"second"):
                stranger.sendto(datagram, there.address)
        there._on_readable()
        assert heard == [[], [b"first"]]
        assert there.counters.last_error is None  # nobody reads from what is closed
        there.close()
        there.send([b"after the end"], ("127.0.0.1", 9))
        assert there.counters.failed == 1

    run(main())


# --- rule 4: a full buffer --------------------------------------------------------------------------------------------


def test_what_does_not_go_now_waits_in_order(run: Any) -> None:
    """Rule 4: the buffer is full twice; nothing is lost, the order is kept, and the room is made known once."""

    async def main() -> None:
        inbox, room = Inbox(), asyncio.Event()
        kernel = Kernel()
        here, there = over(kernel, on_room=room.set), over(Kernel(), inbox)
        kernel.answers = [0, errno.EAGAIN, errno.EAGAIN]
        here.send(numbered(100), there.address)
        assert here.blocked
        here.send([b"later"], there.address)
        assert not room.is_set()
        await room.wait()
        assert not here.blocked
        await inbox.holds(101)
        assert inbox.datagrams == [*numbered(100), b"later"]
        assert here.counters.failed == 0
        here.close()
        there.close()

    run(main())


def test_closing_drops_what_waits(run: Any) -> None:
    """Rule 4: a closed socket has no writer left at the loop, and does not come back."""

    async def main() -> None:
        kernel = Kernel()
        rooms: list[None] = []
        here = over(kernel, on_room=lambda: rooms.append(None))
        kernel.answers = [errno.EAGAIN]
        here.send(numbered(3), here.address)
        here.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not rooms

    run(main())


# --- rule 5: fragments ------------------------------------------------------------------------------------------------


@linux_only
def test_datagrams_are_not_to_be_fragmented(run: Any) -> None:
    """Rule 5: what does not fit the way is refused here, not cut up; the loopback's way is 64 KiB wide, so ask."""

    async def main() -> None:
        here = await open_socket("127.0.0.1", 0, lambda *_: None, lambda: None)
        assert isinstance(here, BatchSocket)
        assert here._socket.getsockopt(socket.IPPROTO_IP, 10) == 3
        here.close()

    run(main())


# --- rule 6: other loops ----------------------------------------------------------------------------------------------


class NoReaders(asyncio.SelectorEventLoop):
    """As Windows' proactor: it has transports, and watches no sockets of ours."""

    def remove_reader(self, fd: Any) -> bool:
        raise NotImplementedError


def test_a_loop_without_readers_gets_a_transport() -> None:
    async def main() -> None:
        inbox = Inbox()
        here = await open_socket("127.0.0.1", 0, lambda *_: None, lambda: None)
        there = await open_socket("127.0.0.1", 0, inbox, lambda: None)
        assert isinstance(here, TransportSocket)
        here.send(numbered(20), there.address)
        await inbox.holds(20)
        assert inbox.datagrams == numbered(20)
        assert inbox.senders == {here.address}
        assert there.counters.received == here.counters.sent == 20
        assert here.family == socket.AF_INET
        here.close()
        there.close()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=NoReaders, debug=True) as runner:
        runner.run(asyncio.wait_for(main(), 10))


async def test_a_full_transport_says_so() -> None:
    """Rule 4, as asyncio tells it; and what it could not send is counted."""
    rooms: list[None] = []
    here = TransportSocket(lambda *_: None, lambda: rooms.append(None))
    here.pause_writing()
    assert here.blocked
    here.resume_writing()
    assert (here.blocked, len(rooms)) == (False, 1)
    here.error_received(OSError(errno.EPERM, "forbidden"))
    assert here.counters.failed == 1
    assert here.counters.last_error is not None


def test_a_simulated_host_has_sockets_too(network: sim.Network) -> None:
    network.link("alice", "bob", sim.Link(delay=0.01))

    async def alice() -> None:
        here = await open_socket("", 0, lambda *_: None, lambda: None)
        here.send(numbered(3), (network.host("bob").address, 700))
        here.close()

    async def bob(ready: asyncio.Event) -> None:
        inbox = Inbox()
        there = await open_socket("", 700, inbox, lambda: None)
        ready.set()
        await inbox.holds(3)
        assert inbox.datagrams == numbered(3)
        there.close()

    async def main() -> None:
        ready = asyncio.Event()
        waiting = network.host("bob").start(bob(ready))
        await ready.wait()
        await network.host("alice").run(alice())
        await waiting

    sim.run(main(), network)


async def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    """An unclosed socket would be a ResourceWarning, which is an error here."""
    first = await open_socket("127.0.0.1", 0, lambda *_: None, lambda: None)
    with pytest.raises(OSError, match="in use"):
        await open_socket("127.0.0.1", first.address[1], lambda *_: None, lambda: None)
    first.close()


async def test_ipv6_addresses_have_two_parts() -> None:
    """Addresses are keys, so there is one form of each; a zone stays where the way back needs it."""
    assert normal_address(("::1", 9, 0, 0)) == ("::1", 9)
    assert normal_address(("fe80::1", 9, 0, 3)) == ("fe80::1%3", 9)
    assert normal_address(("fe80::1%eth0", 9, 0, 3)) == ("fe80::1%eth0", 9)
    inbox = Inbox()
    try:
        there = await open_socket("::1", 0, inbox, lambda: None)
    except OSError:
        pytest.skip("no IPv6 here")
    here = await open_socket("::1", 0, lambda *_: None, lambda: None)
    here.send(numbered(5), there.address)
    async with asyncio.timeout(10):
        await inbox.holds(5)
    assert inbox.senders == {here.address}
    here.close()
    there.close()


async def test_a_failure_says_what_it_is_about() -> None:
    """The system's own words name neither the address that is taken nor the name that is unknown."""
    taken = await open_socket("127.0.0.1", 0, print, print)
    try:
        with pytest.raises(OSError, match=f"cannot bind 127.0.0.1:{taken.address[1]}: ") as caught:
            await open_socket(*taken.address, print, print)
        assert caught.value.errno == errno.EADDRINUSE
    finally:
        taken.close()
    with pytest.raises(socket.gaierror, match="'no such host', port 9"):
        await resolve("no such host", 9)
    with pytest.raises(socket.gaierror, match=r"'::1', port 9.* bind the node to '::'"):
        await resolve("::1", 9, family=socket.AF_INET)
