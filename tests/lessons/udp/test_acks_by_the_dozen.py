"""The figures of the lesson on acks are those of the production code."""

import json
import re

import pytest
from scapy.layers.inet import TCP
from scapy.utils import PcapReader

from lessons import catalogue, sandbox
from lessons.sandbox import Status
from sleepy.udp import Endpoint, PacketHeader
from tests.lessons.conftest import ROOT

LESSON = catalogue.find("udp/01")
PAGE = LESSON.text


def test_a_listener_who_answers_one_in_forty_leaves_eight_unacked() -> None:
    a, b = Endpoint(now=0.0), Endpoint(now=0.0)
    acked: set[int] = set()
    for number in range(400):
        for datagram in a.send(b"x"):
            b.receive(datagram)
        if number % 40 == 39:
            for datagram in b.send(b"y"):
                a.receive(datagram)
            acked |= set(a.take_acks())
    assert 400 - len(acked) == 8 * 10
    assert "Eight. A header has 32 bits" in PAGE


def test_a_header_takes_4_31_bytes_if_every_hundredth_packet_is_lost() -> None:
    a, b = Endpoint(now=0.0), Endpoint(now=0.0)
    sizes = []
    for number in range(1200):
        [datagram] = a.send(b"x")
        if number % 100 != 50:
            b.receive(datagram)
        [answer] = b.send(b"y")
        if number >= 200:
            sizes.append(len(answer) - 1)
    longer = sum(size > 4 for size in sizes)
    assert f"**{sum(sizes) / len(sizes):.2f} bytes.**" in PAGE
    assert (longer, len(sizes)) == (310, 1000)
    assert "in 31 headers of a hundred one byte" in PAGE


@pytest.mark.parametrize("row", re.findall(r"^\| (\d+, \d+, [^|]+) \| `([0-9a-f ]+)` \|", PAGE, re.MULTILINE))
def test_a_row_of_bytes_is_what_is_written(row) -> None:
    sequence, ack, bits = row[0].split(", ")
    ack_bits = 0xFFFFFFFF if bits == "all ones" else int(bits, 0)
    assert PacketHeader(int(sequence), int(ack), ack_bits).encode().hex() == row[1].replace(" ", "")


def test_there_are_three_rows_of_bytes() -> None:
    assert len(re.findall(r"^\| \d+, \d+, ", PAGE, re.MULTILINE)) == 3


def test_the_recorded_capture_has_so_many_selective_acks() -> None:
    folder = ROOT / "lessons/tcp/02-head-of-line-blocking/run/lost-segment"
    with PcapReader(str(folder / "left.pcap")) as packets:
        sacks = [packet for packet in packets if _is_sack(packet)]
    assert len(sacks) == 23
    assert len({packet[TCP].ack for packet in sacks}) == 1
    assert "Twenty-three segments from the client. Each has the *same* ack" in PAGE


def _is_sack(packet) -> bool:
    return TCP in packet and packet[TCP].dport == 8001 and "SAck" in dict(packet[TCP].options)


def test_what_instructors_are_told_of_a_wrong_solution() -> None:
    report = sandbox.run_tests(LESSON.exercise / "wrong/larger_is_newer.py", LESSON.tests)
    passed = sum(outcome.status is Status.PASSED for outcome in report.outcomes)
    assert (passed, len(report.outcomes)) == (15, 19)
    assert "passes fifteen tests of nineteen" in (LESSON.folder / "instructors.md").read_text(encoding="utf-8")


# --- the recorded run ------------------------------------------------------------------------------------------------------


def recorded() -> dict[str, list[dict[str, float]]]:
    return json.loads((LESSON.folder / "run/unheard/record.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["each", "eighth"])
def test_a_run_gives_what_was_recorded(runs, name) -> None:
    assert runs.unheard(0.9, runs.EVERY[name]) == recorded()[name][-2]


def test_what_is_drawn_is_what_was_recorded(runs) -> None:
    for path, text in runs.drawn().items():
        assert path.read_text(encoding="utf-8") == text


def test_the_page_says_what_was_recorded() -> None:
    at_nine_in_ten = recorded()["each"][-2]
    assert at_nine_in_ten["loss"] == 0.9
    assert f"{at_nine_in_ten['ack']:.0%}".replace("%", " %") in PAGE
    assert f"**{100 * at_nine_in_ten['bits']:.1f} %.**" in PAGE
    assert recorded()["setting"]["ticks"] == 20_000
    assert all(row["bits"] < 0.001 for row in recorded()["each"] if row["loss"] <= 0.8)
