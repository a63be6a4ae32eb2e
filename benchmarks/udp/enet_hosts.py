"""ENet, by pyenet: C, without encryption and without asyncio; its own loop, which Python calls for each message."""

from collections.abc import Callable

import enet

from benchmarks.udp.load import HOST, MESSAGE, WINDOW

PATIENCE = 100  # milliseconds in which something happens, or the call returns


def _message(data: bytes) -> enet.Packet:
    return enet.Packet(data, enet.PACKET_FLAG_RELIABLE)


class EnetClient:
    """A host with one peer."""

    def __init__(self, port: int) -> None:
        self.host = enet.Host(None, 1, 1, 0, 0)
        self.peer = self.host.connect(enet.Address(HOST.encode(), port), 1)
        for _ in range(50):
            if self.host.service(PATIENCE).type == enet.EVENT_TYPE_CONNECT:
                return
        raise RuntimeError("ENet did not connect within five seconds")

    def echo(self, count: int) -> None:
        peer, host = self.peer, self.host
        for _ in range(WINDOW):
            peer.send(0, _message(MESSAGE))
        received = 0
        while received < count:
            event = host.service(PATIENCE)
            if event.type == enet.EVENT_TYPE_RECEIVE:
                received += 1
                if received <= count - WINDOW:
                    peer.send(0, _message(MESSAGE))
            elif event.type == enet.EVENT_TYPE_DISCONNECT:
                raise RuntimeError("ENet lost its peer")

    def bulk(self, pieces: int) -> None:
        raise NotImplementedError("ENet has no streams")


def serve(announce: Callable[[int], None]) -> None:
    host = next(made for made in map(_bound, range(43000, 43100)) if made is not None)
    announce(host.address.port)
    while True:
        event = host.service(PATIENCE)
        if event.type == enet.EVENT_TYPE_RECEIVE:
            event.peer.send(0, _message(event.packet.data))


def _bound(port: int) -> "enet.Host | None":
    """ENet does not tell which port the system chose."""
    try:
        return enet.Host(enet.Address(HOST.encode(), port), 1, 1, 0, 0)
    except MemoryError:  # its only error, whatever was wrong
        return None
