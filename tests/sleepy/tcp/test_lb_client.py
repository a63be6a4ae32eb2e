"""`sleepy.tcp.lb_client`: fail-over, and whom it blames. Whom it chooses: test_balance."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim
from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    HostClient,
    LocalProtocolError,
    NoFreeConnections,
    PipelineOverflow,
    RemoteProtocolError,
    Request,
    RequestTimeout,
    Response,
)
from sleepy.tcp.dialing.dialer import DialFailed, DialTimeout
from sleepy.tcp.errors import NoAvailableClients
from sleepy.tcp.lb_client import LBClient
from sleepy.trace import Event, Trace
from tests.sleepy.tcp.virtual import World, nothing_left, now, on_network, virtual

Answering = Callable[["Asked"], Awaitable[str]]


@dataclass(frozen=True)
class Asked:
    """A request of a protocol that nobody knows."""

    name: str = ""
    idempotent: bool = False
    stream: object = None


class Backend:
    """A client whose answers are the test's."""

    def __init__(self, name: str, answer: Answering | Exception | None = None, delay: float = 0.010) -> None:
        self.name = name
        self.answer = answer
        self.delay = delay
        self.asked: list[Asked] = []
        self.timeouts: list[float | None] = []
        self.pending_requests = 0
        self.closed_with: float | None = None

    async def do(self, request: Asked, *, timeout: float | None = None) -> str:
        self.asked.append(request)
        self.timeouts.append(timeout)
        self.pending_requests += 1
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(self.delay)
        except TimeoutError:
            raise RequestTimeout("read", timeout or 0.0) from None
        finally:
            self.pending_requests -= 1
        if isinstance(self.answer, Exception):
            raise self.answer.with_traceback(None)
        return f"{self.name}: {request.name}" if self.answer is None else await self.answer(request)

    async def close(self, timeout: float = 5.0) -> None:
        self.closed_with = timeout


REFUSED = DialFailed("cannot connect")
LOST = ConnectionClosed("closed before it answered")


def spread(*backends: Backend, **options: Any) -> LBClient[Asked, str]:
    return LBClient(backends, random=Random(1), **options)


async def load(client: LBClient[Asked, str], callers: int, seconds: float, request: Asked = Asked()) -> Counter[str]:
    """Callers who ask again and again for so long; how many had an answer from whom, or which error."""
    end = now() + seconds
    outcomes = Counter[str]()

    async def caller() -> None:
        while now() < end:
            try:
                outcomes[await client.do(request)] += 1
            except OSError as error:
                outcomes[type(error).__name__] += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return outcomes


# What hurt: one dead of two


@virtual
async def test_of_two_one_that_dies_costs_what_it_had_and_a_handful() -> None:
    """fasthttp's pain: failing fast makes a peer look idle, and one dead of two cost 100 failures at 50 callers.

    Without fail-over: the requests that were under way when it died, those that eject it, and a probe now and then.
    """
    dies, lives = Backend("dies"), Backend("lives")
    client = spread(dies, lives, max_attempts=1)
    loading = asyncio.create_task(load(client, 50, 5.0))
    await asyncio.sleep(1.0)
    begun, under_way = len(dies.asked), dies.pending_requests
    assert under_way == 25
    dies.answer, dies.delay = REFUSED, 0.001
    outcomes = await loading
    afterwards = len(dies.asked) - begun
    assert outcomes["DialFailed"] == under_way + afterwards
    assert afterwards <= 5 + 2  # probes: one second later, two more seconds later, a little earlier by chance
    assert outcomes["lives: "] > 20_000  # 50 callers for 4 seconds, 10 ms each


@virtual
async def test_ejections_and_returns_are_told_to_a_trace() -> None:
    """With the client that it was, and for how long; nothing else is told."""
    events: list[Event] = []
    sick, well = Backend("sick", REFUSED), Backend("well")
    client = spread(sick, well, eject_after=1, trace=Trace("spread", now, events.append))
    for _ in range(20):
        await client.do(Asked())
    sick.answer = None
    await asyncio.sleep(1.0)
    await client.do(Asked())
    (ejected, readmitted) = events
    assert (ejected.name, ejected.fields["client"]) == ("client.ejected", repr(sick))
    assert 0.75 <= cast("float", ejected.fields["seconds"]) <= 1.0
    assert (readmitted.name, readmitted.fields) == ("client.readmitted", {"client": repr(sick)})


@virtual
async def test_and_when_they_do_not_ask_all_at_once_a_handful_in_all() -> None:
    """The same, with callers who came one by one: five failures eject it, and the probes fail."""
    dead, lives = Backend("dead", REFUSED, delay=0.001), Backend("lives")
    client = spread(dead, lives, max_attempts=1)
    outcomes = Counter[str]()

    async def late(number: int) -> None:
        await asyncio.sleep(0.001 * number)
        outcomes.update(await load(client, 1, 4.0))

    await asyncio.gather(*(late(number) for number in range(50)))
    assert outcomes["DialFailed"] == len(dead.asked) <= 5 + 2 + 1


@virtual
async def test_with_fail_over_it_costs_its_callers_nothing() -> None:
    for request in (Asked(idempotent=True), Asked()):  # nothing was sent, so it does not matter
        dead, lives = Backend("dead", REFUSED, delay=0.001), Backend("lives")
        assert set(await load(spread(dead, lives), 50, 4.0, request)) == {"lives: "}
        assert len(dead.asked) <= 25 + 2


@on_network("a", "b")
async def test_over_http_a_peer_that_dies_and_comes_back_costs_its_callers_nothing(world: World) -> None:
    """The real clients and servers: GETs go on while one of two servers stops, refuses, and is there again."""

    async def handler(request: Request) -> Response:
        await asyncio.sleep(0.010)
        return Response(200, b"ok")

    await world.serve("a", handler)
    await world.serve("b", handler)
    hosts = [HostClient("a:80"), HostClient("b:80")]
    async with LBClient[Request, Response](hosts, random=Random(1)) as client:
        statuses = Counter[int]()

        async def caller() -> None:
            while now() < 6.0:
                statuses[(await client.do(Request("GET", "/"))).status] += 1

        callers = [asyncio.create_task(caller()) for _ in range(20)]
        await asyncio.sleep(1.0)
        await world.stop("a")
        await asyncio.sleep(1.5)
        assert client.ejected == [hosts[0]]
        await world.serve("a", handler)
        await asyncio.sleep(2.0)
        assert client.ejected == []
        assert abs(hosts[0].pending_requests - hosts[1].pending_requests) <= 2  # and it has its share again
        await asyncio.gather(*callers)
        assert set(statuses) == {200}
        assert client.pending_requests == 0


@on_network("a", "b")
async def test_over_http_a_peer_that_is_dead_from_the_start_costs_nothing_at_all(world: World) -> None:
    """Fifty POSTs at once: those that nobody took at one peer were not sent, so they go to the other."""

    async def handler(request: Request) -> Response:
        return Response(200, request.body)

    await world.serve("b", handler)
    hosts = [HostClient("a:80"), HostClient("b:80")]
    async with LBClient[Request, Response](hosts, random=Random(1)) as client:
        bodies = [b"%d" % number for number in range(50)]
        answers = await asyncio.gather(*(client.do(Request("POST", "/", body=body)) for body in bodies))
        assert [answer.body for answer in answers] == bodies
        assert client.ejected == hosts[:1]


# Fail-over


@pytest.mark.parametrize(
    ("error", "if_idempotent", "otherwise"),
    [
        (REFUSED, True, True),
        (DialTimeout("the dial took too long", "dial", 0.0), True, True),
        (ConnectionResetError("who knows when"), True, False),
        (NoFreeConnections("all are busy"), True, True),
        (PipelineOverflow("too many are pending"), True, True),
        (LOST, True, False),
        (RemoteProtocolError("this is no answer"), True, False),
        (RuntimeError("this client is closed"), True, False),
        (RequestTimeout("read", 0.5), False, False),  # rule 2
        (BodyTooLarge(10), False, False),
        (LocalProtocolError("no such request"), False, False),
    ],
)
@pytest.mark.parametrize("idempotent", [True, False])
@virtual
async def test_rule_1_what_fails_over(error: Exception, if_idempotent: bool, otherwise: bool, idempotent: bool) -> None:
    client = spread(Backend("a", error), b := Backend("b"))
    request = Asked("x", idempotent=idempotent)
    if if_idempotent if idempotent else otherwise:
        assert await client.do(request) == "b: x"
    else:
        with pytest.raises(type(error)) as caught:
            await client.do(request)
        assert caught.value is error
        assert b.asked == []


@virtual
async def test_rule_1_the_caller_may_know_better() -> None:
    """Frames are bytes: whether they may be repeated only their program knows."""
    a, b = Backend("a", LOST), Backend("b")
    client = spread(a, b, may_repeat=lambda request: request.name == "twice")
    with pytest.raises(ConnectionClosed):
        await client.do(Asked("once", idempotent=True))
    a.pending_requests, b.pending_requests = 0, 50
    assert await client.do(Asked("twice")) == "b: twice"


@pytest.mark.parametrize(("error", "fails_over"), [(LOST, False), (REFUSED, True)])
@virtual
async def test_rule_1_a_stream_is_gone_once_it_was_sent(error: Exception, fails_over: bool) -> None:
    """fasthttp 27: a streamed body is never sent again; if no connection could be made it was not sent at all."""
    client = spread(Backend("a", error), b := Backend("b"))
    outcome = await asyncio.gather(client.do(Asked(idempotent=True, stream="pieces")), return_exceptions=True)
    assert outcome == (["b: "] if fails_over else [error])
    assert len(b.asked) == fails_over


@pytest.mark.parametrize("max_attempts", [1, 2, 3])
@virtual
async def test_rule_3_so_many_are_tried_and_each_once(max_attempts: int) -> None:
    backends = [Backend(name, ConnectionClosed(name)) for name in "abcd"]
    client = spread(*backends, max_attempts=max_attempts)
    with pytest.raises(ConnectionClosed, match="abc"[max_attempts - 1]):
        await client.do(Asked(idempotent=True))
    assert [len(backend.asked) for backend in backends] == [1] * max_attempts + [0] * (4 - max_attempts)


@virtual
async def test_rule_3_when_all_have_failed_the_last_error_is_the_callers() -> None:
    client = spread(Backend("a", LOST), Backend("b", REFUSED), max_attempts=9)
    with pytest.raises(DialFailed):
        await client.do(Asked(idempotent=True))


@virtual
async def test_rule_3_one_deadline_over_all() -> None:
    slow, slower = Backend("slow", LOST, delay=0.6), Backend("slower", delay=0.6)
    client = spread(slow, slower)
    with pytest.raises(RequestTimeout):
        await client.do(Asked(idempotent=True))
    assert now() == pytest.approx(1.0)
    assert slow.timeouts == [1.0]
    assert slower.timeouts == [pytest.approx(0.4)]


@virtual
async def test_rule_3_nobody_is_tried_when_the_time_is_over() -> None:
    """A client that fails at the very last moment: another one would be blamed for a request without any time."""
    late, other = Backend("late", LOST, delay=0.5), Backend("other")
    client = spread(late, other)
    late.do = _after(0.5, LOST)  # type: ignore[method-assign]
    with pytest.raises(ConnectionClosed):
        await client.do(Asked(idempotent=True), timeout=0.5)
    assert other.asked == []


def _after(delay: float, error: Exception) -> Callable[..., Awaitable[str]]:
    async def do(request: Asked, *, timeout: float | None = None) -> str:
        await asyncio.sleep(delay)
        raise error

    return do


@virtual
async def test_without_a_limit_there_is_none() -> None:
    a, b = Backend("a", LOST), Backend("b", delay=1000.0)
    client = spread(a, b, timeout=None)
    assert await client.do(Asked("x", idempotent=True)) == "b: x"
    assert a.timeouts == b.timeouts == [None]
    b.answer, b.delay = LOST, 0.0
    a.answer = None
    b.pending_requests = -9
    assert await client.do(Asked("x", idempotent=True), timeout=7.0) == "a: x"
    assert b.timeouts[1:] == [7.0]


# Whom it blames


@virtual
async def test_a_deadline_that_was_past_is_nobodys_fault() -> None:
    """fasthttp 13: a negative timeout is a timeout at once; nobody is asked."""
    client = spread(a := Backend("a"), eject_after=1)
    for timeout in (0.0, -1.0):
        with pytest.raises(RequestTimeout):
            await client.do(Asked(), timeout=timeout)
    assert a.asked == []
    assert client.ejected == []


@pytest.mark.parametrize(
    "error", [LocalProtocolError("no such request"), NoFreeConnections("all are busy"), PipelineOverflow("too many")]
)
@virtual
async def test_what_says_nothing_of_the_peer_is_not_held_against_it(error: Exception) -> None:
    """A caller's mistake, or our own limits: who had no room for one request is not sick. Nor is he well again by it."""
    a, b = Backend("a", error), Backend("b")
    client = spread(a, b, eject_after=1, max_attempts=1)
    for _ in range(2):
        b.pending_requests = 9
        with pytest.raises(type(error)):
            await client.do(Asked())
        assert client.ejected == []
    a.answer = LOST
    with pytest.raises(ConnectionClosed):
        await client.do(Asked())
    assert client.ejected == [a]
    await asyncio.sleep(1.0)
    a.answer = error
    for _ in range(2):  # the probe says nothing, so there is another
        with pytest.raises(type(error)):
            await client.do(Asked())
        assert client.ejected == [a]


@on_network("a", "b")
async def test_over_http_full_pools_eject_nobody(world: World) -> None:
    """Twenty callers, two peers with five connections each, nobody waits: half of them are told so, and all goes on."""

    async def handler(request: Request) -> Response:
        await asyncio.sleep(0.1)
        return Response(200)

    for name in ("a", "b"):
        await world.serve(name, handler)
    hosts = [HostClient(addr, max_conns=5, max_conn_wait_timeout=0.0) for addr in ("a:80", "b:80")]
    async with LBClient[Request, Response](hosts, eject_after=1) as client:
        for _ in range(2):
            outcomes = await asyncio.gather(
                *(client.do(Request("GET", "/")) for _ in range(20)), return_exceptions=True
            )
            assert sum(isinstance(outcome, Response) for outcome in outcomes) == 10
            assert sum(isinstance(outcome, NoFreeConnections) for outcome in outcomes) == 10
            assert client.ejected == []


@virtual
async def test_the_health_check_judges_answers_too() -> None:
    """It sees request, answer and error; the caller gets the answer all the same."""
    seen: list[tuple[Asked, str | None, Exception | None]] = []

    def judge(request: Asked, answer: str | None, error: Exception | None) -> bool:
        seen.append((request, answer, error))
        return error is LOST or answer == "b: x"

    client = spread(a := Backend("a"), b := Backend("b"), eject_after=1, health_check=judge, max_attempts=1)
    request = Asked("x")
    assert await client.do(request) == "a: x"
    assert client.ejected == [a]
    b.answer = LOST
    with pytest.raises(ConnectionClosed):
        await client.do(request)
    assert client.ejected == [a]
    assert seen == [(request, "a: x", None), (request, None, LOST)]


@virtual
async def test_a_health_check_that_fails_says_no_and_says_why() -> None:
    def judge(request: Asked, answer: str | None, error: Exception | None) -> bool:
        raise KeyError("status")

    client = spread(a := Backend("a"), eject_after=1, health_check=judge)
    with pytest.raises(KeyError, match="status"):
        await client.do(Asked())
    assert client.ejected == [a]


@virtual
async def test_who_gives_up_says_nothing_about_the_client_and_frees_the_probe() -> None:
    a, b = Backend("a", LOST), Backend("b", delay=0.0)
    client = spread(a, b, eject_after=1, max_attempts=1)
    with pytest.raises(ConnectionClosed):
        await client.do(Asked())
    assert client.ejected == [a]
    a.answer, a.delay = None, 0.5
    await asyncio.sleep(1.0)
    probe = asyncio.create_task(client.do(Asked()))
    await asyncio.sleep(0.1)
    assert await client.do(Asked()) == "b: "  # there is but one probe
    probe.cancel()
    await asyncio.wait([probe])
    assert client.ejected == [a]
    assert await client.do(Asked()) == "a: "
    assert client.ejected == []


@virtual
async def test_chance_may_be_handed_in() -> None:
    """So that a run can be had again: here it always takes a quarter off."""

    class Least(Random):
        def random(self) -> float:
            return 0.0

    client: LBClient[Asked, str] = LBClient([a := Backend("a", LOST), b := Backend("b")], eject_after=1, random=Least())
    b.pending_requests = 9
    assert await client.do(Asked(idempotent=True)) == "b: "
    a.answer = None
    await asyncio.sleep(0.73)
    assert await client.do(Asked()) == "b: "
    await asyncio.sleep(0.01)
    assert await client.do(Asked()) == "a: "


# Coming, going, closing


@virtual
async def test_all_removed_and_added_again() -> None:
    """fasthttp 60: when all are removed there is no available client; one that is added is used."""
    a, b = Backend("a"), Backend("b")
    client = spread(a, b)
    assert client.remove_clients(lambda _: True) == [a, b]
    with pytest.raises(NoAvailableClients, match="add_client"):
        await client.do(Asked())
    client.add_client(b)
    assert client.clients == [b]
    assert await client.do(Asked("x")) == "b: x"


@virtual
async def test_a_newcomer_is_not_flooded() -> None:
    """fasthttp's pain: a client that was added took 400 of the next 400 serial requests."""
    backends = [Backend(name, delay=0.0) for name in "abc"]
    client = spread(*backends[:2])
    for _ in range(400):
        await client.do(Asked())
    client.add_client(backends[2])
    for _ in range(400):
        await client.do(Asked())
    assert 130 <= len(backends[2].asked) <= 136


@virtual
async def test_what_a_removed_client_has_under_way_ends_undisturbed() -> None:
    client = spread(a := Backend("a"), b := Backend("b"))
    under_way = asyncio.create_task(client.do(Asked("x")))
    await asyncio.sleep(0.001)
    assert client.pending_requests == a.pending_requests == 1
    assert client.remove_clients(lambda each: each is a) == [a]
    assert await under_way == "a: x"
    await client.close(timeout=2.0)
    assert (a.closed_with, b.closed_with) == (None, 2.0)  # it is its remover's now


@virtual
async def test_close_closes_all_and_takes_no_more() -> None:
    a, b = Backend("a"), Backend("b")
    async with spread(a, b) as client:
        pass
    assert a.closed_with == b.closed_with == 5.0
    with pytest.raises(RuntimeError, match="closed"):
        await client.do(Asked())
    c = Backend("c")
    with pytest.raises(KeyError):
        async with spread(c):
            raise KeyError
    assert c.closed_with == 0.0


@on_network("a", "b")
async def test_whoever_is_waiting_when_it_is_closed_hears_of_that(world: World) -> None:
    """His request does not go on to another client, which is being closed too."""

    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    for name in ("a", "b"):
        await world.serve(name, never)
    client = LBClient[Request, Response]([HostClient("a:80"), HostClient("b:80")], timeout=None)
    asking = [asyncio.create_task(client.do(Request("GET", "/"))) for _ in range(4)]
    await asyncio.sleep(0.1)
    await client.close(timeout=0.5)
    for outcome in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(outcome, ConnectionClosed)


@given(
    backends=st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 0.4)), max_size=4),
    asked=st.lists(
        st.tuples(st.floats(0.0, 0.5), st.booleans(), st.floats(0.05, 2.0), st.none() | st.floats(0.0, 1.0)),
        max_size=30,
    ),
    seed=st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_whatever_happens_every_request_ends_by_its_deadline_and_only_its_own(
    backends: list[tuple[float, float]], asked: list[tuple[float, bool, float, float | None]], seed: int
) -> None:
    """Peers that fail with some probability, or take up to 0.4 s; callers who give up; a client that comes and goes."""
    chance = Random(seed)
    errors = (LOST, REFUSED, RemoteProtocolError("this is no answer"), NoFreeConnections("all are busy"))

    def make(number: int, failing: float, delay: float) -> Backend:
        async def answer(request: Asked) -> str:
            if chance.random() < failing:
                raise chance.choice(errors)
            return request.name

        return Backend(str(number), answer, delay)

    async def main() -> None:
        made = [make(number, *backend) for number, backend in enumerate(backends)]
        client = spread(*made, eject_after=2)

        async def ask(number: int, pause: float, idempotent: bool, timeout: float, gives_up: float | None) -> None:
            await asyncio.sleep(pause)
            began, request = now(), Asked(str(number), idempotent=idempotent)
            asking = asyncio.create_task(client.do(request, timeout=timeout))
            if gives_up is not None:
                asyncio.get_running_loop().call_later(gives_up, asking.cancel)
            (outcome,) = await asyncio.gather(asking, return_exceptions=True)
            assert now() - began <= timeout + 1e-6
            if isinstance(outcome, str):
                assert outcome == str(number)
            else:
                known = (*map(type, errors), RequestTimeout, NoAvailableClients, asyncio.CancelledError)
                assert isinstance(outcome, known)
            tries = [backend for backend in made if request in backend.asked]
            assert len(tries) <= 3
            assert all(backend.asked.count(request) == 1 for backend in tries)

        async def come_and_go() -> None:
            for number in range(5):
                made.append(make(100 + number, 0.5, 0.1))
                client.add_client(made[-1])
                await asyncio.sleep(0.1)
                client.remove_clients(lambda each: each is made[-1])

        await asyncio.gather(come_and_go(), *(ask(number, *one) for number, one in enumerate(asked)))
        assert client.pending_requests == 0

    sim.run(nothing_left(main()))


@virtual
async def test_a_spread_of_spreads_is_one() -> None:
    inner = spread(Backend("a", LOST), Backend("b", LOST))
    outer: LBClient[Asked, str] = LBClient([inner, Backend("c")], random=Random(1))
    assert await outer.do(Asked("x", idempotent=True)) == "c: x"
    await outer.close()
    with pytest.raises(RuntimeError, match="closed"):
        await inner.do(Asked())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"timeout": 0.0}, "timeout is 0.0 s"), ({"max_attempts": 0}, "max_attempts is 0"), ({"eject_after": 0}, "eject")],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spread(Backend("a"), **options)


def test_nobody_is_there_twice() -> None:
    a = Backend("a")
    with pytest.raises(ValueError, match="already"):
        spread(a, a)
