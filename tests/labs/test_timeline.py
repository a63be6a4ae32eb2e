"""What is drawn: every request's stages, who waited for whom, and where to look closely."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, floats, integers, just, lists, none, one_of, sampled_from, sets

from labs import timeline
from labs.results import Contender, Figures, Request
from labs.timeline import Stage, Track
from tests.labs import synthetic

MOMENT = one_of(none(), floats(0, 10))
ANY_REQUEST = builds(
    Request,
    index=integers(0, 99),
    connection=just(0),
    innocent=booleans(),
    held_by=one_of(none(), integers(0, 99)),
    why=sampled_from([None, "slow", "lost"]),
    **dict.fromkeys(timeline.POINTS, MOMENT),
)


def track_of(*requests: Request, culprits: int = 1) -> Track:
    figures = Figures(culprits=culprits, held=len(requests), p50=0, p99=0, total=0)
    return timeline.track(Contender("pipeline-1", "PipelineClient", 8001, figures, figures, figures, list(requests)))


def stages(request: Request) -> list[tuple[Stage, float, float]]:
    return [(span.stage, span.start, span.end) for span in track_of(request).lives[0].spans]


def test_behind_a_slow_response_a_request_is_held_up_at_the_server() -> None:
    """Rule 2."""
    held = Request(1, 0, True, 0.0, 1.0, 2.0, 5.0, 6.0, 6.0, 7.0, held_by=0, why="slow")
    assert stages(held) == [(Stage.QUEUED, 0, 1), (Stage.MOVING, 1, 2), (Stage.HELD, 2, 5), (Stage.MOVING, 5, 7)]


def test_behind_a_lost_segment_a_request_is_held_up_by_tcp() -> None:
    """Rule 4."""
    held = Request(1, 0, True, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, held_by=0, why="lost")
    assert stages(held) == [(Stage.QUEUED, 0, 1), (Stage.MOVING, 1, 4), (Stage.HELD, 4, 6), (Stage.MOVING, 6, 7)]


def test_a_culprits_trouble_ends_when_its_answer_has_arrived() -> None:
    """Rule 3, and rule 1 for the time before."""
    culprit = Request(0, 0, False, 0.0, 1.0, 2.0, 5.0, 6.0, 6.0, 7.0)
    assert stages(culprit) == [(Stage.QUEUED, 0, 1), (Stage.MOVING, 1, 2), (Stage.CULPRIT, 2, 6), (Stage.MOVING, 6, 7)]


def test_a_culprit_that_waits_for_its_turn_is_held_up_so_long() -> None:
    """Rule 2: of two slow ones in a row, the second is slow only once the first has been answered."""
    first = Request(0, 0, False, 0.0, 0.0, 1.0, 5.0, 6.0, 6.0, 6.0)
    second = Request(1, 0, False, 1.0, 1.0, 2.0, 9.0, 10.0, 10.0, 10.0)
    elsewhere = Request(2, 1, False, 2.0, 2.0, 3.0, 9.0, 10.0, 10.0, 10.0)
    spans = [
        [(span.stage, span.start, span.end) for span in life.spans] for life in track_of(first, second, elsewhere).lives
    ]
    assert spans[1][-2:] == [(Stage.HELD, 2, 5), (Stage.CULPRIT, 5, 10)]
    assert spans[2][-1] == (Stage.CULPRIT, 3, 10)


def test_a_point_that_nobody_saw_is_passed_over() -> None:
    unseen = Request(1, 0, True, queued=0.0, sent=1.0, answered=5.0, done=7.0, held_by=0, why="slow")
    assert stages(unseen) == [(Stage.QUEUED, 0, 1), (Stage.HELD, 1, 5), (Stage.MOVING, 5, 7)]


def test_a_request_seen_only_once_cannot_be_drawn() -> None:
    assert track_of(Request(0, 0, True, queued=1.0), Request(1, 0, True)).lives == []


def test_each_contender_starts_its_own_clock() -> None:
    starts = [timeline.track(contender).lives[0].start for contender in synthetic.slow_response().contenders]
    assert starts == [0.0, 0.0, 0.0]


@given(ANY_REQUEST)
def test_spans_leave_no_gap_and_never_run_backwards(request_: Request) -> None:
    """Not even where program and capture disagree about what came first."""
    seen = [time for point in timeline.POINTS if (time := getattr(request_, point)) is not None]
    lives = track_of(request_).lives
    assert len(lives) == (len(seen) > 1)
    for life in lives:
        assert all(span.end >= span.start for span in life.spans)
        assert all(before.end == after.start for before, after in pairwise(life.spans))
        assert life.took == pytest.approx(max(seen) - seen[0])


def test_everybody_who_waited_is_found_with_the_culprit_they_waited_for() -> None:
    for contender in synthetic.slow_response().contenders:
        culprits = timeline.track(contender).culprits
        assert len(culprits) == contender.captured.culprits
        assert sum(len(culprit.held) for culprit in culprits) == contender.captured.held
        for culprit in culprits:
            assert {life.request.held_by for life in culprit.held} <= {culprit.life.request.index}


def test_a_close_up_shows_each_contenders_culprit_from_before_it_was_asked_till_after_it_was_answered() -> None:
    tracks = [timeline.track(contender) for contender in synthetic.lost_segment().contenders]
    windows = timeline.windows(tracks)
    assert [window.subjects for window in windows] == [(index,) * 3 for index in (60, 140, 220, 300, 380)]
    for window, *culprits in zip(windows, *(track.culprits for track in tracks), strict=True):
        assert list(window.zeros) == [culprit.life.start for culprit in culprits]
        assert window.start < 0
        assert all(culprit.life.took < window.end for culprit in culprits)


def test_culprits_stand_in_line_even_where_contenders_lost_different_requests() -> None:
    """Segments are dropped by their place, and a busy machine puts two answers into one segment now and then."""
    early, late = (
        track_of(*(Request(index, 0, index != guilty, queued=float(index), done=index + 1.5) for index in range(9)))
        for guilty in (3, 5)
    )
    [window] = timeline.windows([early, late])
    assert window.subjects == (3, 5)
    assert window.zeros == (3.0, 5.0)


def test_a_contender_without_a_culprit_shows_the_same_time_as_the_hardest_hit() -> None:
    guilty = track_of(*(Request(index, 0, index != 3, queued=float(index), done=index + 1.5) for index in range(9)))
    innocent = track_of(
        *(Request(index, 0, True, queued=float(index), done=index + 1.5) for index in range(9)), culprits=0
    )
    [window] = timeline.windows([guilty, innocent])
    assert window.subjects == (3, None)
    assert window.zeros == (3.0, 3.0)


def test_the_first_close_up_is_of_a_typical_culprit_not_of_the_worst() -> None:
    held = {0: 1, 10: 9, 20: 4}
    requests = [Request(index, 0, False, queued=float(index), done=index + 1.0) for index in held]
    for culprit, count in held.items():
        waiting = range(culprit + 1, culprit + 1 + count)
        requests += [Request(i, 0, True, queued=float(i), done=i + 1.0, held_by=culprit, why="slow") for i in waiting]
    track = track_of(*requests)
    assert timeline.windows([track])[timeline.typical([track])].subjects == (20,)


def test_without_a_culprit_there_is_no_close_up() -> None:
    tracks = [timeline.track(contender) for contender in synthetic.no_effect().contenders]
    assert timeline.windows(tracks) == []
    with pytest.raises(ValueError, match="no culprit"):
        timeline.typical(tracks)


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (synthetic.slow_response, "slow response"),
        (synthetic.lost_segment, "lost segment"),
        (synthetic.no_effect, "slow or lost response"),
    ],
)
def test_a_culprit_is_called_by_what_was_waited_for(run, name: str) -> None:
    assert timeline.trouble([timeline.track(contender) for contender in run().contenders]) == name


@given(lists(sets(integers(0, 60))).map(lambda parts: set().union(*parts)))
def test_ranges_name_every_number_once(numbers: set[int]) -> None:
    named: list[int] = []
    for run in filter(None, timeline.ranges(list(numbers)).split(", ")):
        first, _, last = run.partition(" to ")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(numbers)


def test_ranges_are_as_short_as_can_be() -> None:
    assert timeline.ranges([9, 3, 5, 6, 7, 8]) == "3, 5 to 9"
