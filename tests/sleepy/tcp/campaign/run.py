"""One run, from a seed.

What must hold, whatever happens:

1. Every request ends in an answer that belongs to it (see `ledger`), or in one of the documented errors.
2. No later than its deadline; a caller that gives up is free at once; no timeout comes too early.
3. What may not be repeated is executed at most once, and what may at most as often as the client was told. (A pipeline does
   not count how often a request behind the first lost its place: there only the first half holds.)
4. No more connections are open than allowed: by what the client says, and by what each peer sees, as long as the network
   delivers everything in order. (A peer does not hear of the end of a connection whose last packets were lost.)
5. When all requests have ended the counts are right: nothing pending, nobody in line, every connection idle.
6. When peers and network are well again, so is the client: the next requests are answered.
7. `close` ends in time, and leaves no task, no timer and no connection, here or at the peers.
8. No error goes unheard, and nothing is logged at the level of a warning.
"""

import asyncio
import gc
import logging
from functools import partial
from operator import is_
from random import Random
from typing import Any

from sleepy import sim
from sleepy.sim.host import Host, _here  # pyright: ignore[reportPrivateUsage] -- to tell the timers of one host from others
from sleepy.tcp import Client, HostClient, LBClient, PipelineClient
from sleepy.tcp.frames import Frames
from sleepy.tcp.multiplex import Multiplex
from tests.sleepy.campaigns import Outcome
from tests.sleepy.tcp.campaign.callers import SLACK, Callers
from tests.sleepy.tcp.campaign.dialects import Dialect, Framed, Http, Multiplexed
from tests.sleepy.tcp.campaign.ledger import Ledger
from tests.sleepy.tcp.campaign.peers import Deliberate, ScriptedPeer, ServerPeer
from tests.sleepy.tcp.campaign.subjects import KINDS, Subject, draw_subject

QUIET = 5.0  # seconds: longer than any dial, drain or pause between dials
DURATION = 6.0  # seconds of bad weather
LINGER = 300.0  # seconds after which TCP has forgotten everything (TIME-WAIT, and giving up on a peer that is gone)


class _Ears(logging.Handler):
    """Hears what is logged at the level of a warning, but for handlers that fail on purpose."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(logging.WARNING)
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, Deliberate):
            self._ledger.violate(f"logged: {record.getMessage()} {error!r}")


def run_seed(seed: int, *, echo: bool = False, kinds: tuple[str, ...] = KINDS) -> Outcome:
    """The run of this seed; the same each time."""
    network = sim.Network(seed=seed)
    ledger = Ledger(lambda: network.now, echo=echo)
    run = _Run(Random(seed), network, ledger, kinds)
    ears = _Ears(ledger)
    root = logging.getLogger()
    root.addHandler(ears)
    try:
        sim.run(run.main(), network, until=100_000.0, patience=10.0)
    except Exception as error:  # noqa: BLE001 -- a run that cannot end is a finding like others
        ledger.violate(f"the run ended with {error!r}")
    finally:
        root.removeHandler(ears)
    subject = run.subject
    asked = 0 if run.callers is None else run.callers.asked
    return Outcome(seed, subject.kind, asked, ledger.outcomes, ledger.faults, ledger.violations, ledger.events)


class _Run:
    def __init__(self, random: Random, network: sim.Network, ledger: Ledger, kinds: tuple[str, ...]) -> None:
        self._random = random
        self._network = network
        self._ledger = ledger
        self.subject: Subject = draw_subject(random, ledger, kinds)
        self.callers: Callers | None = None
        self._clean = random.random() < 0.5  # whether the network is well all the time
        for host in self.subject.hosts():
            network.link("client", host, self._link(), back=self._link())
        self._peers = [self._peer(host) for host in self.subject.hosts()]

    def _link(self) -> sim.Link:
        delay = self._random.choice([0.0005, 0.005, 0.05])
        if self._clean:
            return sim.Link(delay=delay)
        return sim.Link(
            delay=delay,
            jitter=delay * self._random.random(),
            loss=self._random.choice([0.0, 0.01, 0.1]),
            duplicate=self._random.choice([0.0, 0.05]),
            reorder=self._random.choice([0.0, 0.05]),
            rate=self._random.choice([None, 1e6]),
        )

    def _peer(self, name: str) -> ScriptedPeer | ServerPeer:
        host, subject = self._network.host(name), self.subject
        own = Random(self._random.random())
        multiplexed = subject.kind == "MultiplexClient"
        if self._random.random() < 0.25:
            codec: Any = None if subject.http else Multiplex() if multiplexed else Frames()
            return ServerPeer(host, codec, self._ledger, own)
        dialect: Dialect = Http() if subject.http else Multiplexed() if multiplexed else Framed()
        return ScriptedPeer(host, dialect, self._ledger, own)

    async def main(self) -> None:
        """Everything, in order."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._ledger.violate(f"unheard: {context}"))
        before = asyncio.all_tasks()
        for peer in self._peers:
            await peer.up()
        await self._network.host("client").run(self._client_side())
        for peer in self._peers:
            if isinstance(peer, ScriptedPeer):
                self._check_peer(peer)
            await peer.down()
        for name in self.subject.hosts():
            self._check_timers(self._network.host(name))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - before:
            self._ledger.violate(f"a task was left: {task!r}")
        gc.collect()  # errors that nobody has heard are told when their futures go

    async def _client_side(self) -> None:
        callers = self.callers = Callers(self.subject, self._ledger, self._random)
        weather = [asyncio.ensure_future(self._weather(place)) for place in range(len(self._peers))]
        calling = [
            asyncio.ensure_future(callers.call(self._random.randint(1, 8))) for _ in range(self._random.randint(1, 10))
        ]
        if self._random.random() < 0.2:  # while it is busy
            await asyncio.sleep(self._random.random() * 2)
            callers.closing = True
            await self._close(self._random.choice([0.0, 0.1, 5.0]))
            await asyncio.gather(*calling, *weather)
            return
        if self._random.random() < 0.3:
            weather.append(asyncio.ensure_future(self._meddle()))
        await asyncio.gather(*calling)
        self._check_executions()
        await asyncio.sleep(QUIET)
        self._check_counts()
        await asyncio.gather(*weather)
        callers.doubtful = 0 if self._clean else sum(self.subject.open_conns)
        await self._make_peace()
        for _ in range(4):
            await callers.ask_in_peace()
        self._check_executions()
        await self._close(5.0)

    async def _weather(self, place: int) -> None:
        """What befalls one peer and the way to it."""
        peer, name, random = self._peers[place], f"peer{place}", Random(self._random.random())
        for _ in range(random.choice([0, 0, 1, 3])):
            await asyncio.sleep(random.random() * DURATION / 3)
            kinds = ["down for a while", "restart"] + ([] if self._clean else ["partition", "other links"])
            kind = random.choice(kinds)
            self._ledger.fault(kind, peer=name)
            if kind in {"down for a while", "restart"}:
                await peer.down()
                if kind == "down for a while":
                    await asyncio.sleep(random.random() * 2)
                await peer.up()
            elif kind == "partition":
                self._network.cut("client", name, until=self._network.now + random.choice([0.05, 0.5, 3.0]))
            else:
                self._network.change("client", name, self._link())
                self._network.change(name, "client", self._link())

    async def _meddle(self) -> None:
        """Do to the client what its owner may do at any time."""
        client, random, most = self.subject.client, Random(self._random.random()), self.subject.most_conns + 2
        for _ in range(random.randint(1, 6)):
            await asyncio.sleep(random.random())
            if isinstance(client, HostClient) and random.random() < 0.5:
                self.subject.most_conns = most
                client.max_conns = random.randint(1, most)
                self._ledger.fault("other limit", max_conns=client.max_conns)
            elif isinstance(client, HostClient | Client):
                client.close_idle_connections()
                self._ledger.fault("idle connections closed")
            elif isinstance(client, LBClient) and len(self.subject.members) > 1:
                gone = random.choice(self.subject.members)
                client.remove_clients(partial(is_, gone))
                self._ledger.fault("client removed")
                await asyncio.sleep(random.random())
                client.add_client(gone)

    async def _make_peace(self) -> None:
        """The network delivers everything, and the peers have begun anew."""
        await asyncio.sleep(3.0)  # until the last partition is over
        self._ledger.note("peace")
        for name, peer in zip(self.subject.hosts(), self._peers, strict=True):
            self._network.change("client", name, sim.Link(delay=0.005))
            self._network.change(name, "client", sim.Link(delay=0.005))
            peer.be_calm()
            await peer.down()
            await peer.up()
        await asyncio.sleep(1.0)

    async def _close(self, timeout: float) -> None:
        """Rule 7, the client's part."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        client = self.subject.client
        await client.close(timeout)
        if loop.time() > begun + timeout + SLACK:
            self._ledger.violate(f"close({timeout}) took {loop.time() - begun} s")
        await asyncio.sleep(0)
        if any(self.subject.open_conns):
            self._ledger.violate(f"connections are open after close: {self.subject.open_conns}")
        self._check_timers(self._network.host("client"))
        await asyncio.sleep(LINGER)
        left = self._network.host("client").tcp._sockets
        if left:
            self._ledger.violate(f"sockets are left after close: {list(left)}")

    def _check_executions(self) -> None:
        """Rule 3."""
        assert self.callers is not None
        for number, times in self._ledger.executions.items():
            most = self.subject.most_executions if number in self.callers.repeatable else 1
            if times > most:
                self._ledger.violate(f"request {number} was executed {times} times, {most} are allowed")

    def _check_counts(self) -> None:
        """Rule 5."""
        client = self.subject.client
        if client.pending_requests:
            self._ledger.violate(f"{client.pending_requests} requests are pending, and nobody asks any more")
        subject = self.subject
        if isinstance(client, Client):
            counts = (client.conns_count, client.idle_conns_count, 0)
            self._compare(counts, (sum(subject.open_conns), sum(subject.open_conns), 0))
        for open_conns, member in zip(subject.open_conns, subject.members, strict=bool(subject.members)):
            if isinstance(member, HostClient):
                counts = (member.conns_count, member.idle_conns_count, member._pool.waiting_count)
            elif isinstance(member, PipelineClient):
                lanes = [lane for lane in member._pipeline.lanes if not lane.unwritten]
                counts = (len(member._lane_of), len(lanes), len(member._pipeline.waiting))
            else:
                counts = (member.conns_count, member.conns_count, len(member._lane_for))
            self._compare(counts, (open_conns, open_conns, 0))

    def _compare(self, counts: tuple[int, ...], true: tuple[int, ...]) -> None:
        if counts != true:
            self._ledger.violate(f"connections, those with nothing to send, callers in line: {counts}, truly {true}")

    def _check_peer(self, peer: ScriptedPeer) -> None:
        """Rules 4 and 7, by what a peer sees."""
        address = self._network.host("client").address
        most = self.subject.most_conns
        if self._clean and peer.counts.most[address] > most:
            self._ledger.violate(f"a peer saw {peer.counts.most[address]} connections at once, {most} are allowed")
        if self._clean and peer.counts.now[address]:
            self._ledger.violate(f"a peer sees {peer.counts.now[address]} connections after close")

    def _check_timers(self, host: Host) -> None:
        """Rule 7: nothing of sleepy's is still to come on a host."""
        for _, _, _, what in asyncio.get_running_loop()._agenda:  # type: ignore[attr-defined]
            timer: Any = what if isinstance(what, asyncio.TimerHandle) and not what.cancelled() else None
            if timer is not None and timer._context.get(_here) is host and _home(timer._callback) == "tcp":
                self._ledger.violate(f"a timer was left on {host.name}: {timer!r}")


def _home(callback: Any) -> str:
    """Which part of sleepy a callback belongs to; empty if to none."""
    owner = getattr(callback, "__self__", None)
    module: str = getattr(callback, "__module__", "") if owner is None else type(owner).__module__
    return module.split(".")[1] if module.startswith("sleepy.") else ""
