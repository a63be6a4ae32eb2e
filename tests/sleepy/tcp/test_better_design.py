"""What fasthttp's users suffer from, what is done about it here, and which tests fail if it is done the naive way.

`PAINS` is the table. Most of its tests stand with the modules that they test; here are those that hold for a client as a
whole, in virtual time.
"""

import ast
import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sleepy.tcp import (
    Client,
    ConnectionClosed,
    HostClient,
    LBClient,
    NoFreeConnections,
    PipelineClient,
    Request,
    RequestTimeout,
    Response,
    Server,
)
from sleepy.tcp.dialing.resolver import Resolver
from sleepy.tcp.multiplex import Multiplex
from sleepy.tcp.multiplex_client import MultiplexClient
from tests.sleepy.tcp.virtual import World, now, on_network


class Pain(NamedTuple):
    """What hurts, the numbers of fasthttp's issues that tell of it, what is done here, and the tests of that."""

    pain: str
    issues: tuple[int, ...]
    design: str
    tests: tuple[str, ...]


PAINS = (
    Pain(
        "a connection that the server has closed is used, and the request fails at random",
        (189, 818, 882, 1168, 1431, 1892, 2033),
        "the end of an idle connection is noticed at once; so is data that nobody asked for, which ends it",
        (
            "test_peer_client.py::test_a_connection_that_ends_while_idle_never_reaches_a_caller",
            "test_peer_client.py::test_not_even_in_the_turn_in_which_its_end_is_noticed",
            "test_host_client.py::test_bytes_behind_an_answer_end_the_connection",
            "test_http1_reader.py::test_rule_2_unasked_bytes_are_refused",
            "test_better_design.py::test_data_on_an_idle_connection_is_the_answer_to_nobody",
        ),
    ),
    Pain(
        "a retry hits the next dead connection",
        (1315,),
        "a retry takes a fresh connection, and the first stale one does not count as an attempt",
        (
            "test_host_client.py::test_a_retry_after_a_stale_connection_takes_a_fresh_one",
            "test_peer_client.py::test_a_stale_connection_does_not_count_as_an_attempt",
            "test_host_client.py::test_only_the_first_stale_connection_is_free",
        ),
    ),
    Pain(
        "retries that are unsafe, and that nobody sees",
        (282, 317, 817, 1850),
        "what may have been executed is repeated only if that is safe or allowed; a timeout never is; errors say what was",
        (
            "test_peer_client.py::test_what_is_not_idempotent_is_never_sent_twice",
            "test_peer_client.py::test_a_stale_connection_loses_a_post_and_says_so",
            "test_peer_client.py::test_a_timeout_while_the_peer_works",
            "test_streaming.py::test_fasthttp_15_the_reading_may_take_its_time_and_no_more",
            "test_messages.py::test_the_method_says_whether_twice_is_once_and_the_caller_knows_better",
        ),
    ),
    Pain(
        "no free connections, and no word of how many there are",
        (573, 718, 1768, 25),
        "callers wait in line by default, first come first served; who waits too long is told the counts",
        (
            "test_host_client.py::test_who_finds_no_connection_takes_turns",
            "test_host_client.py::test_no_free_connection_after_a_while",
            "test_host_client.py::test_waiting_is_forever_by_default",
            "test_better_design.py::test_whoever_waits_too_long_is_told_how_things_stand",
        ),
    ),
    Pain(
        "wake-ups get lost, and slots with them",
        (2391, 1830),
        "check and queue are one step; the count is what is there; whatever ends is followed by a look at the line",
        (
            "test_pool.py::PoolMachine",
            "test_pool.py::test_rule_3_raising_the_limit_wakes_the_line",
            "test_host_client.py::test_raising_the_limit_serves_those_in_line",
            "test_host_client.py::test_a_storm_of_cancellations_leaves_the_pool_right",
        ),
    ),
    Pain(
        "timeouts that do not bound, stick to the request, or go on in the background",
        (1072, 1544, 1619, 2071, 1581),
        "one deadline over line, DNS, dial, TLS, writing, reading and redirects; the error names the phase",
        (
            "test_better_design.py::test_one_deadline_over_every_phase",
            "test_client.py::test_rule_3_one_deadline_over_all_redirects",
            "test_streaming.py::test_the_deadline_holds_until_the_last_byte",
            "test_behaviours.py::test_fasthttp_18_and_19",
        ),
    ),
    Pain(
        "a TLS handshake hangs",
        (2237, 630),
        "the handshake is part of the dial, and under the same deadline",
        (
            "test_dialer_sockets.py::test_a_silent_peer_ends_the_handshake_at_the_deadline",
            "test_better_design.py::test_one_deadline_over_every_phase",
        ),
    ),
    Pain(
        "a request cannot be cancelled",
        (213, 296, 965, 1473, 2198),
        "cancelling the task frees the slot at once, and closes what is in the middle of something",
        (
            "test_better_design.py::test_cancelled_at_any_moment_a_request_holds_nothing",
            "test_peer_client.py::test_a_cancelled_request_holds_nothing",
            "test_host_client.py::test_however_a_request_ends_its_slot_is_free",
            "test_dialer_sockets.py::test_a_dial_that_is_cancelled_at_any_turn_leaves_nothing_behind",
        ),
    ),
    Pain(
        "a connection whose streamed body was not read serves the next request",
        (1743, 1603, 2211, 2353),
        "used again only if read to the end; what is short is read and thrown away, else the connection is closed",
        (
            "test_streaming.py::test_an_unread_stream_is_drained_if_it_is_short",
            "test_streaming.py::test_an_unread_stream_costs_the_connection_if_it_is_long",
        ),
    ),
    Pain(
        "the answer to a large body is lost: a reset instead of a 413",
        (),
        "an answer that comes before the request was sent ends the sending, and counts",
        (
            "test_streaming.py::test_an_early_answer_is_seen_though_64_mib_are_on_their_way",
            "test_streaming.py::test_fasthttp_30_an_early_answer_ends_the_sending",
            "test_host_client.py::test_an_answer_that_comes_before_the_request_is_taken_is_heard",
        ),
    ),
    Pain(
        "connections of a burst stay for ever, or the wrong ones are used",
        (1236, 308, 692),
        "the one used last is taken first, unless asked otherwise; ages are looked at when a connection is taken",
        (
            "test_better_design.py::test_after_a_burst_the_pool_shrinks_to_what_is_needed",
            "test_pool.py::test_lifo_is_the_default",
            "test_pool.py::test_rule_5_idle_too_long",
            "test_pool.py::test_rule_5_alive_too_long",
        ),
    ),
    Pain(
        "a HostClient is dropped while it is used",
        (1461, 1562, 1149),
        "it is found and its request is counted in one step",
        (
            "test_client.py::test_rule_1_look_up_and_count_are_one_step",
            "test_client.py::test_rule_1_who_is_used_is_not_dropped",
        ),
    ),
    Pain(
        "dials time out under load, and nobody knows why",
        (590, 591, 1242, 478),
        "time in the queue of dials and time of the dial are told apart",
        (
            "test_dialer.py::test_time_in_the_queue_and_time_of_the_dial_are_told_apart",
            "test_host_client.py::test_phases_are_told_apart_in_line",
        ),
    ),
    Pain(
        "pipelines: EOF after some hundred requests, stuck, slow",
        (1051, 1291, 199, 832),
        "`Connection: close` is understood; what was not sent, or may be sent twice, goes to another connection",
        (
            "test_pipeline_virtual.py::test_a_peer_that_closes_after_every_ten_answers_fails_nobody",
            "test_pipeline_client.py::test_behind_a_last_answer_everything_survives",
            "test_pipeline_client.py::test_what_was_written_survives_if_it_is_idempotent",
        ),
    ),
    Pain(
        "a pipeline cannot be closed",
        (2241,),
        "every client has an async close, which lets requests end for a while",
        (
            "test_better_design.py::test_every_client_can_be_closed",
            "test_peer_client.py::test_close_lets_pending_requests_end",
            "test_peer_client.py::test_close_ends_what_does_not_end",
        ),
    ),
    Pain(
        "one slow answer holds up a pipeline",
        (555,),
        "the request in service counts; a stalled connection gets nothing more, and a new one is opened",
        (
            "test_pipeline.py::test_rule_1_the_request_in_service_counts",
            "test_pipeline_client.py::test_a_quick_request_goes_round_a_slow_one",
            "test_pipeline_virtual.py::test_the_guard_spares_those_who_come_later",
        ),
    ),
    Pain(
        "a balancer keeps feeding a client that fails fast",
        (865, 643),
        "it is ejected and probed; what is safe to repeat fails over; newcomers start at the average",
        (
            "test_lb_client.py::test_of_two_one_that_dies_costs_what_it_had_and_a_handful",
            "test_lb_client.py::test_with_fail_over_it_costs_its_callers_nothing",
            "test_lb_client.py::test_a_newcomer_is_not_flooded",
        ),
    ),
    Pain(
        "credentials follow a redirect to another scheme or port",
        (),
        "they stay with the scheme, host and port that they were for",
        ("test_client.py::test_credentials_stay_home",),
    ),
)


def definitions(folder: Path) -> set[str]:
    """Every test function and class, as ``file::name``."""
    return {
        f"{path.name}::{node.name}"
        for path in folder.rglob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def test_every_pain_has_tests_and_all_of_them_are_there() -> None:
    assert [row.pain for row in PAINS if not row.tests] == []
    assert {test for row in PAINS for test in row.tests} - definitions(Path(__file__).parent) == set()


async def echo(request: Request) -> Response:
    return Response(200, request.body or request.target.encode())


async def stuck(_: Any) -> Any:
    await asyncio.Event().wait()


@on_network("server")
async def test_data_on_an_idle_connection_is_the_answer_to_nobody(world: World) -> None:
    """A server that answers twice, the second time when nobody asks: the next request gets its own answer all the same."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split(b" ")[1]
        for body, pause in ((target, 0.05), (b"of another", 0.0)):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            await asyncio.sleep(pause)
        with suppress(ConnectionError):
            await reader.read()  # until the client has closed
        writer.close()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(talk, "0.0.0.0", 80)

    server = await world.network.host("server").run(listen())
    async with HostClient("server:80") as client:
        for number in range(3):
            assert (await client.post(f"/{number}")).body == b"/%d" % number
            await asyncio.sleep(0.2)
            assert client.conns_count == 0
    server.close()
    await server.wait_closed()
    assert connections == 3


class Slow(Resolver):
    """Names take as long as the test says."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def resolve(self, *arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(self.seconds)
        return await super().resolve(*arguments, **options)


async def endless(seconds: float) -> Any:
    while True:
        yield b"x"
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("phase", ["queue", "dial-queue", "dns", "dial", "tls", "write", "read"])
@on_network("server")
async def test_one_deadline_over_every_phase(world: World, phase: str) -> None:
    """Wherever a request is held up it ends at its deadline, neither sooner nor later, and says where it was."""
    await world.serve("server", stuck if phase in {"queue", "read"} else echo)
    limit = asyncio.Semaphore(1)

    async def handshake(*_: object, **__: object) -> Any:
        await asyncio.sleep(100.0)

    options: dict[str, Any] = {}
    match phase:
        case "dial-queue":
            await limit.acquire()
            options["max_concurrent_dials"] = limit
        case "dns":
            options["resolver"] = Slow(100.0)
        case "dial":
            world.network.cut("client", "server")
        case "tls":  # there is no TLS in the simulation; what counts here is that the peer never ends the handshake
            asyncio.get_running_loop().start_tls = handshake  # type: ignore[method-assign]
            options["tls"] = True
        case _:
            pass
    async with HostClient("server:80", max_conns=1, dial_timeout=50.0, **options) as client:
        if phase == "queue":
            asyncio.get_running_loop().create_task(client.get("/busy", timeout=10.0)).add_done_callback(
                lambda task: task.exception()
            )
            await asyncio.sleep(0.1)
        request = Request("POST", "/", stream=endless(0.1)) if phase == "write" else Request("POST", "/")
        began = now()
        with pytest.raises(RequestTimeout) as raised:
            await client.do(request, timeout=0.7)
        assert now() - began == pytest.approx(0.7, abs=0.0001)
        assert raised.value.phase == phase
        await client.close(timeout=0.0)
        await asyncio.sleep(0)


@on_network("server")
async def test_cancelled_at_any_moment_a_request_holds_nothing(world: World) -> None:
    """Every half a millisecond of a dial, a long request and an answer: the only slot is free for the next at once."""
    served = 0

    async def handle(request: Request) -> Response:
        nonlocal served
        served += 1
        await asyncio.sleep(0.01)
        return await echo(request)

    await world.serve("server", handle)
    async with HostClient("server:80", max_conns=1) as client:
        for step in range(120):
            if step % 2:
                client.close_idle_connections()
            asking = asyncio.create_task(client.post("/first", b"x" * 100_000))
            await asyncio.sleep(step * 0.0005)
            asking.cancel()
            following = asyncio.create_task(client.get("/next"))
            await asyncio.sleep(0.2)
            assert (await following).body == b"/next"
            assert (client.conns_count, client.idle_conns_count, client.pending_requests) == (1, 1, 0)
            assert asking.done()
    assert served > 120  # some of the first were executed, too


@pytest.mark.parametrize(("strategy", "left"), [("lifo", 1), ("fifo", 10)])
@on_network("server")
async def test_after_a_burst_the_pool_shrinks_to_what_is_needed(world: World, strategy: Any, left: int) -> None:
    """Ten at once, then one after another: taken in turn, all ten stay alive for ever."""
    await world.serve("server", echo)
    async with HostClient("server:80", max_idle_conn_duration=1.0, pool_strategy=strategy) as client:
        await asyncio.gather(*(client.get("/") for _ in range(10)))
        assert client.conns_count == 10
        for _ in range(100):
            await client.get("/")
            await asyncio.sleep(0.05)
        assert client.conns_count == left


@on_network("server")
async def test_whoever_waits_too_long_is_told_how_things_stand(world: World) -> None:
    """The counts tell whether more connections are needed, or a quicker peer."""
    await world.serve("server", stuck)
    async with HostClient("server:80", max_conns=2, max_conn_wait_timeout=0.5) as client:
        asking = [asyncio.create_task(client.get("/", timeout=1.0)) for _ in range(4)]
        errors = [str(error) for error in await asyncio.gather(*asking, return_exceptions=True)]
        refused = [task for task in asking if isinstance(task.exception(), NoFreeConnections)]
    assert len(refused) == 2
    assert "2 of 2 are open or being dialed, 0 idle, 1 more requests in line" in errors[2]


KINDS = ("HostClient", "PipelineClient", "Client", "LBClient", "MultiplexClient")


def client_of(kind: str) -> Any:
    """A client of this kind for the host ``server``."""
    match kind:
        case "HostClient":
            return HostClient("server:80")
        case "PipelineClient":
            return PipelineClient("server:80")
        case "Client":
            return Client()
        case "LBClient":
            return LBClient([HostClient("server:80"), PipelineClient("server:80")], timeout=None)
        case _:
            return MultiplexClient("server:80")


@pytest.mark.parametrize("kind", KINDS)
@on_network("server")
async def test_every_client_can_be_closed(world: World, kind: str) -> None:
    """What ends within the time is answered, what does not gets an error, nothing more is taken, and nothing is left."""
    multiplexed = kind == "MultiplexClient"

    async def handle(request: Any) -> Any:
        seconds = request if multiplexed else request.target[1:]
        await asyncio.sleep(float(seconds))
        return seconds if multiplexed else Response(200, seconds.encode())

    ready = asyncio.Event()
    server = Server(handle, "0.0.0.0", 80, codec=Multiplex() if multiplexed else None, drain_timeout=0.0)

    async def serve() -> None:
        async with server:
            ready.set()
            await asyncio.Event().wait()

    serving = world.network.host("server").start(serve())
    await ready.wait()

    def request(seconds: str) -> Any:
        return seconds.encode() if multiplexed else Request("GET", f"http://server/{seconds}")

    client = client_of(kind)
    quick, endless = (asyncio.create_task(client.do(request(seconds))) for seconds in ("0.5", "1000"))
    await asyncio.sleep(0.1)
    began = now()
    await client.close(timeout=2.0)
    assert now() - began == pytest.approx(2.0)
    answer = await quick
    assert (answer if multiplexed else answer.body) == b"0.5"
    with pytest.raises(ConnectionClosed, match="this client was closed"):
        await endless
    with pytest.raises(RuntimeError, match="this client is closed"):
        await client.do(request("0"))
    assert client.pending_requests == 0
    await asyncio.sleep(0.1)
    assert not server._sessions  # it has seen every connection go
    serving.cancel()
    await asyncio.wait([serving])
