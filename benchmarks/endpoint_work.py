"""What `benchmarks.endpoint` lets the contenders do; `endpoint_c.c` does the same.

Typed, so that mypyc can compile it too, and calls from compiled code can be measured.
"""

from typing import Final

from sleepy.udp import Endpoint

SMALL: Final = bytes(100)
LARGE: Final = bytes(1200)


def exchange(a: Endpoint, b: Endpoint, first: int, last: int) -> None:
    """A packet of 100 bytes each way, and the acks taken."""
    for _ in range(first, last):
        for datagram in a.send(SMALL):
            b.receive(datagram)
        for datagram in b.send(SMALL):
            a.receive(datagram)
        a.take_acks()
        b.take_acks()


def exchange_and_update(a: Endpoint, b: Endpoint, first: int, last: int) -> None:
    """The same, with the time moving on at each."""
    for number in range(first, last):
        exchange(a, b, number, number + 1)
        a.update(number * 0.01)
        b.update(number * 0.01)


def exchange_and_lose(a: Endpoint, b: Endpoint, first: int, last: int) -> None:
    """The same without updates; every tenth packet of a is lost, and every tenth of b."""
    for number in range(first, last):
        for datagram in a.send(SMALL):
            if number % 10:
                b.receive(datagram)
        for datagram in b.send(SMALL):
            if number % 10 != 5:
                a.receive(datagram)
        a.take_acks()
        b.take_acks()


def exchange_fragments(a: Endpoint, b: Endpoint, first: int, last: int) -> None:
    """A packet of 1200 bytes each way, in two fragments."""
    for _ in range(first, last):
        for datagram in a.send(LARGE):
            b.receive(datagram)
        for datagram in b.send(LARGE):
            a.receive(datagram)
        a.take_acks()
        b.take_acks()


WORKS = [exchange, exchange_and_update, exchange_and_lose, exchange_fragments]
