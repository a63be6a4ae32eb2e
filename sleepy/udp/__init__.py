"""Reliable UDP, after reliable.io: who has what, and messages on top of it.

`Endpoint` is the bottom: sequence numbers, acks, fragments, statistics, byte-compatible with reliable 1.4.0.
"""

from sleepy.udp.config import EndpointConfig
from sleepy.udp.endpoint import Endpoint, Packet, PacketTooLarge
from sleepy.udp.header import FragmentHeader, InvalidHeader, PacketHeader
from sleepy.udp.sequence import SequenceBuffer, newer
from sleepy.udp.statistics import Bandwidth, Counters, Statistics

__all__ = [
    "Bandwidth",
    "Counters",
    "Endpoint",
    "EndpointConfig",
    "FragmentHeader",
    "InvalidHeader",
    "Packet",
    "PacketHeader",
    "PacketTooLarge",
    "SequenceBuffer",
    "Statistics",
    "newer",
]
