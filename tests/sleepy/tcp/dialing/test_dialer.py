"""`sleepy.tcp.dialing.dialer`: addresses in turn, under one deadline; rules by their number.

All in virtual time. Real sockets and TLS are in `test_dialer_sockets`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim
from sleepy.sim.testing import Fault, faults, links
from sleepy.tcp.dialing.address import Address
from sleepy.tcp.dialing.dialer import Dialer, DialFailed, DialTimeout
from sleepy.tcp.dialing.resolver import Resolver
from tests.sleepy.tcp.helpers import Wire

T = TypeVar("T")


class World:
    """Servers a, b and c, each 10 ms from the client, and the client's program.

    The program's end is checked for what it has left behind, on either side.
    """

    def __init__(self) -> None:
        self.network = sim.Network(seed=1)
        self.accepted: dict[str, list[Wire]] = {}
        for name in ("a", "b", "c"):
            self.network.link("client", name, sim.Link(delay=0.010))

    def silence(self, *names: str) -> None:
        """Nothing comes through any more."""
        for name in names:
            self.network.cut("client", name)

    def address(self, name: str) -> str:
        return self.network.host(name).address

    def run(self, *serving: str, client: Callable[[], Awaitable[T]]) -> T:
        async def serve(name: str) -> None:
            loop, wires = asyncio.get_running_loop(), self.accepted.setdefault(name, [])
            await loop.create_server(lambda: Wire(wires.append), "0.0.0.0", 1)

        async def program() -> T:
            loop, unheard = asyncio.get_running_loop(), list[Any]()
            loop.set_exception_handler(lambda _, context: unheard.append(context))
            before = asyncio.all_tasks()
            result = await client()
            if isinstance(result, Wire):
                result.close()
            await asyncio.sleep(300.0)  # the longest that a closed connection is remembered, and more
            assert asyncio.all_tasks() == before
            assert not unheard
            return result

        async def main() -> T:
            for name in serving:
                await self.network.host(name).run(serve(name))
            return await self.network.host("client").run(program())

        result = sim.run(main(), self.network)
        assert not self.network.host("client").tcp._sockets
        return result

    def counts(self) -> dict[str, int]:
        return {name: len(wires) for name, wires in self.accepted.items()}


@pytest.fixture
def world() -> World:
    return World()


class Names(Resolver):
    """Names that stand for what the test says, and take as long as it says."""

    def __init__(self, delay: float = 0.0, **names: list[str]) -> None:
        super().__init__()
        self.names, self.delay = names, delay
        self.families: list[int] = []
        self.forgotten: list[str] = []

    async def resolve(self, name: str, family: int = 0) -> tuple[str, ...]:
        self.families.append(family)
        await asyncio.sleep(self.delay)
        return tuple(self.names[name])

    def forget(self, name: str) -> None:
        self.forgotten.append(name)


def now() -> float:
    return asyncio.get_running_loop().time()


def dialer(addr: str, timeout: float = 30.0, **options: Any) -> Dialer:
    return Dialer(addr, tls=None, timeout=timeout, **options)


async def closing(dial: Awaitable[Wire]) -> None:
    (await dial).close()


# ---------------------------------------------------------------------- addresses in turn (rules 1 and 2)


def test_each_dial_starts_with_the_next_address(world: World) -> None:
    """Rule 1; fasthttp's behaviour 9: nine dials are three for each of three addresses."""

    async def client() -> None:
        tested = dialer("a:1, b:1 ,c:1")
        for count in range(1, 10):
            await closing(tested.dial(Wire))
            await asyncio.sleep(1.0)
            assert world.counts() == {"a": (count + 2) // 3, "b": (count + 1) // 3, "c": count // 3}

    world.run("a", "b", "c", client=client)


def test_an_address_that_fails_is_followed_by_the_next(world: World) -> None:
    """Rule 1, and on the first dial too."""

    async def client() -> None:
        tested = dialer("a:1,b:1,c:1")
        await closing(tested.dial(Wire))
        await closing(tested.dial(Wire))  # starts with b all the same
        await asyncio.sleep(1.0)
        assert world.counts() == {"c": 2}

    world.run("c", client=client)


def test_if_none_answers_the_error_names_them_all(world: World) -> None:
    async def client() -> None:
        with pytest.raises(DialFailed, match=r"^cannot connect: a:1: .*refused.*; b:1: .*refused") as caught:
            await dialer("a:1,b:1").dial(Wire)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)

    world.run(client=client)


def test_a_silent_address_does_not_keep_the_next_from_being_tried(world: World) -> None:
    """Rule 2: it may use its share and no more."""
    world.silence("a")

    async def client() -> None:
        began = now()
        await closing(dialer("a:1,b:1", timeout=10.0).dial(Wire))
        assert now() - began == pytest.approx(5.02)

    world.run("b", client=client)


def test_one_deadline_stands_over_all_addresses(world: World) -> None:
    """Rule 2: a third for a, then b fails at once, then all that is left for c."""
    world.silence("a", "c")

    async def client() -> None:
        began = now()
        pattern = r"^cannot connect: a:1: silent for 3 s \(phase dial\); b:1: .*refused.*; c:1: silent for 5\.98 s"
        with pytest.raises(DialTimeout, match=pattern) as caught:
            await dialer("a:1,b:1,c:1", timeout=9.0).dial(Wire)
        assert now() - began == pytest.approx(9.0)
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.phase, caught.value.queued) == ("dial", 0.0)

    world.run(client=client)


def test_the_factory_is_called_once_and_the_connection_works(world: World) -> None:
    async def client() -> None:
        made: list[Wire] = []

        def factory() -> Wire:
            made.append(Wire())
            return made[-1]

        wire = await dialer("a:1,b:1").dial(factory)
        assert made == [wire]
        wire.send(b"ping\n")
        await asyncio.sleep(1.0)
        server = world.accepted["b"][0]
        assert await server.read(b"\n") == b"ping\n"
        server.send(b"pong\n")
        assert await wire.read(b"\n") == b"pong\n"
        server.end()
        await wire.gone()
        wire.close()

    world.run("b", client=client)


def test_what_the_peer_says_first_is_not_lost(world: World) -> None:
    async def client() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello\n")
            writer.close()

        await world.network.host("a").run(asyncio.start_server(greet, "0.0.0.0", 2))
        wire = await dialer("a:2").dial(Wire)
        assert await wire.read_all() == b"hello\n"
        wire.close()

    world.run(client=client)


@pytest.mark.parametrize("where", ["factory", "connection_made"])
def test_a_protocol_that_cannot_be_made_leaves_nothing_behind(world: World, where: str) -> None:
    """Rule 5."""

    class Broken(Wire):
        def __init__(self) -> None:
            if where == "factory":
                raise RuntimeError("broken")
            super().__init__()

        def connection_made(self, transport: Any) -> None:
            raise RuntimeError("broken")

    async def client() -> None:
        with pytest.raises(RuntimeError, match="broken"):
            await dialer("a:1").dial(Broken)
        await asyncio.sleep(1.0)
        assert world.accepted["a"][0].lost

    world.run("a", client=client)


# ---------------------------------------------------------------------- names (rule 3)


def test_a_name_that_nobody_knows(world: World) -> None:
    async def client() -> None:
        with pytest.raises(DialFailed, match=r"cannot connect: nobody:1: .*nobody.* \(phase dns\)"):
            await dialer("nobody:1").dial(Wire)

    world.run(client=client)


def test_the_addresses_of_a_name_are_raced(world: World) -> None:
    """Rule 3: a dead one costs a head start, not a timeout."""
    world.silence("a")

    async def client() -> None:
        began = now()
        names = Names(name=[world.address("a"), world.address("b")])
        await closing(dialer("name:1", resolver=names).dial(Wire))
        assert now() - began == pytest.approx(0.25 + 0.02)
        assert not names.forgotten

    world.run("b", client=client)


def test_a_loser_that_connects_too_late_is_closed(world: World) -> None:
    """Rules 3 and 5: a is slow, not dead; b has won when a's answer comes."""
    world.network.change("client", "a", sim.Link(delay=0.3))

    async def client() -> None:
        names = Names(name=[world.address("a"), world.address("b")])
        wire = await dialer("name:1", resolver=names).dial(Wire)
        assert wire.transport.get_extra_info("peername") == (world.address("b"), 1)
        await asyncio.sleep(5.0)
        assert all(wire.lost for wire in world.accepted["a"])
        wire.close()

    world.run("a", "b", client=client)


def test_dials_spread_over_the_addresses_of_a_name(world: World) -> None:
    async def client() -> None:
        names = Names(name=[world.address(host) for host in "abc"])
        tested = dialer("name:1", resolver=names)
        for _ in range(6):
            await closing(tested.dial(Wire))
        await asyncio.sleep(1.0)
        assert world.counts() == {"a": 2, "b": 2, "c": 2}

    world.run("a", "b", "c", client=client)


@pytest.mark.parametrize("silent", [True, False])
def test_a_name_that_led_nowhere_is_forgotten(world: World, silent: bool) -> None:
    """Rule 3: next time it is looked up anew."""
    if silent:
        world.silence("a", "b")

    async def client() -> None:
        names = Names(name=[world.address("a"), world.address("b")])
        with pytest.raises(DialTimeout if silent else DialFailed):
            await dialer("name:1", resolver=names).dial(Wire)
        assert names.forgotten == ["name"]

    world.run(client=client)


def test_names_are_asked_for_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """fasthttp's behaviour 62, of a shared resolver: asked again when it is flushed."""
    asked: list[str] = []

    async def client() -> None:
        loop = asyncio.get_running_loop()
        getaddrinfo = loop.getaddrinfo

        async def count(name: str, *args: Any, **options: Any) -> Any:
            asked.append(name)
            return await getaddrinfo(name, *args, **options)

        monkeypatch.setattr(loop, "getaddrinfo", count)
        resolver = Resolver()
        for _ in range(2):
            await closing(dialer("a:1", resolver=resolver).dial(Wire))
        assert asked == ["a"]
        resolver.flush()
        await closing(dialer("a:1", resolver=resolver).dial(Wire))
        assert asked == ["a", "a"]
        await closing(dialer(f"{world.address('a')}:1", resolver=resolver).dial(Wire))  # no name: nothing to ask
        assert asked == ["a", "a"]

    world.run("a", client=client)


@pytest.mark.parametrize("dual_stack", [True, False])
def test_which_families_are_asked_for(world: World, dual_stack: bool) -> None:
    """Rule 3: both by default, or IPv4 only, as fasthttp's default is."""

    async def client() -> None:
        names = Names(name=[world.address("a")])
        options = {} if dual_stack else {"dual_stack": False}
        await closing(dialer("name:1", resolver=names, **options).dial(Wire))
        assert names.families == [socket.AF_UNSPEC if dual_stack else socket.AF_INET]

    world.run("a", client=client)


# ---------------------------------------------------------------------- the queue (rule 4) and the phases


def test_no_more_dials_go_on_than_allowed(world: World) -> None:
    """Rule 4: three dials that take two seconds each, one at a time and in order."""

    async def client() -> None:
        tested = dialer("name:1", resolver=Names(2.0, name=[world.address("a")]), max_concurrent_dials=1)
        began, ended = now(), list[tuple[int, float]]()

        async def one(number: int) -> None:
            await closing(tested.dial(Wire))
            ended.append((number, round(now() - began, 6)))

        await asyncio.gather(*map(one, range(3)))
        assert ended == [(0, 2.02), (1, 4.04), (2, 6.06)]

    world.run("a", client=client)


def test_the_limit_can_be_shared(world: World) -> None:
    """Rule 4: one dialer's dial keeps another's waiting, and its slot is given back when it fails."""
    world.silence("a")

    async def client() -> None:
        slots = asyncio.Semaphore(1)
        first = asyncio.create_task(dialer("a:1", timeout=5.0, max_concurrent_dials=slots).dial(Wire))
        began = now()
        await asyncio.sleep(0)
        await closing(dialer("b:1", max_concurrent_dials=slots).dial(Wire))
        assert now() - began == pytest.approx(5.02)
        with pytest.raises(DialTimeout):
            await first

    world.run("b", client=client)


def test_time_in_the_queue_and_time_of_the_dial_are_told_apart(world: World) -> None:
    """Rule 4: the deadline bounds both together, and the error says how much was which."""
    world.silence("a")

    async def client() -> None:
        tested = dialer("a:1", timeout=5.0, max_concurrent_dials=1)
        first = asyncio.create_task(tested.dial(Wire))
        await asyncio.sleep(2.0)
        began = now()
        pattern = r"a:1: silent for 2 s \(phase dial\); before that 3 s in the queue for a slot to dial in"
        with pytest.raises(DialTimeout, match=pattern) as caught:
            await tested.dial(Wire)
        assert now() - began == pytest.approx(5.0)
        assert (caught.value.phase, caught.value.queued) == ("dial", pytest.approx(3.0))
        with pytest.raises(DialTimeout, match="silent for 5 s") as caught:
            await first
        assert "queue" not in str(caught.value)

    world.run(client=client)


def test_a_dial_may_end_in_the_queue(world: World) -> None:
    world.silence("a")

    async def client() -> None:
        slots = asyncio.Semaphore(1)
        await slots.acquire()
        with pytest.raises(
            DialTimeout, match=r"no slot to dial in was free for 5 s \(max_concurrent_dials\)"
        ) as caught:
            await dialer("a:1", timeout=5.0, max_concurrent_dials=slots).dial(Wire)
        assert (caught.value.phase, caught.value.queued) == ("dial-queue", pytest.approx(5.0))
        slots.release()
        assert not slots.locked()

    world.run(client=client)


def test_a_dial_may_end_in_the_resolver(world: World) -> None:
    async def client() -> None:
        with pytest.raises(DialTimeout, match=r"name:1: silent for 5 s \(phase dns\)") as caught:
            await dialer("name:1", timeout=5.0, resolver=Names(9.0)).dial(Wire)
        assert caught.value.phase == "dns"

    world.run(client=client)


def test_each_phase_is_told_as_it_begins(world: World) -> None:
    async def client() -> None:
        phases: list[tuple[str, float]] = []
        slots = asyncio.Semaphore(1)
        await slots.acquire()
        asyncio.get_running_loop().call_later(1.0, slots.release)
        began = now()
        tested = dialer("name:1", resolver=Names(2.0, name=[world.address("a")]), max_concurrent_dials=slots)
        dial = tested.dial(Wire, progress=lambda phase: phases.append((phase, round(now() - began, 6))))
        await closing(dial)
        assert phases == [("dial-queue", 0.0), ("dns", 1.0), ("dial", 3.0)]

    world.run("a", client=client)


# ---------------------------------------------------------------------- cancellation (rule 5)


@pytest.mark.parametrize(
    ("after", "phase"),
    [(0.5, "dial-queue"), (1.5, "dns"), (2.1, "dial"), (2.3, "dial"), (2.505, "dial"), (2.515, "dial")],
)
def test_a_cancelled_dial_leaves_nothing_behind(world: World, after: float, phase: str) -> None:
    """Rule 5: one second in the queue, one of DNS, then two silent addresses and one that answers."""
    world.silence("a", "b")

    async def client() -> None:
        phases: list[str] = []
        slots = asyncio.Semaphore(1)
        await slots.acquire()
        asyncio.get_running_loop().call_later(1.0, slots.release)
        names = Names(1.0, name=[world.address(host) for host in "abc"])
        tested = dialer("name:1", resolver=names, max_concurrent_dials=slots)
        dial = asyncio.create_task(tested.dial(Wire, progress=phases.append))
        await asyncio.sleep(after)
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        assert phases[-1] == phase
        await asyncio.sleep(5.0)
        assert not slots.locked()
        assert all(wire.lost for wire in world.accepted["c"])

    world.run("c", client=client)


@settings(max_examples=50)
@given(
    link=links(),
    faults=faults("client", "a"),
    limit=st.floats(0.1, 20.0),
    stop=st.none() | st.floats(0.0, 20.0),
    addr=st.sampled_from(["name:1", "a:1,b:1", "c:1,name:1", "b:1,a:1,c:1"]),
)
def test_whatever_the_network_does_a_dial_ends_in_time_and_leaves_nothing_behind(
    link: sim.Link, faults: Sequence[Fault], limit: float, stop: float | None, addr: str
) -> None:
    """Rules 2 and 5, over bad links, with nobody at c."""
    world = World()
    world.network.change("client", "a", link)
    for fault in faults:
        fault.apply(world.network)

    async def client() -> None:
        names = Names(0.05, a=[world.address("a")], b=[world.address("b")], c=[world.address("c")])
        names.names["name"] = [world.address("a"), world.address("b"), world.address("c")]
        began, slots = now(), asyncio.Semaphore(1)
        dial = asyncio.create_task(dialer(addr, limit, resolver=names, max_concurrent_dials=slots).dial(Wire))
        if stop is not None:
            asyncio.get_running_loop().call_later(stop, dial.cancel)
        await asyncio.wait([dial])
        assert now() - began <= limit + 1e-6
        assert not slots.locked()
        if dial.cancelled() or dial.exception():
            assert dial.cancelled() or isinstance(dial.exception(), DialTimeout | DialFailed)
        else:
            dial.result().transport.abort()

    world.run("a", "b", client=client)


# ---------------------------------------------------------------------- somebody else's dial


def test_a_dial_of_ones_own(world: World) -> None:
    """fasthttp: Dial. It gets the address as it is, and what it connects to is the peer."""
    seen: list[Address] = []

    async def through_proxy(factory: Callable[[], Any], address: Address) -> Any:
        seen.append(address)
        _, protocol = await asyncio.get_running_loop().create_connection(factory, "b", 1)
        return protocol

    async def client() -> None:
        phases: list[str] = []
        wire = await dialer("nobody:80", dial=through_proxy).dial(Wire, progress=phases.append)
        wire.send(b"ping\n")
        await asyncio.sleep(1.0)
        assert await world.accepted["b"][0].read(b"\n") == b"ping\n"
        wire.close()
        assert seen == [Address("nobody", 80)]
        assert phases == ["dial-queue", "dial"]

    world.run("b", client=client)


def test_a_dial_of_ones_own_is_held_to_the_deadline(world: World) -> None:
    async def silent(factory: Callable[[], Any], address: Address) -> Any:
        await asyncio.sleep(100.0)

    async def broken(factory: Callable[[], Any], address: Address) -> Any:
        raise ConnectionRefusedError("the proxy says no")

    async def client() -> None:
        with pytest.raises(DialTimeout, match="x:1: silent for 3 s"):
            await dialer("x:1", timeout=3.0, dial=silent).dial(Wire)
        with pytest.raises(DialFailed, match="x:1: the proxy says no"):
            await dialer("x:1", dial=broken).dial(Wire)

    world.run(client=client)


@pytest.mark.parametrize("how", ["fails", "is cancelled", "is too slow"])
def test_a_dial_of_ones_own_that_does_not_come_to_an_end_leaves_nothing_behind(world: World, how: str) -> None:
    """Rule 5: it has connected to a proxy, and then the proxy says no, or nothing."""

    async def through_proxy(factory: Callable[[], Any], address: Address) -> Any:
        await asyncio.get_running_loop().create_connection(factory, "b", 1)
        if how == "fails":
            raise ConnectionRefusedError("the proxy says no")
        await asyncio.sleep(100.0)

    async def client() -> None:
        dial = asyncio.create_task(dialer("x:1", timeout=3.0, dial=through_proxy).dial(Wire))
        await asyncio.sleep(1.0)
        if how == "is cancelled":
            dial.cancel()
        await asyncio.wait([dial])
        await asyncio.sleep(1.0)
        assert world.accepted["b"][0].lost
        assert dial.cancelled() or isinstance(dial.exception(), DialTimeout | DialFailed)

    world.run("b", client=client)


def test_a_handshake_that_ends_without_a_connection_is_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio gives none if the peer has gone in the turn of the handshake's end, which no peer can be made to hit."""

    async def client() -> None:
        async def start_tls(*args: Any, **options: Any) -> None:
            return None

        monkeypatch.setattr(asyncio.get_running_loop(), "start_tls", start_tls)
        with pytest.raises(DialFailed, match=r"closed the connection as soon as it was secure \(phase tls\)"):
            await Dialer("a:1", tls=True, timeout=5.0).dial(Wire)
        await asyncio.sleep(1.0)
        assert world.accepted["a"][0].lost

    world.run("a", client=client)


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"addr": "a:1,b"}, "'b' is not host:port"),
        ({"addr": ""}, "is not host:port"),
        ({"timeout": 0.0}, "timeout is 0"),
        ({"max_concurrent_dials": 0}, "max_concurrent_dials is 0"),
        ({"server_hostname": "a b"}, "'a b' is no host name"),
        ({"addr": "a:1,unix:/x", "tls": True}, "say which by server_hostname"),
        ({"addr": ".a:443", "tls": True}, "is not host:port"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_dialed(options: dict[str, Any], message: str) -> None:
    """fasthttp's behaviour 50, among others: a malformed address with TLS."""
    with pytest.raises(ValueError, match=message):
        Dialer(**{"addr": "a:1", "tls": None, "timeout": 1.0, **options})


def test_a_default_port(world: World) -> None:
    async def client() -> None:
        tested = dialer("a,b:2", default_port=1)
        assert tested.addresses == (Address("a", 1), Address("b", 2))
        await closing(tested.dial(Wire))

    world.run("a", client=client)
