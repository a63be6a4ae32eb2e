"""`sleepy.tcp.host_client`: one request on each connection. What both clients promise: test_peer_client."""

import asyncio
from typing import Any

import pytest

from sleepy.tcp import ConnectionClosed, HostClient, Http1, NoFreeConnections, Request, RequestTimeout, Response
from sleepy.tcp.codec import Encoded
from tests.sleepy.tcp.helpers import Clock, Peer, Watch, Wire, soon, turns, turns_until

pytestmark = pytest.mark.usefixtures("tidy")
Asking = asyncio.Task[Response]


async def ask(client: HostClient, peer: Peer, count: int) -> tuple[list[Asking], list[Wire]]:
    """``count`` requests, each on a connection of its own, all read by the peer and none answered."""
    tasks, wires = [], []
    for number in range(count):
        tasks.append(asyncio.create_task(client.get(f"/{number}")))
        wires.append(await peer.accept())
        await wires[-1].read_head()
    return tasks, wires


async def warm(client: HostClient, peer: Peer, count: int) -> list[Wire]:
    """Make ``count`` idle connections, used in this order."""
    tasks, wires = await ask(client, peer, count)
    for task, wire in zip(tasks, wires, strict=True):
        wire.answer()
        await soon(task)
    assert client.idle_conns_count == client.conns_count == count
    return wires


async def used(client: HostClient, wires: list[Wire]) -> Wire:
    """Which of the idle connections the next request takes."""
    task = asyncio.create_task(client.get("/which"))
    await turns()
    _, pending = await asyncio.wait(
        reads := [asyncio.create_task(wire.read_head()) for wire in wires], return_when=asyncio.FIRST_COMPLETED
    )
    for read in pending:
        read.cancel()
    (wire,) = (wire for wire, read in zip(wires, reads, strict=True) if read not in pending)
    wire.answer()
    await soon(task)
    return wire


# A request on each connection


async def test_a_slow_answer_delays_nobody_else() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=2) as client:
        (slow, quick), (_, wire) = await ask(client, peer, 2)
        assert (client.conns_count, client.idle_conns_count, client.pending_requests) == (2, 0, 2)
        wire.answer(b"quick")
        assert (await soon(quick)).body == b"quick"
        assert not slow.done()
        peer.wires[0].answer(b"slow")
        assert (await soon(slow)).body == b"slow"
        assert (client.conns_count, client.idle_conns_count, client.pending_requests) == (2, 2, 0)


async def test_who_finds_no_connection_takes_turns() -> None:
    """First come, first served; and each gets the answer to what he asked."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        tasks = [asyncio.create_task(client.get(f"/{number}")) for number in range(5)]
        wire = await peer.accept()
        for number in range(5):
            assert (await wire.read_head()).startswith(f"GET /{number} ".encode())
            wire.answer(b"%d" % number)
        assert [(await soon(task)).body for task in tasks] == [b"%d" % number for number in range(5)]
        assert len(peer.wires) == 1


@pytest.mark.parametrize("end", ["last answer", "close", "cancel", "timeout"])
async def test_however_a_request_ends_its_slot_is_free(end: str) -> None:
    """The next in line gets it, on a connection that nobody else had."""
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_attempts=1) as client:
        first = asyncio.create_task(client.get("/first", timeout=5.0))
        wire = await peer.accept()
        await wire.read_head()
        second = asyncio.create_task(client.get("/second"))
        await turns()
        if end == "last answer":
            wire.answer(b"", "connection: close")
        elif end == "close":
            wire.close()
        elif end == "cancel":
            first.cancel()
        else:
            await clock.advance(5.1)
        fresh = await peer.accept()
        assert b"/second" in await fresh.read_head()
        fresh.answer(b"x")
        assert (await soon(second)).body == b"x"
        (error,) = await soon(asyncio.gather(first, return_exceptions=True))
        kinds = {"close": ConnectionClosed, "cancel": asyncio.CancelledError, "timeout": RequestTimeout}
        assert isinstance(error, kinds.get(end, Response))
        assert client.conns_count == 1
        await wire.gone()  # nobody else can get the first one's answer


async def test_who_gives_up_in_line_is_not_served() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        (busy,), (wire,) = await ask(client, peer, 1)
        waits = asyncio.create_task(client.post("/waits", timeout=5.0))
        cancelled = asyncio.create_task(client.post("/cancelled"))
        stays = asyncio.create_task(client.post("/stays"))
        await turns()
        cancelled.cancel()
        await clock.advance(5.1)
        with pytest.raises(RequestTimeout) as late:
            await soon(waits)
        assert late.value.phase == "queue"
        wire.answer()
        await soon(busy)
        assert b"/stays" in await wire.read_head()
        wire.answer()
        await soon(stays)
        assert cancelled.cancelled()


async def test_who_times_out_in_the_turn_in_which_he_would_be_served_is_not_sent() -> None:
    """His caller is told that he was in line: so nothing of it may reach the peer."""
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        (busy,), (wire,) = await ask(client, peer, 1)
        late = asyncio.create_task(client.post("/late", timeout=5.0))
        await turns()
        (connection,) = client._connections
        clock._moved += 5.1
        asyncio.get_running_loop().call_at(
            clock.time(), connection.data_received, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        )
        with pytest.raises(RequestTimeout):
            await soon(late)
        await soon(busy)
        assert client.idle_conns_count == 1
        await client.close()
        assert await wire.read_all() == b""


# The limits of waiting


async def test_no_free_connection_after_a_while() -> None:
    """The error carries the counts, and the line is as if he had never been there."""
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=2, max_conn_wait_timeout=5.0) as client:
        tasks, wires = await ask(client, peer, 2)
        waiting = [asyncio.create_task(client.get("/")) for _ in range(3)]
        await clock.advance(4.9)
        assert not any(task.done() for task in waiting)
        await clock.advance(0.2)
        for task, more in zip(waiting, (2, 1, 0), strict=True):
            with pytest.raises(
                NoFreeConnections,
                match=rf"within 5 s: 2 of 2 are open or being dialed, 0 idle, {more} more requests in line",
            ):
                await soon(task)
        for task, wire in zip(tasks, wires, strict=True):
            wire.answer()
            await soon(task)
        assert client.pending_requests == 0
        assert client._waits == {}


async def test_not_to_wait_at_all() -> None:
    """A limit of 0, which is the default of fasthttp."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_conn_wait_timeout=0) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        with pytest.raises(NoFreeConnections):
            await soon(client.get("/"))
        wire.answer()
        await soon(task)


async def test_a_dial_is_no_waiting_for_a_connection() -> None:
    """Who is being dialed for has a connection coming; how long that takes is the dial's limit."""
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_conn_wait_timeout=0.001) as client:
        task = asyncio.create_task(client.get("/"))
        await turns(1)
        clock._moved += 1.0
        wire = await peer.accept()
        await wire.read_head()
        wire.answer()
        await soon(task)


async def test_the_shorter_of_two_limits_names_the_error() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_conn_wait_timeout=5.0) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        waiting = asyncio.create_task(client.get("/", timeout=4.0))
        await clock.advance(6.0)
        with pytest.raises(RequestTimeout) as late:
            await soon(waiting)
        assert late.value.phase == "queue"
        assert client._waits == {}
        wire.answer()
        await soon(task)


async def test_who_has_been_served_is_not_told_later_that_he_was_not() -> None:
    """Nor is his patience in line counted again when he is retried; then it begins anew."""
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_conn_wait_timeout=5.0) as client:
        (first,), (wire,) = await ask(client, peer, 1)
        second = asyncio.create_task(client.get("/second"))
        third = asyncio.create_task(client.get("/third"))
        await clock.advance(4.0)
        wire.answer()
        await soon(first)
        await wire.read_head()
        wire.close()  # the second is to go again, behind the third
        fresh = await peer.accept()
        assert b"/third" in await fresh.read_head()
        await clock.advance(4.0)
        assert not second.done()
        await clock.advance(1.1)
        with pytest.raises(NoFreeConnections):
            await soon(second)
        fresh.answer()
        await soon(third)


async def test_waiting_is_forever_by_default() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_idle_conn_duration=None) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        waiting = asyncio.create_task(client.get("/"))
        await clock.advance(1e6)
        wire.answer()
        await soon(task)
        await wire.read_head()
        wire.answer()
        await soon(waiting)


async def test_phases_are_told_apart_in_line() -> None:
    """One slot busy, one being dialed: the first in line waits for the dial, the second for anything."""
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conns=2, dial_timeout=60.0) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        never = asyncio.get_running_loop().create_future()

        async def silent(*_: Any, **__: Any) -> Any:
            await never

        client._dials._dialer.dial = silent  # type: ignore[method-assign]
        waiting = [asyncio.create_task(client.get("/", timeout=timeout)) for timeout in (5.0, 4.0)]
        await clock.advance(4.1)
        await clock.advance(1.0)
        phases = []
        for late in waiting:
            with pytest.raises(RequestTimeout) as error:
                await soon(late)
            phases.append(error.value.phase)
        assert phases == ["dial-queue", "queue"]
        wire.answer()
        await soon(task)


# The limit of connections


async def test_the_line_is_bounded() -> None:
    """Who finds it full hears so at once, with the counts; nobody who waits is thrown out for him."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, max_waiting_requests=2) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        waiting = [asyncio.create_task(client.get(f"/w{number}")) for number in range(2)]
        await turns()
        with pytest.raises(
            NoFreeConnections, match=r"no room in line: 1 of 1 are open.*0 idle, 2 more requests in line"
        ):
            await soon(client.get("/late"))
        assert client.pending_requests == 3
        wire.answer()
        await soon(task)
        for number in range(2):
            assert f"/w{number}".encode() in await wire.read_head()
            wire.answer()
        await asyncio.gather(*waiting)
    with pytest.raises(ValueError, match="max_waiting_requests"):
        HostClient("a:1", max_waiting_requests=-1)


async def test_who_waits_for_his_own_dial_is_not_in_line() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=3, max_waiting_requests=0) as client:
        tasks = [asyncio.create_task(client.get("/")) for _ in range(3)]
        for _ in range(3):
            wire = await peer.accept()
            await wire.read_head()
            wire.answer()
        assert [response.status for response in await asyncio.gather(*tasks)] == [200] * 3


async def test_raising_the_limit_serves_those_in_line() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        waiting = asyncio.create_task(client.get("/"))
        await turns()
        assert client.conns_count == 1
        client.max_conns = 2
        assert client.max_conns == client.conns_count == 2  # at once, and not when something else happens
        second = await peer.accept()
        await second.read_head()
        second.answer()
        await soon(waiting)
        wire.answer()
        await soon(task)


async def test_lowering_the_limit_closes_what_is_too_many() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=3) as client:
        wires = await warm(client, peer, 3)
        client.max_conns = 1
        assert client.conns_count == 1
        await wires[0].gone()
        await wires[1].gone()
        assert client.conns_count == client.idle_conns_count == 1
        assert await used(client, wires[2:]) is wires[2]


# Idle connections


@pytest.mark.parametrize(("strategy", "place"), [("lifo", -1), ("fifo", 0)])
async def test_which_idle_connection_is_taken(strategy: Any, place: int) -> None:
    async with Peer() as peer, HostClient(peer.addr, pool_strategy=strategy) as client:
        wires = await warm(client, peer, 3)
        assert await used(client, wires) is wires[place]


async def test_idle_connections_grow_old_one_by_one() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_idle_conn_duration=10.0) as client:
        first, second = await warm(client, peer, 2)
        await clock.advance(5.0)
        assert await used(client, [first, second]) is second
        await clock.advance(5.1)
        await first.gone()
        assert client.conns_count == 1
        await clock.advance(5.1)
        await second.gone()
        assert client.conns_count == 0
        assert client._cleaner is None  # nothing is left to clean


async def test_a_closed_client_cleans_no_more() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        await warm(client, peer, 1)
        cleaner = client._cleaner
        await client.close()
        assert cleaner is not None
        assert cleaner.cancelled()


async def test_a_busy_connection_is_not_cleaned_away() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_idle_conn_duration=10.0, max_conn_duration=15.0) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        await clock.advance(100.0)
        wire.answer(b"x")
        assert (await soon(task)).body == b"x"
        await wire.gone()  # it is too old to be used again
        assert client.conns_count == 0


async def test_an_old_connection_is_closed_though_it_is_used() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr, max_conn_duration=10.0) as client:
        (wire,) = await warm(client, peer, 1)
        await clock.advance(6.0)
        assert await used(client, [wire]) is wire
        await clock.advance(4.1)
        await wire.gone()
        assert client.conns_count == 0


async def test_closing_the_idle_spares_the_busy() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        wires = await warm(client, peer, 3)
        task = asyncio.create_task(client.get("/"))
        await wires[2].read_head()
        client.close_idle_connections()
        assert (client.conns_count, client.idle_conns_count) == (1, 0)
        await wires[0].gone()
        await wires[1].gone()
        wires[2].answer()
        await soon(task)


# Retries


async def test_a_retry_after_a_stale_connection_takes_a_fresh_one() -> None:
    """With five more that are as stale: fasthttp burns its attempts on them."""
    async with Peer() as peer, HostClient(peer.addr, max_attempts=1) as client:
        wires = await warm(client, peer, 6)
        task = asyncio.create_task(client.get("/again"))
        await wires[-1].read_head()
        wires[-1].close()
        fresh = await peer.accept()
        assert b"/again" in await fresh.read_head()
        for wire in wires:
            assert await wire.read_all() == b""
        fresh.answer()
        await soon(task)
        assert client.conns_count == 1


async def test_of_several_addresses_the_error_names_the_one_that_was_asked() -> None:
    async with Peer() as one, Peer() as two, HostClient(f"{one.addr},{two.addr}", max_attempts=1) as client:
        for peer in (one, two):
            asking = asyncio.create_task(client.get("/"))
            wire = await peer.accept()
            await wire.read_head()
            wire.close()
            with pytest.raises(ConnectionClosed, match=f"^{peer.addr} closed the connection before it answered"):
                await soon(asking)


async def test_only_the_first_stale_connection_is_free() -> None:
    """The retry meets another that has served before and ends without an answer: now it counts."""
    async with Peer() as peer, HostClient(peer.addr, max_attempts=1, max_conns=2) as client:
        one, two = await warm(client, peer, 2)
        first = asyncio.create_task(client.get("/first"))
        await two.read_head()
        second = asyncio.create_task(client.get("/second"))
        await one.read_head()
        client.max_conns = 1  # so that the retry has to wait for the other
        two.close()
        await turns_until(lambda: client.conns_count == 1)
        one.answer()
        await soon(second)
        assert b"/first" in await one.read_head()
        one.close()
        with pytest.raises(ConnectionClosed):
            await soon(first)
        await turns()
        assert len(peer.wires) == 2


async def test_an_interim_answer_is_an_answer_begun() -> None:
    """The peer has the request: this end is no idle connection's."""
    async with Peer() as peer, HostClient(peer.addr, max_attempts=1) as client:
        (wire,) = await warm(client, peer, 1)
        task = asyncio.create_task(client.get("/again"))
        await wire.read_head()
        wire.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await turns()
        wire.close()
        with pytest.raises(ConnectionClosed) as closed:
            await soon(task)
        assert not closed.value.stale


async def test_a_timeout_of_a_second_attempt_says_why_the_first_failed() -> None:
    clock = Clock()
    async with Peer() as peer, HostClient(peer.addr) as client:
        task = asyncio.create_task(client.get("/", timeout=5.0))
        (await peer.accept()).close()
        await (await peer.accept()).read_head()
        await clock.advance(5.1)
        with pytest.raises(RequestTimeout, match="phase 'read', after an attempt that failed: ") as late:
            await soon(task)
        assert isinstance(late.value.__cause__, ConnectionClosed)


async def test_a_failed_dial_is_told_to_one_and_not_retried() -> None:
    """The peer is down: each caller hears of a dial of his own, and nobody dials for ever."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        peer.stop()
        tasks = [asyncio.create_task(client.get("/")) for _ in range(3)]
        for task in tasks:
            with pytest.raises(OSError, match="cannot connect"):
                await soon(task)
        assert client.conns_count == 0


async def test_a_peer_that_closes_at_once_is_no_endless_dial() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        task = asyncio.create_task(client.get("/"))
        closing = asyncio.create_task(close_all(peer))
        with pytest.raises(ConnectionClosed):
            await soon(task)
        closing.cancel()
        assert len(peer.wires) <= 6


async def close_all(peer: Peer) -> None:
    while True:
        (await peer.accept()).close()


# Early and late answers


async def test_an_answer_that_comes_before_the_request_is_taken_is_heard() -> None:
    """A 413 to a body that the peer does not read: the answer counts, and the connection is not used again."""
    async with Peer() as peer, HostClient(peer.addr) as client:
        task = asyncio.create_task(client.post("/", b"x" * (64 << 20)))
        wire = await peer.accept()
        await wire.read_head()
        wire.transport.pause_reading()
        wire.answer(b"too much", status="413 Content Too Large")
        assert (await soon(task)).status == 413
        await turns()
        assert client.conns_count == 0
        assert client._connections == {}
        wire.transport.resume_reading()
        await wire.gone()


async def test_bytes_behind_an_answer_end_the_connection() -> None:
    """Here they come together with it; later they would meet an idle connection (see peer_client)."""
    watch = Watch()
    async with Peer() as peer, HostClient(peer.addr, trace=watch.trace) as client:
        (task,), (wire,) = await ask(client, peer, 1)
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ny")
        assert (await soon(task)).body == b"x"
        await watch.see("connection.closed")
        assert client.conns_count == 0


async def test_the_addresses_of_a_peer_are_used_in_turn() -> None:
    async with Peer() as one, Peer() as two, HostClient(f"{one.addr},{two.addr}") as client:
        tasks = [asyncio.create_task(client.get("/")) for _ in range(4)]
        for peer in (one, two, one, two):
            wire = await peer.accept()
            await wire.read_head()
            wire.answer()
        for task in tasks:
            await soon(task)
        assert (len(one.wires), len(two.wires)) == (2, 2)


async def test_a_storm_of_cancellations_leaves_the_pool_right() -> None:
    """Callers come and go at every point; when all is over the counts are what is there."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=3) as client:

        async def serve() -> None:
            async with asyncio.TaskGroup() as group:
                while True:
                    group.create_task(answer(await peer.accept()))

        async def answer(wire: Wire) -> None:
            while not wire.ended:
                await wire.until(lambda: wire.ended or b"\r\n\r\n" in wire.received)
                if not wire.ended:
                    await wire.read_head()
                    wire.answer(b"x")

        serving = asyncio.create_task(serve())
        tasks = [asyncio.create_task(client.do(Request("POST", f"/{number}"))) for number in range(200)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                await turns(number % 7)
                task.cancel()
        results = await soon(asyncio.gather(*tasks, return_exceptions=True))
        assert all(isinstance(result, Response | asyncio.CancelledError) for result in results)
        assert all(isinstance(result, Response) for number, result in enumerate(results) if number % 3)
        assert client.pending_requests == 0
        assert client.conns_count <= 3
        client.close_idle_connections()
        await turns()
        assert client.conns_count == len(client._connections) == 0
        serving.cancel()
        await asyncio.wait([serving])


async def test_a_connection_that_has_not_taken_the_whole_request_is_not_used_again() -> None:
    """Promise 3: an answer may come while the last byte of the request is still here. So the least of it must be noticed."""
    async with Peer() as peer, HostClient(peer.addr) as client:
        for held_up, left in ((False, 1), (True, 0)):
            asking = asyncio.create_task(client.get("/"))
            wire = await peer.accept() if not held_up else peer.wires[0]
            await wire.read_head()
            (connection,) = client._connections
            assert connection.transport.get_write_buffer_limits() == (0, 0)
            if held_up:
                connection.pause_writing()  # as the transport does it
            wire.answer(b"enough")
            assert (await soon(asking)).body == b"enough"
            await turns_until(lambda left=left: client.conns_count == left)


async def test_closing_waits_for_what_is_pending_and_no_longer() -> None:
    async with Peer() as peer:
        client = HostClient(peer.addr)
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        closing = asyncio.create_task(client.close(timeout=3600.0))
        await turns()
        assert not closing.done()
        wire.answer(b"the last")
        assert (await soon(asking)).body == b"the last"
        await soon(closing)


async def test_users_may_derive_from_a_client_and_from_a_codec() -> None:
    """Compiled, too: what they override is called from compiled code (`sleepy._mypyc`)."""

    class Signed(Http1):
        def encode_request(self, request: Request, authority: str) -> Encoded:
            encoded = super().encode_request(request, authority)
            return encoded._replace(data=encoded.data.replace(b"\r\n\r\n", b"\r\nsigned: yes\r\n\r\n"))

    class Counting(HostClient):
        asked = 0

        async def do(self, request: Request, *, timeout: float | None = None) -> Response:
            self.asked += 1
            return await super().do(request, timeout=timeout)

    async with Peer() as peer, Counting(peer.addr, codec=Signed()) as client:
        task = asyncio.create_task(client.get("/", timeout=20.0))
        wire = await peer.accept()
        assert b"\r\nsigned: yes\r\n" in await wire.read_head()
        wire.answer()
        await soon(task)
        assert client.asked == 1
