"""What the lines must do: count what is in service, keep the order, keep away from a silent connection."""

from collections import deque
from random import Random

from lessons.trial import Subject, Trial

LIMIT = 1.0  # seconds


def asked(trial: Trial, max_conns: int, *requests: str) -> Subject:
    """The lines, after these requests, all at 0 seconds."""
    subject = trial.new("Lines", max_conns, LIMIT)
    for request in requests:
        subject.do("ask", request, 0.0)
    return subject


def test_the_first(trial: Trial) -> None:
    """It opens a connection, and its response comes on it."""
    subject = asked(trial, 1)
    subject.gives("ask", "A", 0.0, expected=0, why="there is no connection yet, so it opens number 0")
    subject.gives("answer", 0, 0.1, expected="A", why="it is the only one pending there")


def test_responses_keep_the_order(trial: Trial) -> None:
    """What arrives is the response to the oldest request, whatever it says."""
    subject = asked(trial, 1, "A", "B", "C")
    for request in "ABC":
        subject.gives("answer", 0, 0.1, expected=request, why="the requests were A, B, C, and responses bear no number")


def test_new_connections_before_full_ones(trial: Trial) -> None:
    """Nobody stands behind another while a connection may be opened."""
    subject = asked(trial, 3)
    for number, request in enumerate("ABC"):
        subject.gives(
            "ask", request, 0.0, expected=number, why="something is pending on all there are, and 3 may be opened"
        )
    subject.gives("ask", "D", 0.0, expected=0, why="3 are open, each with one pending: of equals the lowest number")


def test_one_with_nothing_pending_before_a_new_one(trial: Trial) -> None:
    """What is open and free costs no round trip."""
    subject = asked(trial, 3, "A")
    subject.do("answer", 0, 0.1)
    subject.gives("ask", "B", 0.2, expected=0, why="nothing is pending on 0, so none is opened")


def test_the_least_pending(trial: Trial) -> None:
    """When all are in use, the shortest line."""
    subject = asked(trial, 2, "A", "B", "C", "D", "E")  # 0: A C E, 1: B D
    subject.gives("ask", "F", 0.1, expected=1, why="three are pending on 0, two on 1")
    for _ in range(3):
        subject.do("answer", 0, 0.2)
    subject.gives("ask", "G", 0.3, expected=0, why="nothing is pending on 0 any more, three on 1")
    subject.gives("ask", "H", 0.3, expected=0, why="one is pending on 0, three on 1: whose turn it is does not matter")


def test_the_one_in_service_counts(trial: Trial) -> None:
    """A line of one is not empty, though nobody waits in it."""
    subject = asked(trial, 2, "slow")
    subject.gives("ask", "fast", 0.1, expected=1, why="the peer works on 'slow', which is pending until it is answered")


def test_who_cancels_keeps_his_place(trial: Trial) -> None:
    """The response comes all the same, and must be read to get at those behind."""
    subject = asked(trial, 1, "A", "B", "C")
    subject.do("cancel", "B")
    subject.gives("answer", 0, 0.1, expected="A")
    subject.gives("answer", 0, 0.2, expected=None, why="this is the response to B, for which nobody waits any more")
    subject.gives("answer", 0, 0.3, expected="C", why="B's response came before it")


def test_the_cancelled_still_count(trial: Trial) -> None:
    """The peer does not know, and works on it."""
    subject = asked(trial, 2, "A", "B", "C")  # 0: A C, 1: B
    subject.do("cancel", "A")
    subject.do("cancel", "C")
    subject.gives("ask", "D", 0.1, expected=1, why="two responses are still to come on 0, one on 1")


def test_a_silent_connection_gets_nothing(trial: Trial) -> None:
    """Even if its line is the shortest."""
    subject = asked(trial, 2, "slow", "B", "C", "D", "E")  # 0: slow C E, 1: B D
    for now in (0.2, 0.4):
        subject.do("answer", 1, now)
    for number in range(6):
        subject.gives("ask", f"F{number}", 1.2, expected=1, why="0 has been silent for 1.2 s, and 1.0 is the limit")


def test_silence_is_not_age(trial: Trial) -> None:
    """Whoever answers all the time is not stalled, however long its line."""
    subject = asked(trial, 1, *(f"A{number}" for number in range(5)))
    for number in range(1, 5):
        subject.do("answer", 0, 0.5 * number)
    why = "A4 has waited for 2.5 s, but the last response came 0.5 s ago: it moves"
    subject.gives("ask", "B", 2.5, expected=0, why=why)


def test_being_asked_is_not_moving(trial: Trial) -> None:
    """Newcomers do not make a silent connection look alive."""
    subject = asked(trial, 1, "slow")
    for number in range(1, 4):
        subject.do("ask", f"A{number}", round(0.3 * number, 1))
    subject.gives(
        "ask", "B", 1.2, expected=None, why="0 has been silent since 0.0 s; that it was asked at 0.9 s changes nothing"
    )


def test_rest_is_not_silence(trial: Trial) -> None:
    """A connection that has nothing to say is not stalled."""
    subject = asked(trial, 1, "A")
    subject.do("answer", 0, 0.1)
    subject.gives("ask", "B", 9.0, expected=0, why="nothing was pending, so nothing was to be heard")
    subject.gives("ask", "C", 9.5, expected=0, why="it is silent since 9.0 s, when it got B")


def test_if_all_are_stalled(trial: Trial) -> None:
    """The request stays where it is, and a connection that moves takes newcomers again."""
    subject = asked(trial, 2, "A", "B")
    subject.gives("ask", "C", 1.5, expected=None, why="both there may be have been silent for 1.5 s")
    subject.do("answer", 1, 1.6)
    subject.gives("ask", "C", 1.7, expected=1, why="1 has answered")
    subject.gives("answer", 1, 1.8, expected="C", why="the C that came at 1.5 s was not taken")


def test_a_stalled_one_may_be_replaced(trial: Trial) -> None:
    """While a connection may be opened, nobody has to wait."""
    subject = asked(trial, 2, "slow")
    subject.gives("ask", "A", 1.5, expected=1, why="0 is stalled, and 2 may be opened")


def test_a_long_day(trial: Trial, random: Random) -> None:
    """Many requests, responses and cancellations, in any order."""
    max_conns = random.randrange(1, 5)
    subject = trial.new("Lines", max_conns, LIMIT)
    lines: list[deque[str | None]] = []
    moved: list[float] = []
    now = 0.0
    for number in range(150):
        now = round(now + random.choice((0.0, 0.1, 0.4)), 1)
        busy = [one for one, line in enumerate(lines) if line]
        what = random.choice(("ask", "ask", "answer", "answer", "cancel"))
        if what == "ask" or not busy:
            expected = chosen(lines, moved, max_conns, now)
            subject.gives("ask", f"r{number}", now, expected=expected, why=told(lines, moved, now))
            if expected is None:
                continue
            if expected == len(lines):
                lines.append(deque())
                moved.append(now)
            if not lines[expected]:
                moved[expected] = now
            lines[expected].append(f"r{number}")
        elif what == "answer":
            connection = random.choice(busy)
            moved[connection] = now
            line = list(lines[connection])
            subject.gives("answer", connection, now, expected=lines[connection].popleft(), why=f"pending there: {line}")
        else:
            line = lines[random.choice(busy)]
            place = random.randrange(len(line))
            request = line[place]
            if request is not None:
                subject.do("cancel", request)
                line[place] = None


def chosen(lines: list[deque[str | None]], moved: list[float], max_conns: int, now: float) -> int | None:
    """Rule 2, with rules 5 and 6, one after the other."""
    free = [one for one, line in enumerate(lines) if not (line and now - moved[one] > LIMIT)]
    resting = [one for one in free if not lines[one]]
    if resting:
        return resting[0]
    if len(lines) < max_conns:
        return len(lines)
    return min(free, key=lambda one: len(lines[one]), default=None)


def told(lines: list[deque[str | None]], moved: list[float], now: float) -> str:
    """What is pending where, in words."""
    each = (f"{one}: {len(line)}, moved {now - moved[one]:.1f} s ago" for one, line in enumerate(lines))
    return f"pending on each connection: {'; '.join(each) or 'there is none yet'}"
