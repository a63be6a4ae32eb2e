from itertools import pairwise

from hypothesis import given
from hypothesis.strategies import floats, integers, lists

from lessons.playground import Air
from sleepy.sim import Link


def air(link: Link, seed: int = 1) -> Air:
    built = Air(seed)
    built.link("a", "b", link)
    return built


def send(built: Air, now: float, label: str = "0") -> None:
    built.send("a", "b", b"data", now, label=label)


def test_a_datagram_arrives_after_the_delay() -> None:
    built = air(Link(delay=0.05))
    send(built, 1.0)
    assert built.next_end() == 1.05
    flight = built.land()
    assert (flight.fate, flight.datagram, flight.ends) == ("arrived", b"data", 1.05)
    assert built.next_end() is None


def test_a_lost_one_ends_half_way_and_does_not_look_like_it_before() -> None:
    built = air(Link(delay=0.05, loss=1.0))
    send(built, 1.0)
    assert [(packet.fate, packet.ends) for packet in built.packets(0)] == [("flying", 1.05)]
    assert built.next_end() == 1.025
    assert built.land().fate == "lost"
    assert [(packet.fate, packet.ends, packet.due) for packet in built.packets(0)] == [("lost", 1.025, 1.05)]


def test_what_the_reader_drops_is_lost_where_it_is() -> None:
    built = air(Link(delay=0.05))
    send(built, 1.0)
    dropped = built.drop("a1", 1.01)
    assert dropped is not None
    assert (dropped.fate, dropped.ends) == ("lost", 1.01)
    assert built.next_end() is None
    assert built.drop("a1", 1.02) is None


def test_new_figures_hold_from_now_on() -> None:
    built = air(Link(delay=0.05))
    send(built, 1.0, "old")
    built.link("a", "b", Link(delay=0.2))
    send(built, 1.0, "new")
    assert [(flight.label, flight.ends) for flight in (built.land(), built.land())] == [("old", 1.05), ("new", 1.2)]


@given(seed=integers(0, 99), gaps=lists(floats(0.001, 0.1), min_size=1, max_size=30))
def test_the_seed_decides_and_ends_come_in_order(seed, gaps) -> None:
    def course() -> list[tuple[str, float, str]]:
        built, now = air(Link(delay=0.05, jitter=0.03, loss=0.3), seed), 0.0
        for gap in gaps:
            now += gap
            send(built, now)
        return [(flight.key, flight.ends, flight.fate) for flight in (built.land() for _ in gaps)]

    assert course() == course()
    assert all(one[1] <= other[1] for one, other in pairwise(course()))
