from pathlib import Path

import pytest

from labs.results import Figures, Summary, Verdict
from tests.labs.synthetic import lost_segment, slow_response


@pytest.mark.parametrize("make", [slow_response, lost_segment])
def test_a_summary_survives_its_file(make, tmp_path: Path) -> None:
    summary = make()
    summary.write(tmp_path / "summary.json")
    assert Summary.read(tmp_path / "summary.json") == summary


def test_exit_codes() -> None:
    assert [verdict.exit_code for verdict in Verdict] == [0, 1, 2]


def test_nobody_is_held_up_by_no_culprit() -> None:
    assert Figures(culprits=0, held=0, p50=0, p99=0, total=0).held_per_culprit == 0
    assert Figures(culprits=4, held=10, p50=0, p99=0, total=0).held_per_culprit == 2.5
