"""The figures of the lesson on fragments are those of the production code; its diagram shows what the page says."""

import json
import re
import subprocess
import sys

import pytest

from lessons import catalogue
from lessons.playground import Cells, Table
from lessons.playground.stage import Stage, load
from sleepy.udp import Endpoint, EndpointConfig
from sleepy.udp.header import write_fragment_header, write_header
from tests.lessons.conftest import ROOT

LESSON = catalogue.find("udp/02")
PAGE = LESSON.text
PROSE = " ".join(PAGE.split())


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


# --- the recorded run ------------------------------------------------------------------------------------------------------


def recorded() -> dict[str, list[dict[str, float]]]:
    return json.loads((LESSON.folder / "run/loss/record.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("link", ["alone", "spells"])
def test_a_run_gives_what_was_recorded(runs, link) -> None:
    assert runs.arrived(runs.LINKS[link], 16) == recorded()[link][-1]


def test_what_is_drawn_is_what_was_recorded(runs) -> None:
    for path, text in runs.drawn().items():
        assert path.read_text(encoding="utf-8") == text, f"draw it again: {runs.__doc__}"


def test_the_setting_is_the_one_the_program_has(runs) -> None:
    setting = {"datagrams": runs.DATAGRAMS, "seed": runs.SEED, "loss": runs.LOSS, "spell": runs.SPELL}
    assert recorded()["setting"] == setting
    assert "a run of 96,000 datagrams" in PROSE
    assert (runs.DATAGRAMS, runs.LOSS, runs.SPELL) == (96_000, 0.1, 16)


def test_the_page_says_what_was_recorded() -> None:
    alone, spells = (recorded()[link] for link in ("alone", "spells"))
    assert f"{alone[-1]['packets']:.0%}".replace("%", " %") + " of the packets of 16 fragments" in PROSE
    assert f"**{spells[-1]['packets']:.0%}".replace("%", " %.**") in PROSE
    for row in [*alone, *spells]:
        assert row["datagrams"] == pytest.approx(0.9, abs=0.012), "both links lose as many"
    for row in alone:
        assert row["packets"] == pytest.approx(0.9 ** row["fragments"], abs=0.015)


# --- the diagram -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage() -> Stage:
    """Nothing is lost unless it is dropped."""
    stage = Stage(load(LESSON.name))
    stage.change("loss", 0)
    stage.reset()
    return stage


def told(stage: Stage, words: str) -> str:
    """Step until a line has these words."""
    for _ in range(300):
        stage.step()
        line = stage.shown()["log"][-1]
        if words in line:
            return line
    raise AssertionError(f"nothing was said of {words!r}")


def cells(stage: Stage, title: str) -> dict[str, str]:
    """What stands over each label."""
    [part] = [part for part in stage.view(0).parts if isinstance(part, Cells) and title in part.title]
    return {cell.label: cell.text for row in part.rows for cell in row.cells}


def drop(stage: Stage, fragment: str) -> None:
    told(stage, f"a sends fragment {fragment}")
    [key] = [
        packet.key for packet in stage.view(0).parts[0].packets if packet.fate == "flying" and packet.source == "a"
    ][-1:]
    stage.act("drop", key)
    assert f"fragment {fragment} is lost: you dropped it" in stage.shown()["log"][-1]


def test_a_packet_that_lacks_a_fragment_waits_until_four_newer_ones_came(stage) -> None:
    drop(stage, "1 of 4 of packet 1")
    told(stage, "of packet 1 it has 3 of 4")
    assert list(cells(stage, "reassembly buffer").values()) == ["ij", "··", "mn", "op"]
    assert "receives fragment 0 of 4 of packet 5; b gives up packet 1, for one newer by 4" in told(stage, "gives up")
    stage.view(20)
    packets = cells(stage, "a’s packets")
    assert (packets["0"], packets["1"], packets["2"]) == ("✓", "×", "✓")
    assert "Four packets later all of it is given up" in PROSE


def test_time_gives_up_too_if_asked(stage) -> None:
    stage.change("timeout", 100)
    drop(stage, "1 of 4 of packet 0")
    assert "gives up packet 0, for its time was up" in told(stage, "gives up")
    assert cells(stage, "a’s packets")["0"] == "×"


def test_fragments_that_overtake_and_come_twice_are_put_together_all_the_same(stage) -> None:
    stage.change("overtake", 1)
    stage.change("twice", 40)
    stage.view(600)
    log = stage.shown()["log"]
    assert any("has it already" in line for line in log)
    [table] = [part for part in stage.view(0).parts if isinstance(part, Table) and "gets through" in part.title]
    assert table.rows[1][3] == "0 %"


def test_a_stranger_takes_the_number_of_the_next_packet(stage) -> None:
    told(stage, "packet 0 is whole")
    stage.act("stranger", "")
    number = re.search(
        r"stranger’s fragment 1 of 16 of packet (\d+); of packet \d+ it has 1 of 16", stage.shown()["log"][-1]
    )[1]
    assert "b refuses it" in told(stage, f"receives fragment 0 of 4 of packet {number}")
    stage.view(120)
    assert cells(stage, "a’s packets")[number] == "×"
    assert "*a*'s own contradict it, and are refused" in PROSE


def test_the_loss_of_packets_exceeds_that_of_datagrams() -> None:
    """What the page has the reader watch: 1 % and 16 fragments."""
    stage = Stage(load(LESSON.name))
    stage.change("loss", 1)
    stage.change("fragments", 16)
    stage.view(1900)
    [table] = [part for part in stage.view(0).parts if isinstance(part, Table) and "gets through" in part.title]
    datagrams, packets = (int(row[3].removesuffix(" %")) for row in table.rows)
    assert datagrams <= 2
    assert packets >= 5 * datagrams
