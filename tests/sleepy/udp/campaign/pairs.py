"""A world of two connections, without nodes: messages on all channels, and blocks of all kinds. `ledger` has the rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from typing import Final

from sleepy import sim
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally
from sleepy.udp.connections.connection_events import BlockArrived, BlockChanged, Event, MessagesArrived
from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock, TooManyBlocks
from sleepy.udp.delivery.channels.config import QueueFull
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from tests.sleepy.udp.campaign.ledger import Ledger, Voice
from tests.sleepy.udp.campaign.limits import excesses
from tests.sleepy.udp.campaign.weather import CALM, MILDNESS, draw_config, draw_link, longest_way
from tests.sleepy.udp.connecting import Side, World

PEACE: Final = 120.0  # seconds in which all must be well again
SILENCE: Final = 60.0  # seconds in which nobody has anything to say
MOST_THINGS: Final = 60_000  # that may happen in one step of a world
GIVEN_UP: Final = 7  # the code of blocks that are given up


@dataclass(eq=False)
class Parcel:
    """A block, as both programs see it.

    Attributes:
        data: Its bytes.
        outgoing: The sender's.
        left: How many bytes are to be written, by a sender who writes; None if all was, or a source has them.
        taken: What the receiver took, by offset.
        cancelled: Whether its sender gave it up.
        stopped: Whether its receiver did.
    """

    data: bytes
    outgoing: OutgoingBlock
    left: int | None
    taken: bytearray
    cancelled: bool = False
    stopped: bool = False


class PairWorld:
    """Two connections.

    Args:
        random: The source of chance.
        seed: The world's.
        echo: Whether to keep what happens.
    """

    def __init__(self, random: Random, seed: int, *, echo: bool) -> None:
        self._random = random
        self.mildness = random.choice(MILDNESS)
        self.kind = random.choice(["encrypted", "encrypted", "encrypted", "plain"])
        config = draw_config(random)
        self._config = config = replace(config, idle_timeout=1000.0, keep_alive=random.choice([5.0, 100.0]))
        link = draw_link(random, self.mildness)
        self._world = world = World(
            mode="plain" if self.kind == "plain" else "encrypted", link=link, config=config, seed=seed
        )
        self.ledger = Ledger(lambda: world.now, echo=echo)
        self.ledger.deliveries = [channel.delivery for channel in config.channels]
        self._sides = {"a": world.a, "b": world.b}
        self._voices = {name: self.ledger.voice(name) for name in self._sides}
        self._parcels: dict[bytes, Parcel] = {}
        self._of: dict[IncomingBlock, Parcel] = {}
        self._reads = dict.fromkeys(self._sides, True)
        self._kept: list[bytes] = []
        self.ledger.longest_way = longest_way(link)
        for name, side in self._sides.items():
            side.reads = False  # it is done here
            side.on_event = partial(self._on_event, name, side)
        world.tamper = self._tamper

    def _tamper(self, datagram: bytes, _: Side) -> Sequence[bytes]:
        """Damage, and what was sent long ago, where a connection can see it."""
        if self.kind == "plain" or self.mildness in {"clean", "mild"}:
            return [datagram]
        fate = self._random.random()
        if fate < 0.03:
            broken = bytearray(datagram)
            broken[self._random.randrange(len(broken))] ^= 1 << self._random.randrange(8)
            return [bytes(broken)]
        if fate < 0.06:
            self._kept.append(datagram)
        elif fate < 0.08 and self._kept:
            self.ledger.faults["datagrams replayed"] += 1
            self.ledger.longest_way = inf  # of what had been lost a copy may arrive now
            return [datagram, self._random.choice(self._kept)]
        return [datagram]

    # ---- the course of things

    def run(self) -> None:
        """Everything, in order."""
        random, world = self._random, self._world
        self._greet()
        for _ in range(random.randint(5, 25)):
            random.choice([self._say, self._say, self._say, self._open, self._open, self._give_up, self._befall])()
            self._pass(random.choice([0.0, 0.01, 0.1, 0.5, 2.0]))
        self.ledger.note("peace")
        world.set_link(CALM)
        for name, side in self._sides.items():
            self._reads[name] = True
            self._read_all(name, side)
        self._greet()  # who has moved, and has nothing to say, is not found
        deadline = world.now + PEACE
        while not self._settled():
            self._pass(1.0)
            if world.now > deadline:
                self.ledger.violate(f"after {PEACE} s of peace: {self._unsettled()}")
                return
        self._pass(5.0)
        before = len(world.a.sent) + len(world.b.sent)
        self._pass(SILENCE)
        said = len(world.a.sent) + len(world.b.sent) - before
        allowed = 12 + 6 * SILENCE / self._config.keep_alive
        self.ledger.check(said <= allowed, f"{said} packets in {SILENCE} s by peers who have nothing to say")
        self._end()

    def _greet(self) -> None:
        """Each says something that arrives."""
        reliable = next(i for i, delivery in enumerate(self.ledger.deliveries) if delivery.reliable)
        for name, voice in self._voices.items():
            self._say_one(voice, reliable, 20, None)
            self._sides[name].turn()

    def _pass(self, seconds: float) -> None:
        """Let time pass, with blocks being written as there is room for them."""
        self._world.run(seconds, most=MOST_THINGS)
        for side in self._sides.values():
            for what in excesses(side.connection, self._config.channels):
                self.ledger.violate(what)
        for label, parcel in self._parcels.items():
            self._write(label, parcel)

    def _end(self) -> None:
        world, ledger = self._world, self.ledger
        ledger.check(world.a.error is None and world.b.error is None, f"{world.a.error!r}, {world.b.error!r}")
        world.a.connection.close(world.now, 5, "enough")
        world.a.turn()
        self._pass(10.0)
        ledger.check(isinstance(world.a.error, ClosedLocally), f"who closed sees {world.a.error!r}")
        error = world.b.error
        true = isinstance(error, ClosedByPeer) and (error.code, error.reason) == (5, "enough")
        ledger.check(true, f"the other sees {error!r}")
        ledger.check(world.a.connection.finished and world.b.connection.finished, "they are not finished")

    def _settled(self) -> bool:
        return not any(map(self.ledger.unheard, self._voices.values())) and all(
            parcel.outgoing.state is not BlockState.OPEN for parcel in self._parcels.values()
        )

    def _unsettled(self) -> str:
        unheard = [len(self.ledger.unheard(voice)) for voice in self._voices.values()]
        blocks = [(label, parcel.outgoing.acked, len(parcel.data)) for label, parcel in self._parcels.items()
                  if parcel.outgoing.state is BlockState.OPEN]  # fmt: skip
        return f"messages not heard: {unheard}; blocks not finished: {blocks}"

    # ---- what the programs do

    def _draw(self) -> tuple[str, Side, Voice]:
        name = self._random.choice(["a", "b"])
        return name, self._sides[name], self._voices[name]

    def _say(self) -> None:
        """Some messages on one or many channels."""
        random = self._random
        _, side, voice = self._draw()
        channels = range(len(self._config.channels))
        only = random.choice([None, random.choice(channels)])
        for _ in range(random.choice([1, 5, 20, 60])):
            channel = random.choice(channels) if only is None else only
            size = random.choice([0, 9, 30, 100, 100, 300, 1024, 1025, 4000])
            self._say_one(voice, channel, size, random.choice([None, None, 0.0, 0.05, 0.5, 3.0]))
        side.turn()

    def _say_one(self, voice: Voice, channel: int, size: int, lifetime: float | None) -> None:
        message = self.ledger.say(voice, channel, size, lifetime)
        expires = None if lifetime is None else self._world.now + lifetime
        try:
            self._sides[voice.host].connection.send(message, channel, expires=expires)
        except QueueFull:
            self.ledger.unsay(voice, channel)
            self.ledger.outcomes["no room"] += 1

    def _open(self) -> None:
        """A block: from a source, or to be written; of a size that is said or not."""
        random = self._random
        name, side, voice = self._draw()
        size = random.choice([0, 1, 32, 1000, 20_000, 20_000, 300_000 if self.mildness == "clean" else 5000])
        label = b"%d %d %d" % (voice.number, len(self._parcels), size)
        data = random.randbytes(64) * (size // 64 + 1)
        data = data[:size]
        sourced = random.random() < 0.5
        try:
            block = side.connection.open_block(
                label,
                size if random.random() < 0.5 else None,
                _pieces(data, random.choice([100, 7000])) if sourced else None,
                priority=random.randint(0, 3),
            )
        except TooManyBlocks:
            self.ledger.outcomes["no room for a block"] += 1
            return
        self.ledger.note("block", of=name, label=label)
        parcel = self._parcels[label] = Parcel(data, block, None if sourced else size, bytearray(size))
        self._write(label, parcel)
        side.turn()

    def _write(self, label: bytes, parcel: Parcel) -> None:
        """As much as there is room for."""
        block = parcel.outgoing
        if parcel.left is None or block.state is not BlockState.OPEN:
            return
        count, written = min(block.room, parcel.left), len(parcel.data) - parcel.left
        block.write(parcel.data[written : written + count])
        parcel.left -= count
        if not parcel.left:
            block.end()
            parcel.left = None
        self._sides["a" if label.startswith(b"1 ") else "b"].turn()

    def _give_up(self) -> None:
        """One side wants no more of a block."""
        random = self._random
        if not self._parcels:
            return
        label, parcel = random.choice(list(self._parcels.items()))
        incoming = next((block for block, its in self._of.items() if its is parcel), None)
        sender, receiver = ("a", "b") if label.startswith(b"1 ") else ("b", "a")
        if random.random() < 0.5 and parcel.outgoing.state is BlockState.OPEN:
            self.ledger.fault("block cancelled", label=label)
            parcel.cancelled = True
            parcel.outgoing.cancel(GIVEN_UP, "no more")
            self._sides[sender].turn()
        elif incoming is not None and incoming.state is BlockState.OPEN:
            self.ledger.fault("block stopped", label=label)
            parcel.stopped = True
            incoming.stop(GIVEN_UP, "enough")
            self._sides[receiver].turn()

    def _befall(self) -> None:
        """Something bad."""
        random, world = self._random, self._world
        name, side, _ = self._draw()
        # Only one of them moves: two who do not know where the other is find each other no more.
        kinds = ["other links", "cut", "pause", "does not read"] + (
            ["move"] if self.kind != "plain" and name == "a" else []
        )
        kind = random.choice(kinds)
        self.ledger.fault(kind, side=name)
        seconds = random.choice([0.2, 2.0, 20.0])
        if kind == "other links":
            link = draw_link(random, self.mildness)
            world.set_link(link, random.randrange(1 << 30))
            self.ledger.longest_way += longest_way(link)
        elif kind == "cut":
            world.set_link(sim.Link(loss=1.0))
            self._pass(seconds)
            world.set_link(draw_link(random, self.mildness), random.randrange(1 << 30))
            self.ledger.longest_way = inf  # of the one before nothing is known here any more
        elif kind == "pause":
            side.asleep_until = world.now + seconds
            self.ledger.longest_way += seconds
            self._pass(seconds)
        elif kind == "does not read":
            self._reads[name] = False
            self.ledger.longest_way += seconds + 0.1
            self._pass(seconds)
            self._reads[name] = True
            self._read_all(name, side)
        else:
            side.address = ("10.7.7.7", random.randint(1, 9))

    # ---- what they hear

    def _on_event(self, name: str, side: Side, event: Event) -> None:
        if isinstance(event, MessagesArrived) and self._reads[name]:
            self._read(name, side, event.channel)
        elif isinstance(event, BlockArrived):
            self._on_block(event.block)
        elif isinstance(event, BlockChanged):
            if isinstance(event.block, IncomingBlock):
                self._take(event.block, self._of[event.block])
            else:
                self._judge_sent(event.block)

    def _read(self, name: str, side: Side, channel: int) -> None:
        while (message := side.connection.read(channel)) is not None:
            self.ledger.hear(self._voices[name], channel, message)

    def _read_all(self, name: str, side: Side) -> None:
        for channel in range(len(self._config.channels)):
            self._read(name, side, channel)
        side.turn()

    def _on_block(self, block: IncomingBlock) -> None:
        parcel = self._parcels.get(block.label or b"")
        if parcel is None:
            self.ledger.violate(f"a block arrives that nobody sent: {block.label!r}")
            return
        self.ledger.check(parcel not in self._of.values(), f"block {block.label!r} arrives twice")
        self._of[block] = parcel
        if self._random.random() < 0.5:
            block.into(partial(self._store, parcel))
        self._take(block, parcel)

    def _store(self, parcel: Parcel, offset: int, data: bytes) -> None:
        """A part comes (rule 6)."""
        if parcel.data[offset : offset + len(data)] != data:
            self.ledger.violate(f"at {offset} of a block came {data[:20]!r}")
        parcel.taken[offset : offset + len(data)] = b"\1" * len(data)

    def _take(self, block: IncomingBlock, parcel: Parcel) -> None:
        """Read what has come, unless parts are handed over (then there is nothing to read)."""
        offset = parcel.taken.find(0)
        data = block.read()
        if data:
            self._store(parcel, offset, data)
        if block.state is BlockState.FINISHED:
            self.ledger.check(all(parcel.taken), f"block {block.label!r} is finished, and was not taken")
        elif block.state is BlockState.CANCELLED:
            self.ledger.check(parcel.cancelled, f"block {block.label!r} was not cancelled")
        elif block.state is BlockState.STOPPED:
            self.ledger.check(parcel.stopped, f"block {block.label!r} was not stopped")

    def _judge_sent(self, block: OutgoingBlock) -> None:
        parcel = self._parcels[block.label]
        if block.state is BlockState.FINISHED:
            self.ledger.outcomes["blocks whole"] += 1
            self.ledger.check(all(parcel.taken), f"block {block.label!r} is finished for its sender, and was not taken")
        elif block.state is BlockState.STOPPED:
            self.ledger.check(parcel.stopped, f"block {block.label!r} was not stopped, and its sender says so")


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
