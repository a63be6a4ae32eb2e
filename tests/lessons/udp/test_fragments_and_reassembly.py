"""The figures of the lesson on fragments are those of the production code."""

import re
import subprocess
import sys

import pytest

from lessons import catalogue
from sleepy.udp import Endpoint, EndpointConfig
from sleepy.udp.header import write_fragment_header, write_header
from tests.lessons.conftest import ROOT

LESSON = catalogue.find("udp/02")
PAGE = LESSON.text


def test_its_program_prints_what_it_says() -> None:
    [program] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"**{done.stdout.strip()}.**" in PAGE


@pytest.mark.parametrize("row", re.findall(r"^\| (\d+) \| ([\d.]+) % \| ([\d.]+ %|hardly ever) \|", PAGE, re.MULTILINE))
def test_a_row_of_the_table_is_what_chance_says(row) -> None:
    fragments = int(row[0])
    assert f"{100 * 0.99**fragments:.1f}" == row[1]
    assert row[2] == (f"{100 * 0.9**fragments:.1f} %" if 0.9**fragments > 1e-4 else "hardly ever")


def test_the_table_is_there() -> None:
    assert len(re.findall(r"^\| \d+ \| [\d.]+ % \|", PAGE, re.MULTILINE)) == 5


def test_nine_letters_cut_into_fours() -> None:
    end = Endpoint(EndpointConfig(fragment_above=4, fragment_size=4), now=0.0)
    told = [
        cells.replace("`", "").replace(" ", "") for cells in re.findall(r"^\| \d \| (`01[^|]+) \|", PAGE, re.MULTILINE)
    ]
    assert [datagram.hex() for datagram in end.send(b"abcdefghi")] == told


def test_what_an_attacker_can_make_us_keep() -> None:
    end = Endpoint(now=0.0)
    most = 0
    for sequence in range(300):
        for fragment_id in range(15):
            header = write_header(sequence, 0, 0) if fragment_id == 0 else b""
            end.receive(write_fragment_header(sequence, fragment_id, 16) + header + bytes(1024))
        most = max(most, sum(len(partial.payload()) for partial in end._reassembly.partials.values()))
    assert most == 983_040
    assert "**983,040.**" in PAGE


def test_half_of_all_packets_are_lost_at_so_many_fragments() -> None:
    assert 0.99**69 < 0.5 < 0.99**68
    assert "at 1 %? (69.)" in (LESSON.folder / "instructors.md").read_text(encoding="utf-8")


def test_what_old_reliable_io_got_wrong_goes_right_here() -> None:
    a, b = Endpoint(now=0.0), Endpoint(now=0.0)
    payload = bytes(range(256)) * 64
    fragments = a.send(payload)
    arrived = [packet.payload for fragment in fragments * 2 if (packet := b.receive(fragment))]
    assert len(payload) == 16_384
    assert arrived == [payload]
    nine = "0109000000 3e090001"
    assert f"`{nine}`" in PAGE
    assert b.receive(bytes.fromhex(nine)) is None
    assert b.counters.fragments_invalid == 1


def test_the_page_says_what_the_listing_is_set_to() -> None:
    config = EndpointConfig()
    assert (config.max_packet_size, config.max_fragments, config.fragment_size) == (16_384, 16, 1024)
    assert config.fragment_reassembly_buffer_size == 64
    assert config.fragment_reassembly_timeout is None
