"""`sleepy.tcp.pipeline_client`: many requests on few connections. What both clients promise: test_peer_client."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    LocalProtocolError,
    PipelineClient,
    PipelineOverflow,
    RemoteProtocolError,
    Request,
    RequestTimeout,
    Response,
)
from tests.sleepy.tcp.helpers import Clock, Peer, Watch, Wire, closed_port, soon, turns, turns_until

pytestmark = pytest.mark.usefixtures("tidy")
Asking = asyncio.Task[Response]


async def ask(client: PipelineClient, *targets: str) -> list[Asking]:
    """Requests in this order; the upper-case ones are POSTs."""
    tasks = [
        asyncio.create_task(client.do(Request("POST" if target.isupper() else "GET", f"/{target}")))
        for target in targets
    ]
    await turns()
    return tasks


async def read(wire: Wire, *targets: str) -> None:
    """These requests are the next on the wire."""
    for target in targets:
        assert f" /{target} ".encode() in await wire.read_head()


async def bodies(tasks: list[Asking]) -> list[bytes]:
    return [(await soon(task)).body for task in tasks]


async def errors(tasks: list[Asking]) -> list[type[BaseException]]:
    return [type(result) for result in await soon(asyncio.gather(*tasks, return_exceptions=True))]


# Pipelining


async def test_requests_go_out_together_and_answers_come_in_order() -> None:
    async with Peer() as peer, PipelineClient(peer.addr, pipeline_non_idempotent=True) as client:
        tasks = await ask(client, "a", "B", "c")
        wire = await peer.accept()
        await read(wire, "a", "B", "c")  # before any is answered
        assert client.pending_requests == 3
        for body in (b"1", b"2", b"3"):
            wire.answer(body)
        assert await bodies(tasks) == [b"1", b"2", b"3"]
        assert client.pending_requests == 0


async def test_a_slow_answer_holds_up_all_behind_it() -> None:
    """Head-of-line blocking, which no client can mend."""
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        slow, quick = await ask(client, "slow", "quick")
        wire = await peer.accept()
        await read(wire, "slow", "quick")
        assert not quick.done()
        wire.answer(b"slow")
        wire.answer(b"quick")
        assert await bodies([slow, quick]) == [b"slow", b"quick"]


async def test_a_quick_request_goes_round_a_slow_one() -> None:
    """With two connections: the one in service counts, so the second is opened for whoever comes next."""
    async with Peer() as peer, PipelineClient(peer.addr, max_conns=2) as client:
        (slow,) = await ask(client, "slow")
        first = await peer.accept()
        await read(first, "slow")
        (quick,) = await ask(client, "quick")
        second = await peer.accept()
        await read(second, "quick")
        second.answer()
        await soon(quick)
        for _ in range(3):
            (quick,) = await ask(client, "quick")
            await read(second, "quick")
            second.answer()
            await soon(quick)
        first.answer()
        await soon(slow)
        assert len(peer.wires) == 2


async def test_answers_of_several_kinds_stay_in_step() -> None:
    """HEAD, interim, 304 and chunked answers, pipelined: each gets its own."""
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        tasks = [asyncio.create_task(client.do(Request(method, "/"))) for method in ("HEAD", "GET", "GET", "GET")]
        wire = await peer.accept()
        for _ in tasks:
            await wire.read_head()
        wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        wire.send(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n")
        wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        wire.answer(b"y")
        assert await bodies(tasks) == [b"", b"", b"x", b"y"]


# Batches


@pytest.mark.parametrize(("delay", "reads"), [(0.0, 3), (10.0, 1)])
async def test_a_batch_gathers_while_it_may_wait(delay: float, reads: int) -> None:
    clock = Clock()
    async with Peer() as peer, PipelineClient(peer.addr, max_batch_delay=delay) as client:
        (first,) = await ask(client, "first")
        wire = await peer.accept()
        await read(wire, "first")  # who waits for the dial does not wait for a batch too
        wire.answer()
        await soon(first)
        sends: list[bytes] = []
        (connection,) = client._connections
        write = connection.transport.write
        connection.transport.write = lambda data: (sends.append(bytes(data)), write(data))[1]  # type: ignore[method-assign]
        tasks: list[Asking] = []
        for target in "abc":
            tasks += await ask(client, target)
        assert len(sends) == (0 if delay else 3)
        await clock.advance(delay + 0.1)
        await read(wire, "a", "b", "c")
        assert len(sends) == reads
        for _ in tasks:
            wire.answer()
        await bodies(tasks)
        tasks = await ask(client, "d")  # and so does the next batch
        await clock.advance(delay + 0.1)
        await read(wire, "d")
        wire.answer()
        await bodies(tasks)


async def test_each_batch_has_its_own_time() -> None:
    """It begins with the first of the batch, and nothing is left of it for the next."""
    clock = Clock()
    async with Peer() as peer, PipelineClient(peer.addr, max_batch_delay=10.0) as client:
        (first,) = await ask(client, "first")
        wire = await peer.accept()
        await read(wire, "first")
        wire.answer()
        await soon(first)
        tasks = await ask(client, "a")
        await clock.advance(5.0)
        tasks += await ask(client, "b")
        await clock.advance(5.1)
        await read(wire, "a", "b")
        tasks += await ask(client, "c")
        await clock.advance(9.0)
        assert bytes(wire.received) == b""
        await clock.advance(1.1)
        await read(wire, "c")
        for _ in tasks:
            wire.answer()
        await bodies(tasks)


async def test_who_gives_up_before_he_is_written_is_never_sent() -> None:
    clock = Clock()
    async with Peer() as peer, PipelineClient(peer.addr, max_batch_delay=10.0) as client:
        (first,) = await ask(client, "first")
        wire = await peer.accept()
        await read(wire, "first")
        wire.answer()
        await soon(first)
        (cancelled, stays) = await ask(client, "CANCELLED", "stays")
        late = asyncio.create_task(client.post("/late", timeout=5.0))
        await turns()
        cancelled.cancel()
        await clock.advance(5.1)
        with pytest.raises(RequestTimeout) as error:
            await soon(late)
        assert error.value.phase == "queue"
        await clock.advance(5.1)
        await read(wire, "stays")
        wire.answer(b"x")
        assert await bodies([stays]) == [b"x"]
        assert bytes(wire.received) == b""


async def test_who_gives_up_after_he_is_written_leaves_the_others_theirs() -> None:
    clock = Clock()
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        late = asyncio.create_task(client.get("/late", timeout=5.0))
        cancelled, stays = await ask(client, "cancelled", "stays")
        wire = await peer.accept()
        await read(wire, "late", "cancelled", "stays")
        cancelled.cancel()
        await clock.advance(5.1)
        assert await errors([late, cancelled]) == [RequestTimeout, asyncio.CancelledError]
        assert client.pending_requests == 1
        for body in (b"late", b"cancelled", b"stays"):
            wire.answer(body)
        assert await bodies([stays]) == [b"stays"]
        assert len(peer.wires) == 1


async def test_a_batch_whose_connection_ends_moves_on() -> None:
    """It was not written: even its POSTs go to the next connection, and are sent once."""
    clock, watch = Clock(), Watch()
    async with (
        Peer() as peer,
        PipelineClient(peer.addr, max_batch_delay=10.0, trace=watch.trace, pipeline_non_idempotent=True) as client,
    ):
        (first,) = await ask(client, "first")
        wire = await peer.accept()
        await read(wire, "first")
        wire.answer()
        await soon(first)
        tasks = await ask(client, "A", "b")
        wire.close()
        await watch.see("connection.closed")
        fresh = await peer.accept()
        await read(fresh, "A", "b")
        fresh.answer(b"1")
        fresh.answer(b"2")
        assert await bodies(tasks) == [b"1", b"2"]
        await clock.advance(10.1)  # the old batch's time comes, and finds nothing
        assert bytes(fresh.received) == b""


async def test_nothing_is_written_in_the_turn_in_which_the_end_is_noticed() -> None:
    """A batch whose time comes just then stays unwritten, and so it survives."""
    async with Peer() as peer, PipelineClient(peer.addr, max_batch_delay=600.0) as client:
        (first,) = await ask(client, "first")
        wire = await peer.accept()
        await read(wire, "first")
        wire.answer()
        await soon(first)
        tasks = await ask(client, "A")
        (connection,) = client._connections
        (lane,) = client._pipeline.lanes
        asyncio.get_running_loop().call_soon(client._write, lane)  # its time
        connection.transport.close()
        fresh = await peer.accept()
        await read(fresh, "A")
        fresh.answer(b"x")
        assert await bodies(tasks) == [b"x"]
        assert await wire.read_all() == b""


# Two things at once


async def test_a_timeout_in_the_turn_of_the_answer_comes_too_late() -> None:
    """The answer is there, and its caller's task has not run yet."""
    clock = Clock()
    async with Peer() as peer, PipelineClient(peer.addr, read_timeout=5.0) as client:
        (task,) = await ask(client, "a")
        wire = await peer.accept()
        await read(wire, "a")
        (connection,) = client._connections
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
        clock._moved += 6.0
        client._check_deadlines()
        assert await bodies([task]) == [b"x"]
        assert not connection.closing


async def test_an_answer_in_the_turn_of_the_cancellation_leaves_nothing_behind() -> None:
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        (task,) = await ask(client, "a")
        wire = await peer.accept()
        await read(wire, "a")
        (connection,) = client._connections
        task.cancel()
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
        await asyncio.wait([task])
        assert task.cancelled()
        (lane,) = client._pipeline.lanes
        assert (lane.pending, lane.given_up) == (0, set())


async def test_a_cancellation_in_the_turn_of_the_answer_leaves_nothing_behind() -> None:
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        (task,) = await ask(client, "a")
        wire = await peer.accept()
        await read(wire, "a")
        (connection,) = client._connections
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
        task.cancel()
        await asyncio.wait([task])
        (lane,) = client._pipeline.lanes
        assert (lane.pending, lane.given_up) == (0, set())


# What is not for a pipeline


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


@pytest.mark.parametrize(
    "request_",
    [
        lambda: Request("POST", "/", stream=pieces()),
        lambda: Request("POST", "/", {"expect": "100-continue"}, b"x"),
    ],
)
async def test_bodies_sent_piece_by_piece_are_refused(request_: Callable[[], Request]) -> None:
    async with PipelineClient(closed_port()) as client:
        with pytest.raises(LocalProtocolError, match="use HostClient"):
            await client.do(request_())
        assert client._pipeline.lanes == []
        assert client.pending_requests == 0


async def test_bodies_read_piece_by_piece_are_refused() -> None:
    async with PipelineClient(closed_port()) as client:
        with pytest.raises(LocalProtocolError, match="use HostClient"):
            async with client.stream(Request("GET", "/")):
                pass
        assert client._pipeline.lanes == []


# Overflow


async def test_the_newcomer_is_refused_and_the_others_are_answered() -> None:
    async with Peer() as peer, PipelineClient(peer.addr, max_conns=2, max_pending_requests=2) as client:
        tasks = await ask(client, "a", "b", "c", "d")
        with pytest.raises(PipelineOverflow, match="4 requests are pending on 2 of 2 connections"):
            await client.get("/e")
        wires = [await peer.accept(), await peer.accept()]
        for wire in wires:
            for _ in range(2):
                await wire.read_head()
                wire.answer(b"x")
        assert await bodies(tasks) == [b"x"] * 4
        assert client.pending_requests == 0
        (task,) = await ask(client, "e")
        await read(wires[0], "e")
        wires[0].answer()
        await soon(task)


async def test_who_gives_up_while_dialing_makes_room() -> None:
    async with Peer() as peer, PipelineClient(peer.addr, max_pending_requests=1) as client:
        task = asyncio.create_task(client.get("/a"))
        await turns(1)
        task.cancel()
        await asyncio.wait([task])
        (task,) = await ask(client, "b")
        wire = await peer.accept()
        await read(wire, "b")
        wire.answer()
        await soon(task)


# Survivors


@pytest.mark.parametrize("end", ["close", "reset", "garbage"])
async def test_what_was_written_survives_if_it_is_idempotent(end: str) -> None:
    """In their order, ahead of nobody else's answer; what was not lives on in the callers' errors."""
    async with Peer() as peer, PipelineClient(peer.addr, pipeline_non_idempotent=True) as client:
        tasks = await ask(client, "a", "B", "c", "D", "e")
        wire = await peer.accept()
        await read(wire, "a", "B", "c", "D", "e")
        wire.answer(b"1")
        assert await bodies(tasks[:1]) == [b"1"]
        if end == "garbage":
            wire.send(b"garbage\r\n\r\n")
        else:
            getattr(wire, end)()
        fresh = await peer.accept()
        await read(fresh, "c", "e")
        fresh.answer(b"3")
        fresh.answer(b"5")
        assert await bodies([tasks[2], tasks[4]]) == [b"3", b"5"]
        # the first in doubt bears the fault; the one behind has only lost its connection
        first = RemoteProtocolError if end == "garbage" else ConnectionClosed
        assert await errors([tasks[1], tasks[3]]) == [first, ConnectionClosed]
        await wire.gone()
        assert len(client._pipeline.lanes) == len(client._lane_of) == len(client._connections) == 1


async def test_behind_a_last_answer_everything_survives() -> None:
    """RFC 9112, section 9.6: it was never executed, so POSTs survive too."""
    async with Peer() as peer, PipelineClient(peer.addr, pipeline_non_idempotent=True) as client:
        tasks = await ask(client, "A", "B", "c")
        wire = await peer.accept()
        await read(wire, "A", "B", "c")
        wire.answer(b"1", "connection: close")
        fresh = await peer.accept()
        await read(fresh, "B", "c")
        fresh.answer(b"2", "connection: close")
        last = await peer.accept()
        await read(last, "c")
        last.answer(b"3")
        assert await bodies(tasks) == [b"1", b"2", b"3"]
        await wire.gone()
        await fresh.gone()


async def test_what_is_written_as_the_last_answer_comes_goes_elsewhere_only() -> None:
    """A request of the same turn is not sent on the old connection as well."""
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        (task,) = await ask(client, "a")
        wire = await peer.accept()
        await read(wire, "a")
        (connection,) = client._connections
        second = asyncio.create_task(client.post("/B"))
        await turns(1)  # the second is written, and before it is flushed the last answer is read
        connection.data_received(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await soon(task)
        fresh = await peer.accept()
        await read(fresh, "B")
        fresh.answer(b"x")
        assert await bodies([second]) == [b"x"]
        assert await wire.read_all() == b""
        assert client.metrics.retries == 0  # it was sent once


async def test_an_answer_that_is_too_large_is_the_fault_of_one() -> None:
    """Those behind it go on, elsewhere; it does not."""
    async with (
        Peer() as peer,
        PipelineClient(peer.addr, max_response_body_size=4, pipeline_non_idempotent=True) as client,
    ):
        tasks = await ask(client, "a", "b", "C")
        wire = await peer.accept()
        await read(wire, "a", "b", "C")
        wire.answer(b"12345")
        fresh = await peer.accept()
        await read(fresh, "b")
        fresh.answer(b"2")
        assert await bodies(tasks[1:2]) == [b"2"]
        assert await errors([tasks[0], tasks[2]]) == [BodyTooLarge, ConnectionClosed]


async def test_a_poisonous_request_does_not_live_for_ever() -> None:
    """The peer dies of the first each time: after its attempts it fails, and those behind it get through.

    They are sent with it once, and not again: it goes alone.
    """
    async with Peer() as peer, PipelineClient(peer.addr, max_attempts=3) as client:
        poison, behind = await ask(client, "poison", "behind")
        for batch in (["poison", "behind"], ["poison"], ["poison"]):
            wire = await peer.accept()
            await read(wire, *batch)
            await turns()
            assert not wire.received
            wire.close()
        assert await errors([poison]) == [ConnectionClosed]
        wire = await peer.accept()
        await read(wire, "behind")
        wire.answer(b"x")
        assert await bodies([behind]) == [b"x"]


async def test_who_waits_for_a_peer_that_is_down_until_the_time_is_up_hears_why() -> None:
    clock = Clock()
    async with PipelineClient(closed_port()) as client:
        task = asyncio.create_task(client.get("/", timeout=0.05))
        await turns_until(lambda: client.metrics.failed_dials > 0)
        await clock.advance(0.1)
        with pytest.raises(RequestTimeout, match="after an attempt that failed: cannot connect") as late:
            await soon(task)
        assert isinstance(late.value.__cause__, OSError)


async def test_where_something_was_answered_a_loss_is_no_sign_of_a_peer_that_is_down() -> None:
    """So it is no attempt of those who only wait, though the request that was lost is not tried again."""
    async with Peer() as peer, PipelineClient(peer.addr, max_attempts=1) as client:
        (first,) = await ask(client, "a")
        wire = await peer.accept()
        await read(wire, "a")
        wire.answer(b"1")
        assert await bodies([first]) == [b"1"]
        lost, waits = await ask(client, "B", "c")
        await read(wire, "B")
        wire.close()
        assert await errors([lost]) == [ConnectionClosed]
        fresh = await peer.accept()
        await read(fresh, "c")
        fresh.answer(b"3")
        assert await bodies([waits]) == [b"3"]


async def test_what_is_not_idempotent_survives_if_its_caller_says_so() -> None:
    """By ``retry_if``, which may also forbid what is idempotent."""
    async with (
        Peer() as peer,
        PipelineClient(peer.addr, retry_if=lambda request, _: request.method == "POST") as client,
    ):
        (task,) = await ask(client, "A")
        wire = await peer.accept()
        await read(wire, "A")
        wire.close()
        fresh = await peer.accept()
        await read(fresh, "A")
        fresh.answer(b"x")
        assert await bodies([task]) == [b"x"]
        (task,) = await ask(client, "b")
        await read(fresh, "b")
        fresh.close()
        assert await errors([task]) == [ConnectionClosed]


async def test_a_survivor_whose_caller_gave_up_is_not_sent_again() -> None:
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        gone, stays = await ask(client, "gone", "stays")
        wire = await peer.accept()
        await read(wire, "gone", "stays")
        gone.cancel()
        await turns()
        wire.close()
        fresh = await peer.accept()
        await read(fresh, "stays")
        fresh.answer(b"x")
        assert await bodies([stays]) == [b"x"]


# Dials


async def test_a_failed_dial_is_told_to_all_who_wait_for_it() -> None:
    """And the client is not broken for ever."""
    async with PipelineClient(closed_port(), max_attempts=1) as client:
        for _ in range(2):
            results = await soon(asyncio.gather(*(client.get("/") for _ in range(3)), return_exceptions=True))
            assert all(isinstance(result, OSError) for result in results)
        assert client.pending_requests == client._pipeline.pending == 0
        assert client._pipeline.lanes == []


async def test_those_who_come_while_a_dial_is_under_way_share_it() -> None:
    async with Peer() as peer, PipelineClient(peer.addr) as client:
        first = asyncio.create_task(client.get("/a"))
        await turns(1)
        tasks = [first, *await ask(client, "b", "c")]
        wire = await peer.accept()
        await read(wire, "a", "b", "c")
        for _ in tasks:
            wire.answer()
        await bodies(tasks)
        assert len(peer.wires) == 1


async def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"max_pending_requests": 0}, {"max_batch_delay": -1.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            PipelineClient("a:1", **options)  # type: ignore[arg-type]
