"""Some hundred worlds of the fault campaign, other ones every day; see `tests.sleepy.udp.campaign`.

``SLEEPY_UDP_CAMPAIGN_SEED=N`` runs those from seed N on, to replay a failure; the name of a failed test has the seed.
"""

import gc
import os
import time
from collections import Counter
from collections.abc import Iterator
from math import inf

import pytest

from sleepy.udp.delivery.channels.config import Delivery
from tests.sleepy.campaigns import report
from tests.sleepy.udp.campaign.ledger import Ledger, Voice
from tests.sleepy.udp.campaign.run import run_seed

WORLDS, BATCH = 250, 25
_today = int(time.time() / 86400) * WORLDS  # the same in every worker of a run, unless it begins at midnight
BASE = int(os.environ.get("SLEEPY_UDP_CAMPAIGN_SEED", _today))
ORDERED, UNORDERED, UNRELIABLE, SEQUENCED = range(4)


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Each world collects its garbage: what was there before must not be looked at every time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("first", range(0, WORLDS, BATCH))
def test_whatever_happens_the_rules_hold(first: int) -> None:
    outcomes = [run_seed(seed) for seed in range(BASE + first, BASE + first + BATCH)]
    failed = [outcome for outcome in outcomes if outcome.violations]
    assert not failed, report(failed, "tests.sleepy.udp.campaign", "SLEEPY_UDP_CAMPAIGN_SEED")
    assert sum(outcome.count for outcome in outcomes) > 500
    heard: Counter[str] = sum((outcome.outcomes for outcome in outcomes), Counter())
    assert heard["heard"] > 250, "worlds in which nothing is heard would prove little"


def test_the_same_seed_is_the_same_world() -> None:
    """To the last event; else no failure could be replayed."""
    for seed in range(BASE, BASE + 6):
        once, again = run_seed(seed, echo=True), run_seed(seed, echo=True)
        assert once.events
        assert once.events == again.events
        assert (once.count, once.outcomes) == (again.count, again.outcomes)


# The judge


def talk(*said: tuple[int, int, float | None]) -> tuple[Ledger, Voice, list[bytes]]:
    """Somebody says messages, each a channel, a size and a lifetime; the ledger, who may hear them, and they."""
    ledger = Ledger(lambda: 0.0, echo=False)
    ledger.deliveries = list(Delivery)
    speaker, listener = ledger.voice("alice"), ledger.voice("bob")
    return ledger, listener, [ledger.say(speaker, *what) for what in said]


def judged(channel: int, order: str, *said: tuple[int, float | None]) -> list[str]:
    """What is wrong if messages on a channel are heard in this order."""
    ledger, listener, messages = talk(*((channel, size, lifetime) for size, lifetime in said))
    for number in order:
        ledger.hear(listener, channel, messages[int(number)])
    return ledger.violations


SAID = ((9, None),) * 4


@pytest.mark.parametrize(
    ("channel", "order", "wrong"),
    [
        (ORDERED, "0123", None),
        (ORDERED, "013", "message 3 is heard, and 2 was not"),
        (ORDERED, "021", "message 2 is heard, and 1 was not"),
        (ORDERED, "0122", "message 2 is heard twice"),
        (UNORDERED, "3120", None),
        (UNORDERED, "313", "message 3 is heard twice"),
        (UNRELIABLE, "31", None),
        (UNRELIABLE, "33", "message 3 is heard twice"),
        (SEQUENCED, "13", None),
        (SEQUENCED, "31", "message 1 is heard after 3"),
    ],
)
def test_what_each_kind_of_channel_promises(channel: int, order: str, wrong: str | None) -> None:
    """Rule 3."""
    violations = judged(channel, order, *SAID)
    assert violations == [] if wrong is None else wrong in violations[0]


def test_what_had_a_lifetime_may_be_missing() -> None:
    """Rules 3 and 5; and an empty message is known by its place."""
    assert judged(ORDERED, "024", (9, None), (9, 0.5), (9, None), (9, 0.0), (9, None)) == []
    ledger, listener, (first,) = talk((ORDERED, 9, None))
    ledger.hear(listener, ORDERED, first)
    assert ledger.say(ledger.voices[1], ORDERED, 0) == b""
    ledger.hear(listener, ORDERED, b"")
    assert ledger.violations == []
    ledger.hear(listener, ORDERED, b"")
    assert "nobody said nothing" in ledger.violations[0]
    ledger, listener, (message,) = talk((UNRELIABLE, 9, 0.5))
    ledger.now = lambda: 2.0
    ledger.longest_way = 1.0
    ledger.hear(listener, UNRELIABLE, message)
    assert "s after its lifetime" in ledger.violations[0]


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 20, b"\xff" * 9])
def test_what_nobody_said_is_not_heard(damage: bytes) -> None:
    """Rule 1."""
    ledger, listener, (message,) = talk((UNRELIABLE, 30, None))
    ledger.hear(listener, UNRELIABLE, damage + message[len(damage) :] if damage else b"")
    assert len(ledger.violations) == 1
    ledger.hear(listener, UNORDERED, message)
    assert len(ledger.violations) == 2


def test_a_life_hears_nothing_of_another() -> None:
    """Rule 2."""
    ledger, listener, (message,) = talk((ORDERED, 9, None))
    ledger.hear(listener, ORDERED, message)
    again = ledger.voice("alice")
    ledger.hear(listener, ORDERED, ledger.say(again, ORDERED, 9))
    assert "none of its own" in ledger.violations[0]
    ledger.hear(ledger.voice("bob"), ORDERED, message)
    assert "none of its own" in ledger.violations[1]


def test_what_is_missing_at_the_end_is_found() -> None:
    """Rule 4."""
    ledger, listener, messages = talk(
        (ORDERED, 9, None), (UNORDERED, 9, None), (UNORDERED, 9, 1.0), (UNRELIABLE, 9, None)
    )
    speaker = ledger.voices[1]
    ledger.hear(listener, ORDERED, messages[0])
    assert ledger.unheard(speaker) == [(UNORDERED, 0)]
    ledger.check_heard(speaker, "at the end")
    assert "1 messages were not heard" in ledger.violations[0]
    assert speaker.said[UNORDERED][0] is not None
    assert speaker.said[UNORDERED][0].deadline == inf
