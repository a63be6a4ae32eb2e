"""Links of all kinds, and the options of connections that live on them."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from sleepy import sim
from sleepy.sim.packet import Datagram, Packet
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.control import Controller
from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.good_bad import GoodBad
from sleepy.udp.path.congestion.new_reno import NewReno

MILDNESS: Final = ("clean", "mild", "rough", "wild")
CALM: Final = sim.Link(delay=0.01, mtu=1500)
HEADERS: Final = 28  # bytes of IP and UDP, which a link's MTU counts


def draw_link(random: Random, mildness: str) -> sim.Link:
    """The figures of one direction."""
    delay = random.choice([0.001, 0.01, 0.05, 0.15])
    if mildness == "clean":
        return sim.Link(delay=delay, mtu=1500)
    rough, wild = mildness == "rough", mildness == "wild"
    rate = random.choice([None, None, 2e6, 300e3])
    return sim.Link(
        delay=delay,
        jitter=delay * random.random(),
        ordered=random.random() < 0.5,
        rate=rate,
        queue=None if rate is None else 30_000,
        loss=random.choice([0.2, 0.3, 0.4]) if wild else random.choice([0.0, 0.1]) if rough else 0.01,
        burst=sim.Burst(0.1, random.choice([2.0, 8.0])) if rough and random.random() < 0.5 else None,
        duplicate=random.choice([0.0, 0.05, 0.3]),
        reorder=random.choice([0.0, 0.05]),
        corrupt=random.choice([0.0, 0.05]) if rough or wild else 0.0,
        mtu=random.choice([1200 + HEADERS, 1300, 1500]),
    )


def longest_way(link: sim.Link) -> float:
    """How long a packet may be on a link, in seconds."""
    queued = 0.0 if link.rate is None or link.queue is None else (link.queue + 1500) * 8 / link.rate
    return link.delay + link.jitter + queued


def draw_config(random: Random) -> ConnectionConfig:
    """Options: all kinds of channels, in any order, with windows so small that they fill."""
    small = random.random() < 0.5
    sizes = {
        "max_message_size": 4000,
        "queue_messages": 20 if small else 200,
        "queue_bytes": 10_000 if small else 100_000,
        "window_messages": random.choice([2, 16]) if small else 100,
        "window_bytes": 8000 if small else 64_000,
    }
    kinds = random.sample(list(Delivery), len(Delivery))
    idle_timeout = random.choice([4.0, 8.0, 15.0])
    make_controller = random.choice(CONTROLLERS)
    own = Random(random.random())
    return ConnectionConfig(
        channels=tuple(ChannelConfig(kind, priority=random.randint(0, 3), **sizes) for kind in kinds),
        idle_timeout=idle_timeout,
        keep_alive=idle_timeout / random.choice([2, 4]),
        max_ack_delay=random.choice([0.005, 0.025, 0.1]),
        max_datagram=random.choice([1200, 1452, 1452]),
        congestion=lambda: make_controller(own),
        random_bytes=own.randbytes,
    )


CONTROLLERS: Final[tuple[Callable[[Random], Controller], ...]] = (
    lambda random: Bbr(random=random.random),
    lambda random: Bbr(random=random.random),
    lambda _: NewReno(),
    lambda _: Cubic(),
    lambda _: GoodBad(),
)


class Tampering:
    """What is done to datagrams on a wire, besides what its link does.

    Of what a link damages, part arrives, as with a checksum that happens to be right; but only where a connection can see
    that.

    Args:
        network: The network.
        one: A host's name.
        other: Its neighbour's.
        random: The source of chance.
        damages: Whether damaged datagrams arrive.
    """

    def __init__(self, network: sim.Network, one: str, other: str, random: Random, *, damages: bool) -> None:
        self._network = network
        self._random = random
        self._wires = [network.wire(one, other), network.wire(other, one)]
        self._kept: list[tuple[int, Packet]] = []
        for number, wire in enumerate(self._wires):
            if damages:
                wire.arrived.append(self._damage)
            wire.sent.append(lambda _, packet, number=number: self._keep(number, packet))

    def change(self, *links: sim.Link) -> None:
        """Other figures, one direction after the other."""
        for wire, link in zip(self._wires, links, strict=True):
            wire.change(link)

    def _damage(self, _: float, packet: Packet) -> None:
        payload = packet.payload
        if packet.damaged and isinstance(payload, Datagram) and self._random.random() < 0.5:
            data = bytearray(payload.data)
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
            packet.payload = replace(payload, data=bytes(data))
            packet.damaged = False

    def _keep(self, number: int, packet: Packet) -> None:
        if len(self._kept) < 50:
            self._kept.append((number, replace(packet)))
        elif self._random.random() < 0.05:
            self._kept[self._random.randrange(50)] = number, replace(packet)

    def replay(self) -> int:
        """Have something of what was sent before arrive again; how many datagrams."""
        again = [entry for entry in self._kept if self._random.random() < 0.5]
        for number, packet in again:
            wire = self._wires[number]
            self._network.loop.at(self._network.now + self._random.random(), wire.target.arrive, replace(packet))
        return len(again)
