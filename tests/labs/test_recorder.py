"""The recorder writes down what passes, with the kernel's times, and does not trust an empty capture."""

import pytest

from tests.labs.inside import inside

pytestmark = pytest.mark.netns

SET_UP = """
import socket, tempfile, time
from pathlib import Path
from pyroute2 import IPRoute
from labs.recorder import Recorder
from scapy.utils import RawPcapReader

ip = IPRoute()
ip.link("set", index=1, state="up")
path = Path(tempfile.mkdtemp()) / "lo.pcap"
"""


def test_what_passes_is_written_whole_with_the_time_it_passed() -> None:
    said = inside(
        SET_UP
        + """
before = time.time()
with Recorder("lo", path) as recorder:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(bytes(1200), ("127.0.0.1", 9))
    after = time.time()
    recorder.finish()
with RawPcapReader(str(path)) as packets:
    (packet, about), *_ = packets
print(len(packet), before - 1e-6 <= about.sec + about.usec / 1e6 <= after)
"""
    )
    assert said == "1242 True\n"


def test_an_empty_capture_is_an_error() -> None:
    said = inside(
        SET_UP
        + """
with Recorder("lo", path) as recorder:
    try:
        recorder.finish()
    except RuntimeError as error:
        print(error)
"""
    )
    assert said == "the capture of lo is empty: nothing came that way\n"


def test_a_capture_that_misses_packets_is_an_error() -> None:
    said = inside(
        SET_UP
        + """
with Recorder("lo", path) as recorder:
    recorder._listener.ins.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(100):
            sender.sendto(bytes(1200), ("127.0.0.1", 9))
    try:
        recorder.finish()
    except RuntimeError as error:
        print(error)
"""
    )
    assert "the capture of lo misses" in said
