"""What fits together in one system call, and how to take apart what came with one.

A *super-packet* is several datagrams to one peer, one after the other (see `sleepy.udp.nodes.batch`). Only one number goes
with it: the size at which to cut.

Rules:

1. So its datagrams have one size; only the last may be shorter.
2. It fits in what UDP can carry.
"""

from collections.abc import Sequence
from typing import Final

MAX_SUPER_PACKET: Final = 65_507  # bytes that IPv4 and UDP leave of 65,535


def batches(datagrams: Sequence[bytes], most: int) -> list[Sequence[bytes]]:
    """Sort datagrams into super-packets, each of at most ``most`` of them, without changing their order."""
    found: list[Sequence[bytes]] = []
    start, count = 0, len(datagrams)
    while start < count:
        size = total = len(datagrams[start])
        end = start + 1
        while end < count and end - start < most:
            next_size = len(datagrams[end])
            total += next_size
            if next_size > size or total > MAX_SUPER_PACKET:
                break
            end += 1
            if next_size < size:
                break
        found.append(datagrams[start:end])
        start = end
    return found


def cut(data: bytes, size: int) -> list[bytes]:
    """The datagrams in a super-packet, of ``size`` bytes each; 0: it is a single datagram. None if that is empty."""
    step = size or len(data) or 1
    return [data[start : start + step] for start in range(0, len(data), step)]
