"""The page of a run: whole, safe, and true to its summary. What only a browser can tell is in test_report_in_browser.py."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from labs import report
from labs.results import Check, Summary, Verdict
from sleepy.trace import Event
from tests.labs import synthetic

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"


class Words(HTMLParser):
    """The page's visible text, its elements, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._within = [tag, dict(attrs).get("id") or ""]

    def handle_endtag(self, tag: str) -> None:
        self._within = []

    def handle_data(self, data: str) -> None:
        if self._within[:1] == ["script"]:
            self.scripts[self._within[1]] = data
        elif self._within[:1] != ["style"]:
            self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    return report.render(synthetic.slow_response(), [])


@pytest.fixture(scope="module")
def words(page: str) -> Words:
    return Words(page)


def test_the_page_gives_the_verdict_the_claim_and_the_headline(words: Words) -> None:
    assert "✓ PASS" in words.text
    assert "On a pipelined connection one slow or lost response holds up everything behind it" in words.text
    assert "One slow response held up this many innocent requests" in words.text
    for contender in synthetic.slow_response().contenders:
        assert report.plots.count(contender.captured.held_per_culprit) in words.text
        assert contender.label in words.text


def test_every_figure_of_all_three_parties_is_in_the_table() -> None:
    summary = synthetic.slow_response(requests=40)
    contender = summary.contenders[0]
    contender.predicted = replace(contender.predicted, culprits=1001, held=1002, p50=0.1003, p99=0.1004, total=10.05)
    contender.program = replace(contender.program, culprits=2001, held=2002, p50=0.2003, p99=0.2004, total=20.05)
    text = Words(report.render(summary, [])).text
    for figure in (
        "1001",
        "1002",
        "100.3 ms",
        "100.4 ms",
        "10.05 s",
        "2001",
        "2002",
        "200.3 ms",
        "200.4 ms",
        "20.05 s",
    ):
        assert figure in text


def test_checks_link_environment_notes_and_the_command_are_there(words: Words) -> None:
    summary = synthetic.slow_response()
    said = [summary.command, *summary.environment, *summary.environment.values(), *summary.notes]
    said += [part for check in summary.checks for part in (check.name, check.expected, check.measured)]
    said += ["25.0 ms", "25.2 ms", str(summary.to_server.packets), str(summary.to_client.packets)]
    for part in said:
        assert part in words.text, part


def test_who_waited_is_told_in_words_too(words: Words) -> None:
    for track in map(report.timeline.track, synthetic.slow_response().contenders):
        for culprit in track.culprits:
            assert f"request {culprit.life.request.index}" in words.text
            assert report.timeline.ranges([life.request.index for life in culprit.held]) in words.text


def test_a_failure_says_why_and_which_check_did_not_hold() -> None:
    summary = synthetic.slow_response(requests=40)
    summary.verdict, summary.reasons = Verdict.FAIL, ["the capture shows 3, the program 16"]
    summary.checks = [Check("capture and program agree", "within 10 %", "off by 81 %", passed=False)]
    text = Words(report.render(summary, [])).text
    assert "✗ FAIL" in text
    assert "the capture shows 3, the program 16" in text
    assert "0 of 1 checks held" in text
    assert "✗ no" in text
    assert "PASS" not in text


def test_no_effect_is_never_shown_as_one() -> None:
    text = Words(report.render(synthetic.no_effect(), [])).text
    assert "No effect to see" in text
    assert "held up this many" not in text
    assert "PASS" not in text


def test_only_our_script_may_run_and_nothing_may_be_fetched(page: str, words: Words) -> None:
    """Rule 1."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    digest = b64encode(sha256(words.scripts[""].encode()).digest()).decode()
    assert policy[1].split("; ") == ["default-src 'none'", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'"]
    assert not {"link", "iframe", "object", "embed", "img", "base"} & set(words.elements)


def test_whatever_comes_from_data_is_escaped() -> None:
    """Rule 2."""
    summary = synthetic.slow_response(requests=40)
    harmless = Words(report.render(summary, []))
    summary.scenario = summary.world = summary.impairment = summary.command = HOSTILE
    summary.reasons, summary.notes, summary.environment = [HOSTILE], [HOSTILE], {HOSTILE: HOSTILE}
    summary.checks = [Check(HOSTILE, HOSTILE, HOSTILE, passed=True)]
    for contender in summary.contenders:
        contender.name = contender.label = HOSTILE
    hostile = Words(report.render(summary, [Event(0.0, HOSTILE, "lab.phase", {"phase": HOSTILE})]))
    assert hostile.elements.count("script") == harmless.elements.count("script") == 2
    assert "img" not in hostile.elements
    assert hostile.text.count(HOSTILE) > 20
    assert hostile.scripts[""] == harmless.scripts[""]


def test_the_script_is_given_every_request_as_it_was(words: Words) -> None:
    """Rule 3."""
    data = json.loads(words.scripts["data"])
    for track, contender in zip(data["tracks"], synthetic.slow_response().contenders, strict=True):
        begin = min(request.queued or 0.0 for request in contender.requests)
        assert [life["index"] for life in track["lives"]] == [request.index for request in contender.requests]
        for life, request in zip(track["lives"], contender.requests, strict=True):
            assert life["heldBy"] == request.held_by
            assert life["innocent"] == request.innocent
            assert life["spans"][0][1] == pytest.approx((request.queued or 0.0) - begin, abs=1e-5)
            assert life["spans"][-1][2] == pytest.approx((request.done or 0.0) - begin, abs=1e-5)
    assert 0 <= data["typical"] < len(data["windows"])


def test_the_table_of_latencies_is_of_the_innocent_only() -> None:
    summary = synthetic.slow_response(requests=40)
    contender = summary.contenders[2]
    for request in contender.requests:
        request.done = (request.queued or 0.0) + (0.0777 if request.innocent else 9.0)
    text = Words(report.render(summary, [])).text
    table = text[text.index("Answered within") : text.index("Predicted, captured")]
    assert table.count("77.7 ms") == len(report.SHARES)


def test_write_reads_the_folder_and_leaves_the_page_there(tmp_path: Path) -> None:
    summary = synthetic.slow_response(requests=40)
    summary.write(tmp_path / "summary.json")
    events = [Event(float(n), "client", "request.retried", {"id": n, "error": "closed"}) for n in range(37)]
    (tmp_path / "events.jsonl").write_text("".join(event.to_json() + "\n" for event in events), encoding="utf-8")
    written = report.write(tmp_path)
    assert written == tmp_path / "report.html"
    text = Words(written.read_text(encoding="utf-8")).text
    assert re.search(r"request\.retried\s*client\s*37", text)


def test_a_run_without_events_has_a_page_too(tmp_path: Path) -> None:
    Summary.write(synthetic.slow_response(requests=40), tmp_path / "summary.json")
    assert "What was recorded" not in report.write(tmp_path).read_text(encoding="utf-8")


def test_a_folder_that_was_never_judged_gets_no_page(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"summary\.json"):
        report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()
