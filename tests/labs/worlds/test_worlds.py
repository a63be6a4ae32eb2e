"""What all worlds have in common, and what is carried out of a run."""

from pathlib import Path

import pytest

from labs.scenario import UnknownNameError
from labs.worlds import WorldError, carry_out, convene, find, names
from sleepy.trace import Event, read


@pytest.mark.parametrize("name", names())
def test_every_world_is_one(name: str) -> None:
    world = find(name)
    assert callable(world.probe)
    assert callable(world.run)
    assert isinstance(world.NOTES, tuple)


def test_an_unknown_world_is_answered_by_the_list() -> None:
    with pytest.raises(UnknownNameError, match=r"no world 'mars'; there are: .*netns"):
        find("mars")


def test_all_events_become_one_trace_in_the_order_of_their_times(tmp_path: Path) -> None:
    for name in ("left.pcap", "right.pcap"):
        (tmp_path / name).write_bytes(name.encode())
    for where, times in {"client": (1.0, 3.0), "server": (2.0,)}.items():
        events = [Event(time, where, "lab.phase", {"phase": "x"}) for time in times]
        (tmp_path / f"events-{where}.jsonl").write_text("".join(event.to_json() + "\n" for event in events))
    folder = tmp_path / "run"
    folder.mkdir()
    carry_out(tmp_path, folder)
    assert (folder / "left.pcap").read_bytes() == b"left.pcap"
    with (folder / "events.jsonl").open() as lines:
        assert [(event.time, event.where) for event in read(lines)] == [(1, "client"), (2, "server"), (3, "client")]


def test_a_run_without_a_capture_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"left no left\.pcap"):
        carry_out(tmp_path, tmp_path)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    with convene(tmp_path), pytest.raises(WorldError, match="another run is at work"):
        convene(tmp_path)
