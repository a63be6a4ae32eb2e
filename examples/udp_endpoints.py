"""Two endpoints over real UDP sockets on this machine: each message is sent again until a packet with it was acked."""

import random
import socket
import time
from contextlib import suppress

from sleepy import udp

MESSAGES = {f"message {number}".encode() for number in range(20)}
LOSS = 0.3  # share of datagrams that this "link" drops


def talk(left: socket.socket, right: socket.socket) -> None:
    for here, there in ((left, right), (right, left)):
        here.settimeout(0.005)
        here.connect(there.getsockname())
    sender, receiver = (udp.Endpoint(now=time.monotonic()) for _ in range(2))
    carried: dict[int, bytes] = {}  # sequence of a packet -> the message in it
    acked: set[bytes] = set()
    while acked != MESSAGES and sender.next_sequence < 1000:
        carried[sender.next_sequence] = message = random.choice(sorted(MESSAGES - acked))
        turns = ((sender, left, message), (receiver, right, b"for the acks, which travel in packets only"))
        for endpoint, here, payload in turns:
            endpoint.update(time.monotonic())
            for datagram in endpoint.send(payload):
                if random.random() >= LOSS:
                    here.send(datagram)
        for endpoint, here, _ in turns:
            with suppress(TimeoutError):
                if (packet := endpoint.receive(here.recv(2048))) and endpoint is receiver:
                    print(packet.sequence, packet.payload.decode())
        acked |= {carried.pop(sequence) for sequence in sender.take_acks()}
    print(f"{len(acked)} of {len(MESSAGES)} messages arrived and were acked, in {sender.next_sequence} packets")


with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
    one.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 0))
    talk(one, other)
