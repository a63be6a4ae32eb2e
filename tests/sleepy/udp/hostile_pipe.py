"""Two ends of messages, and between them a network that does what the tests say: an endpoint's promises and no more.

A packet is delivered once or never, in any order; it may be declared lost, once, before or after it was delivered; of
a packet that was delivered the ack may come at any time later, or never.
"""

from collections.abc import Sequence
from random import Random

from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.delivery.messages import Messages
from sleepy.udp.delivery.payload import Token

ROOM = 1162


class Sent:
    """A packet under way, or one whose fate is open."""

    def __init__(self, sender: Messages, receiver: Messages, payload: bytes, tokens: list[Token]) -> None:
        self.sender = sender
        self.receiver = receiver
        self.payload = payload
        self.tokens = tokens
        self.delivered = self.declared_lost = self.acked = False

    def deliver(self) -> None:
        if not self.delivered:
            self.delivered = True
            self.receiver.receive(self.payload)

    def lose(self) -> None:
        if not self.declared_lost and not self.acked:
            self.declared_lost = True
            self.sender.on_packet_lost(self.tokens)

    def ack(self) -> None:
        if self.delivered and not self.acked:
            self.acked = True
            self.sender.on_packet_acked(self.tokens)

    @property
    def over(self) -> bool:
        return self.acked or (self.delivered and self.declared_lost)


class HostilePipe:
    """Both ends and all that is between them."""

    def __init__(self, channels: Sequence[ChannelConfig]) -> None:
        self.a, self.b = Messages(channels), Messages(channels)
        self.now = 0.0
        self.under_way: list[Sent] = []

    def other(self, end: Messages) -> Messages:
        return self.b if end is self.a else self.a

    def fill(self, end: Messages, room: int = ROOM) -> Sent | None:
        payload, tokens = end.fill(room, self.now)
        assert len(payload) <= room
        if not payload:
            return None
        packet = Sent(end, self.other(end), payload, tokens)
        self.under_way.append(packet)
        return packet

    def settle(self, most: int = 20_000) -> None:
        """Everything arrives from now on, until nobody has anything to say. What was silently lost is declared so."""
        for _ in range(most):
            for packet in self.under_way:
                if not packet.delivered:
                    packet.lose()
                packet.ack()
            self.under_way = [packet for packet in self.under_way if not packet.over and not packet.declared_lost]
            sent = [self.fill(end) for end in (self.a, self.b)]
            if not any(sent):
                return
            for packet in filter(None, sent):
                packet.deliver()
        raise AssertionError("the two ends never come to rest")

    def storm(self, random: Random, loss: float, most: int = 100_000, read: object = None) -> None:
        """Run until both ends are at rest; packets are lost, late, wrongly declared lost; acks are late or lost."""
        for _ in range(most):
            busy = False
            for end in (self.a, self.b):
                busy |= self.fill(end) is not None
            if callable(read):
                read()
            for packet in random.sample(self.under_way, len(self.under_way)):
                fate = random.random()
                if fate < loss:
                    packet.lose()
                elif fate < loss + 0.4:
                    packet.deliver()
                if random.random() < 0.4:
                    packet.ack()
            self.under_way = [packet for packet in self.under_way if not packet.over]
            if not busy and all(packet.declared_lost or packet.acked for packet in self.under_way):
                return
        raise AssertionError("the two ends never come to rest")


def ends(**options: object) -> HostilePipe:
    return HostilePipe([ChannelConfig(**options)])  # type: ignore[arg-type]


def read_all(end: Messages, channel: int = 0) -> list[bytes]:
    return list(iter(end.receiver(channel).read, None))
