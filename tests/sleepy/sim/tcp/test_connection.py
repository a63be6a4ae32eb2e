"""`sleepy.sim.tcp.connection`: beginning, ending, and all between, with two ends and a path that Hypothesis makes bad."""

import heapq
import math
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.sim.packet import Segment
from sleepy.sim.tcp.connection import (
    TIME_WAIT,
    Acknowledged,
    Closed,
    Connection,
    Ended,
    Event,
    Failure,
    Opened,
    Received,
    State,
)

DELAY = 0.05


class Path:
    """Two ends and what lies between: a tiny network, by hand.

    Attributes:
        events: What happened at each end.
    """

    def __init__(self, chance: Random | None = None, loss: float = 0.0) -> None:
        self.now = 0.0
        self.ends = {"a": Connection(1, 2, 100, 1000), "b": Connection(2, 1, 2**32 - 50, 1000)}
        self.events: dict[str, list[Event]] = {"a": [], "b": []}
        self.streams = {"a": b"", "b": b""}
        self.sent: list[tuple[str, Segment]] = []
        self.drop: set[int] = set()
        self._under_way: list[tuple[float, int, str, Segment]] = []
        self._order = count()
        self._chance = chance
        self._loss = loss

    def connect(self) -> None:
        self.ends["a"].connect(self.now)
        self.pump()

    def pump(self) -> None:
        for name, end in self.ends.items():
            for segment in end.segments:
                index = len(self.sent)
                self.sent.append((name, segment))
                lost = index in self.drop or (self._chance is not None and self._chance.random() < self._loss)
                copies = 1 if self._chance is None else self._chance.choice([1, 1, 1, 2])
                for _ in range(0 if lost else copies):
                    delay = DELAY if self._chance is None else self._chance.uniform(DELAY / 2, 2 * DELAY)
                    other = "b" if name == "a" else "a"
                    heapq.heappush(self._under_way, (self.now + delay, next(self._order), other, segment))
            end.segments.clear()
            for event in end.events:
                self.events[name].append(event)
                if isinstance(event, Received):
                    self.streams[name] += event.data
                    end.read(len(event.data), self.now)
            end.events.clear()

    def run(self, until: float = math.inf) -> None:
        """Let time pass until nothing more happens, or the time is up."""
        while True:
            wake = min(end.wake for end in self.ends.values())
            arrival = self._under_way[0][0] if self._under_way else math.inf
            when = min(wake, arrival)
            if when > until or when == math.inf:
                self.now = self.now if until == math.inf else until
                return
            self.now = max(when, self.now)
            if arrival <= wake:
                _, _, name, segment = heapq.heappop(self._under_way)
                if self.ends[name].state is State.CLOSED and segment.syn and name == "b":
                    self.ends["b"].accept(segment, self.now)
                elif self.ends[name].state is not State.CLOSED:
                    self.ends[name].receive(segment, self.now)
            else:
                for end in self.ends.values():
                    if end.wake <= self.now:
                        end.tick(self.now)
            self.pump()

    def happened(self, name: str) -> list[Event]:
        """Without what concerns the data alone."""
        return [event for event in self.events[name] if not isinstance(event, Received | Acknowledged)]

    def states(self) -> tuple[State, State]:
        return self.ends["a"].state, self.ends["b"].state


def opened(**options: float) -> Path:
    path = Path()
    path.connect()
    path.run(until=4 * DELAY)
    assert path.states() == (State.ESTABLISHED, State.ESTABLISHED)
    return path


def test_a_handshake_takes_three_segments_and_counts_from_each_ones_own_number() -> None:
    path = opened()
    assert [(name, s.syn, s.seq, s.ack) for name, s in path.sent] == [
        ("a", True, 100, None),
        ("b", True, 2**32 - 50, 101),
        ("a", False, 101, 2**32 - 49),
    ]
    assert path.happened("a") == path.happened("b") == [Opened()]


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}, {2}, {0, 1, 2, 3}])
def test_rule_1_a_lost_handshake_is_repeated(lost: set[int]) -> None:
    path = Path()
    path.drop = lost
    path.connect()
    path.ends["a"].write(b"", 0.0)
    path.run(until=60)
    path.ends["a"].write(b"hello", path.now)
    path.pump()
    path.run(until=120)
    assert path.states() == (State.ESTABLISHED, State.ESTABLISHED)
    assert path.streams["b"] == b"hello"


def test_rule_1_a_repeated_handshake_gives_no_sample_of_the_round_trip() -> None:
    path = Path()
    path.drop = {0}
    path.connect()
    path.run(until=1.5)
    assert path.states() == (State.ESTABLISHED, State.ESTABLISHED)
    assert path.ends["a"].sender.round_trip.mean == 0
    assert path.ends["b"].sender.round_trip.mean == pytest.approx(2 * DELAY)


def test_who_asks_whether_there_is_room_is_answered() -> None:
    path = opened()
    path.ends["b"].receive(Segment(1, 2, 100, 2**32 - 49, 1000), path.now)
    assert [(s.ack, s.window > 0, s.data) for s in path.ends["b"].segments] == [(101, True, b"")]


def test_rule_1_nobody_there_is_known_after_two_minutes() -> None:
    path = Path()
    path.drop = set(range(100))
    path.connect()
    path.run()
    assert path.events["a"] == [Closed(Failure.TIMED_OUT)]
    assert len(path.sent) == 7
    assert path.now == 1 + 2 + 4 + 8 + 16 + 32 + 64


def test_rule_1_a_caller_who_vanishes_is_forgotten() -> None:
    path = Path()
    path.drop = {0}
    path.ends["b"].accept(Segment(1, 2, 100, window=1000, syn=True, mss=500), 0.0)
    path.drop = set(range(100))
    path.pump()
    path.run()
    assert path.events["b"] == [Closed(Failure.TIMED_OUT)]
    assert len(path.sent) == 6


def test_rule_2_a_reset_in_answer_to_a_syn_means_nobody_listens() -> None:
    end = Connection(1, 2, 100, 1000)
    end.connect(0.0)
    end.receive(Segment(2, 1, 0, 99, rst=True), 0.1)
    assert end.state is State.SYN_SENT  # it is about something else
    end.receive(Segment(2, 1, 0, 101, rst=True), 0.1)
    assert end.events == [Closed(Failure.REFUSED)]


def test_rule_2_a_reset_ends_an_open_connection_if_it_is_about_it() -> None:
    path = opened()
    path.ends["b"].receive(Segment(1, 2, 55, rst=True), path.now)
    assert path.ends["b"].state is State.ESTABLISHED
    path.ends["a"].abort()
    path.pump()
    path.run()
    assert path.happened("b") == [Opened(), Closed(Failure.RESET)]


def test_no_way_to_the_peer_ends_the_attempt_but_not_an_open_connection() -> None:
    path = opened()
    path.ends["a"].unreachable()
    assert path.ends["a"].state is State.ESTABLISHED
    end = Connection(1, 2, 100, 1000)
    end.connect(0.0)
    end.unreachable()
    assert end.events == [Closed(Failure.UNREACHABLE)]


def test_rule_3_after_our_end_they_may_go_on() -> None:
    path = opened()
    path.ends["a"].finish(path.now)
    path.pump()
    path.run(until=path.now + 1)
    assert path.states() == (State.FIN_WAIT_2, State.CLOSE_WAIT)
    path.ends["b"].write(b"more", path.now)
    path.ends["b"].finish(path.now)
    path.pump()
    path.run(until=path.now + 1)
    assert path.streams["a"] == b"more"
    assert path.states() == (State.TIME_WAIT, State.CLOSED)


def test_both_may_end_at_once() -> None:
    path = opened()
    for end in path.ends.values():
        end.finish(path.now)
    path.pump()
    path.run(until=path.now + 1)
    assert path.states() == (State.TIME_WAIT, State.TIME_WAIT)
    path.run()
    assert path.happened("a") == path.happened("b") == [Opened(), Ended(), Closed(None)]


def test_rule_4_what_comes_after_the_program_has_gone_is_reset() -> None:
    path = opened()
    path.ends["a"].write(b"last words", path.now)
    path.ends["a"].desert(path.now)
    path.pump()
    path.run(until=path.now + 1)
    assert path.streams["b"] == b"last words"
    path.ends["b"].write(b"too late", path.now)
    path.pump()
    path.run()
    assert path.happened("b") == [Opened(), Ended(), Closed(Failure.RESET)]


def test_rule_5_a_lost_last_ack_is_repeated_and_the_linger_ends() -> None:
    path = opened()
    for name in ("a", "b"):
        path.ends[name].finish(path.now)
        path.pump()
        path.run(until=path.now + 4 * DELAY)
    ended = path.now
    before = len(path.sent)
    path.ends["a"].receive(next(s for name, s in path.sent if name == "b" and s.fin), path.now)
    path.pump()
    assert [(name, s.ack) for name, s in path.sent[before:]] == [("a", 2**32 - 48)]
    path.run()
    assert path.states() == (State.CLOSED, State.CLOSED)
    assert path.now == pytest.approx(ended + TIME_WAIT)


def test_rule_5_a_peer_that_does_not_end_after_a_deserted_one_is_forgotten() -> None:
    path = opened()
    path.ends["a"].desert(path.now)
    path.pump()
    path.run()
    assert path.states() == (State.CLOSED, State.CLOSE_WAIT)


def test_a_peer_that_falls_silent_is_given_up() -> None:
    path = opened()
    path.drop = set(range(1000))
    path.ends["a"].write(b"is there anybody?", path.now)
    path.pump()
    path.run()
    assert path.happened("a") == [Opened(), Closed(Failure.TIMED_OUT)]


FEW = 0.05  # so that all tries of one packet, there and back, fail once in ten million times


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(),
    loss=st.floats(0, FEW) | st.floats(0, 0.3),
    sizes=st.tuples(st.integers(0, 30_000), st.integers(0, 30_000)),
)
def test_over_any_path_all_arrives_and_both_close(seed: int, loss: float, sizes: tuple[int, int]) -> None:
    """Loss, duplicates, reordering: the streams arrive whole, the ends are seen, and nothing is left to do.

    Of many losses one end may have bad luck with each of its tries, and give the other up.
    """
    forth, back = (Random(seed).randbytes(size) for size in sizes)
    path = Path(Random(seed), loss)
    path.connect()
    path.run(until=200)
    if path.happened("a") != [Opened()]:
        assert Closed(Failure.TIMED_OUT) in path.events["a"]
        return
    for name, data in (("a", forth), ("b", back)):
        path.ends[name].write(data, path.now)
        path.ends[name].finish(path.now)
        path.pump()
    path.run()
    given_up = any(Closed(Failure.TIMED_OUT) in events for events in path.events.values())
    if not given_up:
        assert (path.streams["b"], path.streams["a"]) == (forth, back)
        assert Ended() in path.events["b"]
    assert not given_up or loss > FEW, "somebody was given up, though few packets are lost"
    assert path.states() == (State.CLOSED, State.CLOSED)
