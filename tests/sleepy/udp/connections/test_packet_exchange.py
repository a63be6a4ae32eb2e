"""Payloads in packets: size, memory, acks of acks, and another path."""

from random import Random

import pytest

from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.packet_exchange import ANSWER_AFTER, SENT_MEMORY, PacketExchange, Tokens
from sleepy.udp.connections.plain import PlainPackets
from sleepy.udp.delivery.chunks import PAD, PING
from sleepy.udp.path.congestion.control import Ack
from sleepy.udp.path.congestion.new_reno import NewReno


class Wide(NewReno):
    """Lets everything go."""

    def __init__(self) -> None:
        super().__init__()
        self.window = 1 << 40

    @property
    def pacing_rate(self) -> float:
        return 1e12


class Ends:
    def __init__(self, congestion: type[NewReno] = Wide, **options: object) -> None:
        config = ConnectionConfig(congestion=congestion, random_bytes=Random(1).randbytes, **options)  # type: ignore[arg-type]
        self.acked: list[Tokens] = []
        self.lost: list[Tokens] = []
        self.a, self.b = (PacketExchange(PlainPackets(), config, self, now=0.0) for _ in range(2))

    def on_packet_acked(self, tokens: Tokens, /) -> None:
        self.acked.append(tokens)

    def on_packet_lost(self, tokens: Tokens, /) -> None:
        self.lost.append(tokens)


def token(number: int) -> Tokens:
    return [(None, number, 0, 0)]  # type: ignore[list-item]


def test_acks_come_back_with_tokens() -> None:
    ends = Ends()
    for number in range(ANSWER_AFTER):
        assert not ends.b.ack_is_due(0.0)
        assert ends.b.receive(ends.a.send(bytes([PING]), token(number), 0.0), 0.0)
    assert ends.b.ack_is_due(0.0)
    ends.a.receive(ends.b.send_ack(0.0), 0.1)
    assert sorted(tokens[0][1] for tokens in ends.acked) == list(range(ANSWER_AFTER))
    assert ends.a.recovery.in_flight == 0


def test_who_may_hold_acks_back_is_waited_for() -> None:
    """He says for how long; nobody probes before that has passed, too."""
    ends = Ends(max_ack_delay=0.02)
    ends.b.agree(0.4, 1452)
    for end in (ends.a, ends.b):
        end.send(bytes([PING]), token(0), 0.0)
    assert ends.b.next_timeout() - ends.a.next_timeout() == pytest.approx(0.38)


def test_acks_are_not_acked() -> None:
    """Rule 2: two peers with nothing to say fall silent."""
    ends = Ends()
    for _ in range(100):
        ends.b.receive(ends.a.send_ack(0.0), 0.0)
        ends.b.receive(ends.a.send_unacked(bytes([PAD]) * 3, 0.0), 0.0)
    assert not ends.b.ack_is_due(1e9)
    assert ends.a.next_timeout() == float("inf")


def test_of_many_packets_read_at_once_none_seems_lost() -> None:
    """An answer names 32, so there are several; and they survive the loss of every second one."""
    ends = Ends()
    for number in range(200):
        ends.b.receive(ends.a.send(bytes([PING]), token(number), 0.0), 0.0)
    answers = [*ends.b.take_answers(), ends.b.send_ack(0.0)]
    assert len(answers) == 200 // 16 + 1
    assert ends.b.take_answers() == []
    for answer in answers[::2]:
        ends.a.receive(answer, 0.1)
    assert sorted(tokens[0][1] for tokens in ends.acked) == list(range(200))
    assert not ends.lost


def test_how_long_an_ack_was_held_back_is_told() -> None:
    """So the round trip is the path's, not the path's and the peer's patience."""
    ends = Ends()
    for turn in range(20):
        now = turn * 1.0
        ends.b.receive(ends.a.send(bytes([PING]), [], now), now + 0.05)
        ends.a.receive(ends.b.send_ack(now + 0.075 if turn else now + 0.05), now + (0.125 if turn else 0.1))
    assert ends.a.recovery.round_trip.latest == pytest.approx(0.125)
    assert ends.a.recovery.round_trip.smoothed == pytest.approx(0.1, abs=0.001)


def test_no_more_is_under_way_than_is_remembered() -> None:
    """Rule 4: the acks of all of them are noticed."""
    ends = Ends()
    sent = []
    while ends.a.may_send(0.0) and len(sent) <= SENT_MEMORY:
        sent.append(ends.a.send(bytes([PING]), token(len(sent)), 0.0))
    assert len(sent) == SENT_MEMORY
    assert ends.a.next_send() == float("inf")
    for at in range(0, len(sent), 32):
        for datagram in sent[at : at + 32]:
            ends.b.receive(datagram, 0.0)
        ends.a.receive(ends.b.send_ack(0.0), 0.1)
    assert sorted(tokens[0][1] for tokens in ends.acked) == list(range(SENT_MEMORY))
    assert ends.a.may_send(0.1)


@pytest.mark.parametrize("idle", [True, False])
def test_a_time_with_too_little_to_send_is_recognised(idle: bool) -> None:
    """The controller hears it with the acks of what was sent then."""
    acks: list[Ack] = []

    class Listening(Wide):
        def on_acked(self, ack: Ack) -> None:
            acks.append(ack)

    ends = Ends(Listening)
    if idle:
        ends.a.on_idle()
    ends.b.receive(ends.a.send(bytes([PING]), token(0), 0.0), 0.0)
    ends.a.receive(ends.b.send_ack(0.0), 0.1)
    assert [ack.app_limited for ack in acks] == [idle]


def test_the_window_is_heeded_and_a_probe_goes_above_it() -> None:
    ends = Ends(NewReno)
    now, sent = 0.0, 0
    while ends.a.next_send() < float("inf"):
        now = max(now, ends.a.next_send())
        ends.a.send(bytes(1000), token(sent), now)
        sent += 1
    window = ends.a.recovery.controller.window
    assert window - 1200 < ends.a.recovery.in_flight <= window
    assert not ends.a.may_send(1e9)
    assert ends.a.on_timeout(ends.a.next_timeout())
    assert ends.a.may_send(1e9)


def test_an_ack_of_nothing_but_acks_tells_what_was_lost_before() -> None:
    """Packets that want no ack are numbered, too: three of them behind a lost one show its loss."""
    ends = Ends()
    ends.a.send(bytes([PING]), token(7), 0.0)
    for _ in range(3):
        ends.b.receive(ends.a.send_ack(0.0), 0.0)
    ends.a.receive(ends.b.send(bytes([PING]), token(0), 0.0), 0.1)
    ends.a.on_timeout(ends.a.next_timeout())
    assert ends.lost == [token(7)]
    assert ends.a.recovery.probes == 0


def test_the_first_packets_fit_any_path_and_none_exceeds_what_the_peer_takes() -> None:
    ends = Ends(max_datagram=1452)
    ends.a.agree(0.025, 1300)
    assert len(ends.a.send(bytes(ends.a.room), [], 0.0)) <= 1200
    assert ends.a.size_probe(0.0) is None, "rule 7: nobody has much to say"
    ends.a.busy = True
    sizes = []
    for turn in range(20):
        probe = ends.a.size_probe(turn * 1.0)
        if probe is not None:
            sizes.append(len(probe))
            ends.b.receive(probe, turn * 1.0)
            ends.a.receive(ends.b.send_ack(turn * 1.0), turn * 1.0 + 0.1)
    assert sizes
    assert max(sizes) <= 1300
    assert 1250 < len(ends.a.send(bytes(ends.a.room), [], 30.0)) <= 1300


def test_a_probe_for_lost_packets_is_small() -> None:
    """Whatever size the path is believed to carry."""
    ends = Ends()
    ends.a.mtu.size = 1300
    ends.a.busy = True
    ends.a.send(bytes([PING]), token(7), 0.0)
    assert ends.a.room > 1250
    assert ends.a.on_timeout(ends.a.next_timeout())
    assert ends.a.room < 1200
    assert ends.a.size_probe(9.0) is None
    ends.a.repeat_oldest()
    assert ends.lost == [token(7)]


def test_if_probes_do_not_help_a_small_one_goes_along() -> None:
    """From the second timeout on: it is acked where the larger ones are too large, and so these count as lost."""
    ends = Ends()
    ends.a.send(bytes(1000), token(7), 0.0)
    now = ends.a.next_timeout()
    assert ends.a.on_timeout(now)
    assert ends.a.send_small_probe(now) is None
    ends.a.send(bytes(1000), token(8), now)
    assert ends.a.send_small_probe(now) is None
    now = ends.a.next_timeout()
    assert ends.a.on_timeout(now)
    assert ends.a.send_small_probe(now) is None, "after the large one, whose place it would take"
    ends.a.send(bytes(1000), token(9), now)
    small = ends.a.send_small_probe(now)
    assert small is not None
    assert len(small) < 60
    ends.b.receive(small, now + 0.05)
    ends.a.receive(ends.b.send_ack(now + 0.05), now + 0.1)
    assert ends.lost == [token(7), token(8), token(9)][: len(ends.lost)]
    assert len(ends.lost) >= 2
    assert ends.a.send_small_probe(now + 0.2) is None


def test_another_path_begins_with_nothing() -> None:
    """Rule 6: and what was under way counts as lost, once."""
    ends = Ends()
    ends.a.send(bytes([PING]), [], 0.0)
    for _ in range(3):
        ends.b.receive(ends.a.send_ack(0.0), 0.0)
    ends.a.receive(ends.b.send(bytes([PING]), [], 0.0), 0.1)
    ends.a.on_timeout(ends.a.next_timeout())
    ends.lost.clear()
    old = [ends.a.send(bytes([PING]), token(number), 0.0) for number in range(3)]
    ends.a.change_path(0.2)
    assert ends.lost == [token(0), token(1), token(2)]
    assert (ends.a.lost, ends.a.spurious) == (1, 0), "what was lost on the old one is still counted"
    assert ends.a.recovery.in_flight == 0
    assert ends.a.recovery.round_trip.smoothed == 0.2
    for datagram in old:
        ends.b.receive(datagram, 0.0)
    ends.b.receive(ends.a.send(bytes([PING]), token(3), 0.1), 0.1)
    ends.a.receive(ends.b.send_ack(0.1), 0.3)
    assert [tokens for tokens in ends.acked if tokens] == [token(3)], "an ack from the old path measures nothing"
    assert ends.lost == [token(0), token(1), token(2)]
