"""Some hundred runs of the fault campaign, other ones every day; see `tests.sleepy.tcp.campaign`.

``SLEEPY_CAMPAIGN_SEED=N`` runs those from seed N on, to replay a failure; the name of a failed test has the seed.
"""

import gc
import os
import time
from collections.abc import Iterator

import pytest

from tests.sleepy.campaigns import Outcome, report
from tests.sleepy.tcp.campaign.ledger import NOBODY, Ledger
from tests.sleepy.tcp.campaign.run import run_seed
from tests.sleepy.tcp.campaign.subjects import KINDS

RUNS, BATCH = 300, 25
_today = int(time.time() / 86400) * RUNS  # the same in every worker of a run, unless it begins at midnight
BASE = int(os.environ.get("SLEEPY_CAMPAIGN_SEED", _today))


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Each run collects its garbage: what was there before must not be looked at every time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("first", range(0, RUNS, BATCH))
def test_whatever_happens_the_rules_hold(first: int) -> None:
    failed: list[Outcome] = []
    for seed in range(BASE + first, BASE + first + BATCH):
        outcome = run_seed(seed)
        assert outcome.count
        if outcome.violations:
            failed.append(outcome)
    assert not failed, report(failed, "tests.sleepy.tcp.campaign", "SLEEPY_CAMPAIGN_SEED")


def test_the_same_seed_is_the_same_run() -> None:
    """To the last event; else no failure could be replayed."""
    for seed in range(BASE, BASE + 5):
        once, again = run_seed(seed, echo=True), run_seed(seed, echo=True)
        assert once.events
        assert once.events == again.events


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_every_kind_of_client_gets_answers_and_errors(kind: str) -> None:
    """Runs that ended all in errors, or met none, would prove little."""
    ends: set[str] = set()
    for seed in range(8):
        ends.update(run_seed(seed, kinds=(kind,)).outcomes)
    assert "answers" in ends
    assert "RequestTimeout" in ends
    assert len(ends) >= 4


# The judge


def ledger() -> Ledger:
    return Ledger(lambda: 0.0, echo=False)


def test_an_answer_to_somebody_else_is_none() -> None:
    book = ledger()
    token = book.token(1, connection=7)
    book.promise(token, b"body")
    book.judge(1, token, b"body")
    assert not book.violations
    book.judge(2, token, b"body")
    assert "got the answer to 1" in book.violations[0]


@pytest.mark.parametrize(("token", "body"), [(None, b"bod"), (None, b""), (b"OK", b"body"), (b"", b"body")])
def test_an_answer_that_nobody_wrote_is_none(token: bytes | None, body: bytes) -> None:
    book = ledger()
    written = book.token(1, connection=7)
    book.promise(written, b"body")
    book.judge(1, written if token is None else token, body)
    assert len(book.violations) == 1


@pytest.mark.parametrize(("pending", "excused"), [({2, 3}, True), ({3}, False), (set[int](), False)])
def test_a_lie_may_mislead_only_who_was_waiting_when_it_came(pending: set[int], excused: bool) -> None:
    book = ledger()
    token = book.token(NOBODY, connection=7)
    book.liars.add(7)
    book.arrived(0, frozenset(pending))
    book.judge(2, token, b"poison")
    assert (not book.violations) == excused
