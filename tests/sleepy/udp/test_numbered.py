"""The rules of sleepy/udp/numbered.py."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sleepy.udp.numbered import Numbered


class AgainstADictionary(RuleBasedStateMachine):
    """Whatever is added and forgotten: it holds what a dictionary would (rules 1 and 2), and not much more (rule 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.numbered: Numbered[str] = Numbered()
        self.model: dict[int, str] = {}
        self.next = 0

    @rule(skipped=st.integers(0, 5))
    def add(self, skipped: int) -> None:
        self.next += skipped
        self.numbered.add(self.next, str(self.next))
        self.model[self.next] = str(self.next)
        self.next += 1

    @rule(count=st.integers(1, 20))
    def append(self, count: int) -> None:
        if not self.model:
            return
        for _ in range(count):
            self.numbered.append(str(self.next))
            self.model[self.next] = str(self.next)
            self.next += 1

    @rule(back=st.integers(-2, 60))
    def pop(self, back: int) -> None:
        number = self.next - back
        assert self.numbered.get(number) == self.model.get(number)
        assert self.numbered.pop(number) == self.model.pop(number, None)

    @rule(back=st.integers(-2, 60), count=st.integers(0, 30))
    def pop_run(self, back: int, count: int) -> None:
        first = self.next - back
        expected = [self.model.pop(number) for number in range(first, first + count) if number in self.model]
        assert [thing for thing in self.numbered.pop_run(first, count) if thing is not None] == expected

    @rule(place=st.integers(0, 1000))
    def replace(self, place: int) -> None:
        if self.model:
            number = list(self.model)[place % len(self.model)]
            self.numbered.replace(number, "other")
            self.model[number] = "other"

    @invariant()
    def it_holds_the_same(self) -> None:
        numbered, model = self.numbered, self.model
        assert len(numbered) == numbered.count == len(model)
        assert [thing for thing in numbered.things if thing is not None] == list(model.values())
        assert numbered.oldest() == (next(iter(model.values())) if model else None)
        if model:
            assert numbered.first == next(iter(model))

    @invariant()
    def it_is_no_longer_than_twice_what_it_spans(self) -> None:
        """Rule 3; what follows the newest thing, forgotten, counts too."""
        if self.model:
            assert len(self.numbered.things) <= 2 * (self.next - self.numbered.first)
        else:
            assert not self.numbered.things


TestNumbered = AgainstADictionary.TestCase


def test_a_steady_stream_takes_no_more_room() -> None:
    """Rule 3: a hundred under way, whatever their numbers."""
    numbered: Numbered[int] = Numbered()
    for number in range(100_000):
        numbered.append(number)
        if number >= 100:
            assert numbered.pop(number - 100) == number - 100
        assert len(numbered.things) <= 202
