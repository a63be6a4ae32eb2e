"""Two endpoints over real UDP sockets on this machine: each message is sent again until a packet with it was acked."""

import random
import socket
import time
from contextlib import suppress

from sleepy import udp

MESSAGES = {f"message {number}".encode() for number in range(20)}
LOSS = 0.3  # share of datagrams that this "link" drops


def main() -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for here in sockets:
        here.bind(("127.0.0.1", 0))
        here.settimeout(0.005)
    sender, receiver = (udp.Endpoint(now=time.monotonic()) for _ in range(2))
    carried: dict[int, bytes] = {}  # sequence of a packet -> the message in it
    acked: set[bytes] = set()
    while acked != MESSAGES and sender.next_sequence < 1000:
        carried[sender.next_sequence] = message = random.choice(sorted(MESSAGES - acked))
        turns = ((sender, 0, message), (receiver, 1, b"for the acks, which travel in packets only"))
        for endpoint, side, payload in turns:
            endpoint.update(time.monotonic())
            for datagram in endpoint.send(payload):
                if random.random() >= LOSS:
                    sockets[side].sendto(datagram, sockets[1 - side].getsockname())
        for endpoint, side, _ in turns:
            with suppress(TimeoutError):
                packet = endpoint.receive(sockets[side].recv(2048))
                if packet and endpoint is receiver:
                    print(packet.sequence, packet.payload.decode())
        acked |= {carried.pop(sequence) for sequence in sender.take_acks()}
    print(f"{len(acked)} of {len(MESSAGES)} messages arrived and were acked, in {sender.next_sequence} packets")


if __name__ == "__main__":
    main()
