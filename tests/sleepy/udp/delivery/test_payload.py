"""`sleepy.udp.delivery.payload`: a packet while it is being filled."""

from sleepy.udp.delivery.payload import PacketBuilder


class Sender:
    """Puts things in packets."""

    def on_acked(self, what: int, first: int, count: int, /) -> None:
        raise AssertionError

    def on_lost(self, what: int, first: int, count: int, /) -> None:
        raise AssertionError


def test_what_fits_is_taken_and_takes_its_room() -> None:
    builder = PacketBuilder(10)
    assert builder.add(b"abcd")
    assert builder.room == 6
    assert builder.add(b"efghij")  # to the last byte
    assert builder.room == 0
    assert b"".join(builder.parts) == b"abcdefghij"
    assert builder.add(b"")
    assert builder.room == 0


def test_what_does_not_fit_changes_nothing() -> None:
    """Nobody is told later of what was never sent."""
    builder, sender = PacketBuilder(10), Sender()
    assert builder.add(b"abcd", (sender, 1, 2, 3))
    assert not builder.add(b"efghijk", (sender, 4, 5, 6))
    assert (builder.parts, builder.room, builder.tokens) == ([b"abcd"], 6, [(sender, 1, 2, 3)])
    assert builder.add(b"efghij")  # something smaller still may


def test_tokens_are_kept_in_order_for_those_who_want_to_know() -> None:
    builder, one, other = PacketBuilder(10), Sender(), Sender()
    builder.add(b"a", (one, 1, 0, 1))
    builder.add(b"b")
    builder.add(b"c", (other, 2, 7, 3))
    builder.add(b"d", (one, 1, 1, 1))
    assert builder.tokens == [(one, 1, 0, 1), (other, 2, 7, 3), (one, 1, 1, 1)]
