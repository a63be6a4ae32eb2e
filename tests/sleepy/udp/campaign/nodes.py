"""A world of two nodes: Alice dials Bob, perhaps from behind a NAT, or each dials the other. See `ledger` for the rules."""

import asyncio
from math import inf
from random import Random
from typing import Any, Final

from sleepy import sim
from sleepy.sim.nat_router import NatRouter
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally, ConnectionClosed, TimedOut, WentAway
from sleepy.udp.security.identity import Identity
from tests.sleepy.udp.campaign.hosts import Side, farewell
from tests.sleepy.udp.campaign.ledger import Ledger, Voice
from tests.sleepy.udp.campaign.weather import CALM, MILDNESS, Tampering, draw_config, draw_link, longest_way

PORT: Final = 700
BAD_TIME: Final = 12.0  # seconds of bad weather, about
PEACE: Final = 120.0  # seconds in which all must be well again
SILENCE: Final = 40.0  # seconds in which nobody has anything to say
KEYS: Final = [Identity(bytes([number]) * 32) for number in (1, 2)]


class NodesWorld:
    """Two nodes.

    Args:
        random: The source of chance.
        network: The network, empty.
        ledger: Is told.
    """

    def __init__(self, random: Random, network: sim.Network, ledger: Ledger) -> None:
        self._random = random
        self._network = network
        self._ledger = ledger
        self.kind = random.choice(["dialled", "dialled", "dialled behind a NAT", "both dial", "plain"])
        plain = self.kind == "plain"
        self.mildness = random.choice(MILDNESS[:2] if plain else MILDNESS)
        config = draw_config(random)
        self._config = config
        ledger.deliveries = [channel.delivery for channel in config.channels]
        here = "alice"
        if self.kind == "dialled behind a NAT":
            network.link("alice", "box", sim.Link(delay=0.001))
            here = "box"
        network.link(here, "bob", CALM)
        if here == "box":
            network.nat("box", sim.Nat(), outside="bob")
        self._here = here
        self._tampering = Tampering(network, here, "bob", Random(random.random()), damages=not plain)
        self._change_links(self.mildness)
        self.alice, self.bob = (
            Side(network.host(name), PORT, None if plain else key, config, ledger, Random(random.random()))
            for name, key in zip(("alice", "bob"), KEYS, strict=True)
        )
        self.alice.target = (network.host("bob").address, PORT)
        if self.kind == "both dial":
            self.bob.target = (network.host("alice").address, PORT)
        self._deaf = self.mildness in {"rough", "wild"}  # whether somebody may be unheard for long
        self._lives = {side: asyncio.Lock() for side in (self.alice, self.bob)}
        self._cut_until = 0.0
        self._packets = 0
        for wire in (network.wire(here, "bob"), network.wire("bob", here)):
            wire.sent.append(self._count)

    def _count(self, *_: Any) -> None:
        self._packets += 1

    def _change_links(self, mildness: str) -> None:
        links = [draw_link(self._random, mildness) for _ in range(2)]
        self._ledger.longest_way = max(self._ledger.longest_way, *map(longest_way, links)) + 0.002
        self._ledger.note("links", forth=links[0], back=links[1])
        self._tampering.change(*links)

    # ---- the course of things

    async def main(self) -> None:
        """Everything, in order."""
        sides = (self.alice, self.bob)
        await asyncio.gather(*map(self._start_soon, sides))
        weather = [self._weather(Random(self._random.random())) for _ in range(self._random.choice([0, 1, 1, 2]))]
        await asyncio.gather(*weather)
        await asyncio.sleep(self._random.random() * 3)
        await self._make_peace()
        for side in sides:
            side.leaving = True
        await self._end()
        for voice in self._ledger.voices.values():
            self._check_end(voice)
        if self._ledger.outcomes["dial: Refused"]:
            self._ledger.check(len(self.alice.ends) + len(self.bob.ends) > 2, "a dial was refused, and nobody left")

    async def _start_soon(self, side: Side) -> None:
        if self.kind != "both dial" or self._random.random() < 0.5:
            await asyncio.sleep(self._random.choice([0.0, 0.5]))
        await side.host.run(side.begin())

    async def _weather(self, random: Random) -> None:
        """A row of bad things."""
        kinds = ["cut", "pause", "pause", "other links", "replay", "kill", "restart", "hang up"]
        if self._here == "box":
            kinds += ["move", "move"]
        for _ in range(random.randint(1, 4)):
            await asyncio.sleep(random.random() * BAD_TIME / 3)
            kind = random.choice(kinds)
            side = random.choice([self.alice, self.bob])
            self._ledger.fault(kind, host=side.name)
            await self._befall(kind, side, random)

    async def _befall(self, kind: str, side: Side, random: Random) -> None:
        ledger, idle_timeout = self._ledger, self._config.idle_timeout
        long = [] if self.kind == "plain" else [idle_timeout / 2, idle_timeout * 1.5]
        seconds = random.choice([0.1, idle_timeout / 10, idle_timeout / 10, *long])
        self._deaf |= kind in {"hang up", "restart"} and self._network.now < self._cut_until  # nobody hears the goodbye
        if kind == "cut":
            until = self._network.now + seconds
            self._network.cut(self._here, "bob", until=until)
            self._cut_until = max(until, self._cut_until)
            self._deaf |= seconds > idle_timeout / 8
        elif kind == "pause":
            side.pause(seconds)
            ledger.longest_way += seconds
            self._deaf |= seconds > idle_timeout / 8
        elif kind == "other links":
            self._change_links(self.mildness)
        elif kind == "replay" and self.kind != "plain":
            ledger.faults["datagrams replayed"] += self._tampering.replay()
            ledger.longest_way = inf  # of what had been lost a copy may arrive now
        elif kind == "move":
            self._deaf = True  # who has moved, and says nothing, is not found
            box = self._network.host("box")
            box.nat = NatRouter(box, "bob", sim.Nat())
        elif kind == "hang up" and side.live:
            await side.host.run(side.hang_up(side.live[0], random.choice([0.0, 0.5, 5.0])))
        elif kind in {"kill", "restart"}:
            async with self._lives[side]:
                self._deaf |= kind == "kill"
                await side.host.run(side.kill() if kind == "kill" else side.leave(random.choice([0.0, 1.0])))
                await asyncio.sleep(random.choice([0.0, 0.1, 2.0]))
                await side.host.run(side.begin())

    async def _make_peace(self) -> None:
        """Nothing is wrong any more: soon all that lives is heard (rule 4), and then there is silence (rule 9)."""
        self._ledger.note("peace")
        for side in (self.alice, self.bob):
            side.calm = True
            await side.wake()
        await asyncio.sleep(max(0.0, self._cut_until - self._network.now))
        self._tampering.change(CALM, CALM)
        deadline = self._network.now + PEACE
        while not self._settled():
            await asyncio.sleep(0.1)
            if self._network.now > deadline:
                self._ledger.violate(f"after {PEACE} s of peace: {self._unsettled()}")
                return
        await asyncio.sleep(3.0)
        if self._random.random() < 0.3:
            before, voices = self._packets, len(self._ledger.voices)
            await asyncio.sleep(SILENCE)
            said, allowed = self._packets - before, 20 + 6 * SILENCE / self._config.keep_alive
            anew = len(self._ledger.voices) > voices  # one had been deaf before the peace
            self._ledger.check(
                anew or said <= allowed, f"{said} packets in {SILENCE} s by peers who have nothing to say"
            )
            self._ledger.check(self._settled(), f"all was well, and is not after a silence: {self._unsettled()}")

    def _settled(self) -> bool:
        ours, theirs = self.alice.live, self.bob.live
        if len(ours) != 1 or len(theirs) != 1 or ours[0].voice.counterpart is not theirs[0].voice:
            return False
        return all(chat.settled and not self._ledger.unheard(chat.voice) for chat in (*ours, *theirs))

    def _unsettled(self) -> str:
        return "; ".join(
            f"{side.name}: "
            + (
                ", ".join(
                    f"voice {chat.voice.number}: said all {chat.said_all}, open {chat._open}, "
                    f"not heard {len(self._ledger.unheard(chat.voice))}"
                    for chat in side.live
                )
                or "no connection"
            )
            for side in (self.alice, self.bob)
        )

    async def _end(self) -> None:
        """Somebody leaves, and the other learns it."""
        first, second = self._random.sample([self.alice, self.bob], 2)
        if self._random.random() < 0.5 and first.live and second.live:
            ours, theirs = first.live[0], second.live[0]
            await first.host.run(first.hang_up(ours, 5.0))
            await asyncio.sleep(2.0)
            self._ledger.check(
                isinstance(theirs.peer.error, ClosedByPeer),
                f"a peer was closed, and the other sees {theirs.peer.error!r}",
            )
        await first.host.run(first.leave(5.0))
        await asyncio.sleep(1.0)
        await second.host.run(second.leave(5.0))

    # ---- rule 7

    def _other(self, host: str) -> Side:
        return self.bob if host == "alice" else self.alice

    def _check_end(self, voice: Voice) -> None:
        """Why a connection ended, and whether that is true."""
        ledger, error, other = self._ledger, voice.error, self._other(voice.host)
        if voice.killed:
            return
        where = f"voice {voice.number} of {voice.host} ended with {error!r}:"
        ledger.check(voice.over, f"voice {voice.number} is not over")
        counterpart = voice.counterpart
        if isinstance(error, ClosedByPeer):
            who = ledger.voices.get(error.code)
            ledger.check(
                who is not None and who.host != voice.host and who.closing and error.reason == farewell(who),
                f"{where} nobody said so",
            )
            ledger.check(counterpart is None or counterpart is who, f"{where} {counterpart} is its own")
        elif isinstance(error, TimedOut):
            ledger.check(self._deaf, f"{where} nobody was deaf")
        elif isinstance(error, WentAway):
            ledger.check(bool(other.ends) or other.dialled > voice.began - 10, f"{where} nobody did")
        elif isinstance(error, ClosedLocally):
            ledger.check(voice.closing, f"{where} nobody closed it")
        else:
            ledger.violate(f"{where} this is no end for honest peers")
        if voice.drained and counterpart is not None and not counterpart.killed:
            ledger.check_heard(voice, "though its drain did not run out")
        assert error is None or isinstance(error, ConnectionClosed)
