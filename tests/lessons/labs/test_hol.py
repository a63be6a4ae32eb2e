"""What the page of the lab suggests to try does give a verdict."""

import re
import shutil

import pytest

from labs import run, scenario
from labs.results import Verdict
from tests.lessons.conftest import ROOT

PAGE = (ROOT / "lessons/labs/hol.md").read_text(encoding="utf-8")
TOML = ROOT / "labs/hol/scenario.toml"
SUGGESTED = re.findall(r"^- `([a-z-]+)` with ([^:]+):", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "changes"), SUGGESTED)
def test_a_suggested_change_passes(name, changes, tmp_path, monkeypatch) -> None:
    head, mark, body = TOML.read_text(encoding="utf-8").partition(f"[{name}]\n")
    figures = re.findall(r"`(\w+) = ([^`]+)`", changes)
    for key, value in figures:
        body, found = re.subn(rf"\b{key} = (\[.*?\]|[\d.]+)", f"{key} = {value}", body, count=1)
        assert found
    assert figures
    shutil.copytree(TOML.parent, tmp_path / "hol", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "hol" / TOML.name).write_text(head + mark + body, encoding="utf-8")
    monkeypatch.setattr(scenario, "LABS", tmp_path)
    summary = run.play(
        scenario.find("hol", name), 7, "sim", "link", lambda _: None, tmp_path / "out", draw=lambda _: None
    )
    assert (summary.verdict, summary.reasons) == (Verdict.PASS, [])


def test_there_are_five() -> None:
    assert len(SUGGESTED) == 5
