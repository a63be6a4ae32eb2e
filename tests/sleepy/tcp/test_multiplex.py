"""`sleepy.tcp.multiplex`: messages with ids, and who is in flight; both ends together beside a model."""

import itertools
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepy.tcp import LocalProtocolError, PipelineOverflow, RemoteProtocolError, multiplex
from sleepy.tcp.multiplex import Desk, Kind, Lane, Lanes, Message, Multiplex, decode, encode, renumber

ids = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Ask:
    """A request, which may be told from others."""

    name: int


def asks(*names: int) -> list[Ask]:
    return [Ask(name) for name in names]


# The wire


@given(kind=st.sampled_from(Kind), number=ids, payload=st.binary(max_size=20))
def test_messages_look_as_the_table_says_and_are_read_back(kind: Kind, number: int, payload: bytes) -> None:
    payload = b"" if kind is Kind.CANCEL else payload
    data = encode(kind, number, payload, max_size=20)
    assert data == (5 + len(payload)).to_bytes(4, "big") + bytes([kind]) + number.to_bytes(4, "big") + payload
    assert decode(data[4:]) == Message(kind, number, payload)


def test_the_kinds_have_the_numbers_of_the_table() -> None:
    assert [(kind.name, kind.value) for kind in Kind] == [("REQUEST", 0), ("ANSWER", 1), ("ERROR", 2), ("CANCEL", 3)]


@given(number=ids, other=ids, payload=st.binary(max_size=20))
def test_another_id_changes_nothing_else(number: int, other: int, payload: bytes) -> None:
    one, two = (encode(Kind.REQUEST, given, payload, max_size=20) for given in (number, other))
    assert renumber(one, other) == two


@given(st.binary(max_size=12))
def test_hostile_content_raises_nothing_else(content: bytes) -> None:
    try:
        message = decode(content)
    except RemoteProtocolError:
        return
    assert encode(*message, max_size=12)[4:] == content  # there is only one way to say it


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "a frame of 0 bytes has no room"),
        (bytes(4), "a frame of 4 bytes has no room"),
        (b"\x04\0\0\0\0", "no message of kind 4"),
        (b"\x03\0\0\0\0x", "a cancel carries nothing"),
    ],
)
def test_what_is_no_message_is_named(content: bytes, what: str) -> None:
    with pytest.raises(RemoteProtocolError, match=what):
        decode(content)


# The codec


def test_the_limit_is_on_the_payload() -> None:
    codec = Multiplex(max_frame_size=4)
    assert codec.last_word(Kind.ANSWER, 7, b"four") == encode(Kind.ANSWER, 7, b"four", max_size=4)
    with pytest.raises(LocalProtocolError, match="5 bytes, max_frame_size allows 4"):
        codec.last_word(Kind.ANSWER, 7, b"fives")
    (content,) = codec.request_reader().feed(encode(Kind.REQUEST, 7, b"four", max_size=4))
    assert decode(content).payload == b"four"
    with pytest.raises(RemoteProtocolError):
        list(codec.request_reader().feed(encode(Kind.REQUEST, 7, b"fives", max_size=5)[:4]))
    with pytest.raises(RemoteProtocolError):
        list(codec.request_reader(3).feed(encode(Kind.REQUEST, 7, b"four", max_size=4)[:4]))


def test_an_error_says_what_and_not_where() -> None:
    error = ValueError("naïve")
    assert decode(Multiplex().error(3, error)[4:]) == Message(Kind.ERROR, 3, "ValueError: naïve".encode())
    assert decode(Multiplex(max_frame_size=5).error(3, error)[4:]).payload == b"Value"
    assert decode(Multiplex().error(3, ValueError("\ud800"))[4:]).payload == b"ValueError: ?"


def test_who_has_no_ids_is_told_so() -> None:
    with pytest.raises(LocalProtocolError, match="MultiplexClient"):
        Multiplex().encode_request(b"", "")


def test_limits_that_make_no_sense_are_refused() -> None:
    for make in (
        lambda: Multiplex(max_concurrent_requests=0),
        lambda: Lanes[Ask](0, 1),
        lambda: Lanes[Ask](1, 0),
    ):
        with pytest.raises(ValueError, match="would let nothing through"):
            make()


# The client's side


def test_rule_1_a_last_word_that_is_not_due_is_an_error() -> None:
    lane, (ask,) = Lane[Ask](), asks(1)
    lane.waiting[ask] = None
    assert lane.send() == [(0, ask)]
    for kind, number in ((Kind.ANSWER, 1), (Kind.ERROR, 1), (Kind.CANCEL, 1), (Kind.REQUEST, 0)):
        with pytest.raises(RemoteProtocolError, match=f"nobody asked for .{kind.name}, {number}"):
            lane.last_word(Message(kind, number, b""), 1.0)
    assert lane.last_word(Message(Kind.ANSWER, 0, b""), 1.0) is ask
    with pytest.raises(RemoteProtocolError):  # it has had it
        lane.last_word(Message(Kind.ANSWER, 0, b""), 1.0)


def test_rule_2_who_gives_up_is_free_at_once_and_his_id_is_not() -> None:
    lane, (sent, unsent) = Lane[Ask](), asks(1, 2)
    lane.waiting[sent] = None
    lane.send()
    lane.waiting[unsent] = None
    assert lane.withdraw(unsent, 1.0) is None
    assert lane.send() == []
    assert (lane.withdraw(sent, 2.0), lane.pending, lane.unheeded, lane.idle_since) == (0, 0, 1, 2.0)
    assert lane.withdraw(sent, 3.0) is None
    assert lane.last_word(Message(Kind.ANSWER, 0, b"late"), 4.0) is None
    assert lane.unheeded == 0


def test_ids_come_round_and_skip_those_in_flight() -> None:
    lane, requests = Lane[Ask](), asks(1, 2, 3)
    lane._next_id = 2**32 - 1
    for request in requests[:2]:
        lane.waiting[request] = None
    assert lane.send() == [(2**32 - 1, requests[0]), (0, requests[1])]
    lane.withdraw(requests[0], 1.0)  # which does not free it
    lane._next_id = 2**32 - 1
    lane.waiting[requests[2]] = None
    assert lane.send() == [(1, requests[2])]


def test_rule_3_idle_then_new_then_least_pending_then_refused() -> None:
    lanes = Lanes[Ask](2, 2)
    first = lanes.add(Ask(0))
    for number, _ in first.send():
        first.last_word(Message(Kind.ANSWER, number, b""), 1.0)
    assert lanes.add(Ask(1)) is first
    second = lanes.add(Ask(2))
    assert first is not second
    assert lanes.add(Ask(3)) is first
    assert lanes.add(Ask(4)) is second
    with pytest.raises(PipelineOverflow, match="4 requests are pending on 2 of 2 connections, 2 are allowed on each"):
        lanes.add(Ask(5))
    assert lanes.add(Ask(6), survivor=True) is first
    for number, _ in second.send():
        second.last_word(Message(Kind.ERROR, number, b""), 1.0)
    assert lanes.add(Ask(7)) is second
    lanes.remove(first)
    assert list(lanes) == [second]
    assert lanes.add(Ask(8)) is not second


def test_rule_4_what_was_sent_is_told_from_what_was_not() -> None:
    lane, (first, given_up, last) = Lane[Ask](), asks(1, 2, 3)
    lane.waiting.update(dict.fromkeys((first, given_up)))
    lane.send()
    lane.withdraw(given_up, 1.0)
    lane.waiting[last] = None
    assert lane.empty() == ([first], [last])
    assert (lane.pending, lane.unheeded) == (0, 0)
    assert lane.empty() == ([], [])


def test_rule_5_a_peer_may_leave_so_many_cancels_unheeded() -> None:
    lanes = Lanes[Ask](1, 2)
    for name in (1, 2):
        lane = lanes.add(Ask(name))
        lane.send()
        assert not lanes.must_leave(lane)
        lane.withdraw(Ask(name), 1.0)
    assert lanes.must_leave(lane)
    lane.last_word(Message(Kind.CANCEL, 1, b""), 1.0)
    assert not lanes.must_leave(lane)


# The server's side


def test_rule_6_so_many_at_once_and_a_few_may_wait() -> None:
    desk = Desk(2, 2)
    assert desk.is_empty
    for number in range(4):
        assert desk.has_room
        desk.ask(number, b"%d" % number)
        assert list(desk.start()) == ([(number, b"%d" % number)] if number < 2 else [])
    assert not desk.has_room
    desk.done(1)
    assert list(desk.start()) == [(2, b"2")]
    assert desk.has_room


def test_rule_1_an_id_is_taken_until_its_last_word() -> None:
    """While its request waits, while it is worked on, and while its cancel is confirmed."""
    desk = Desk(1, 9)
    desk.ask(1, b"")
    desk.ask(2, b"")
    desk.ask(3, b"")
    list(desk.start())
    assert desk.cancel(3)
    for number in (1, 2, 3):
        with pytest.raises(RemoteProtocolError, match=f"id {number} is taken"):
            desk.ask(number, b"")
    desk.done(1)
    desk.done(3)
    desk.ask(1, b"")
    desk.ask(3, b"")


def test_a_cancel_is_due_only_to_what_waits() -> None:
    desk = Desk(1, 1)
    desk.ask(1, b"")
    list(desk.start())
    desk.ask(2, b"")
    assert not desk.cancel(1)  # it is worked on: its handler has the last word
    assert not desk.cancel(7)  # it has crossed the answer
    assert desk.cancel(2)
    assert not desk.cancel(2)
    assert not desk.has_room  # until the peer has taken its last word
    desk.done(1)
    assert list(desk.start()) == []
    assert not desk.is_empty
    desk.done(2)
    assert desk.has_room
    assert desk.is_empty


class BothEnds(RuleBasedStateMachine):
    """A lane and a desk with the wire between them, and all that callers, handlers and the network may do, in any order.

    Few ids, so that they come round; what is true of eight is true of 2^32.
    """

    MAX_PENDING = 3

    @initialize(concurrent=st.integers(1, 3), waiting=st.integers(1, 3))
    def start(self, concurrent: int, waiting: int) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(multiplex, "_IDS", 8)
        self.names = itertools.count()
        self.limits = (concurrent, waiting)
        self.lanes = Lanes[Ask](1, self.MAX_PENDING)
        self.pending: list[Ask] = []
        self.connect()

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()

    def connect(self) -> None:
        self.desk = Desk(*self.limits)
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.lane: Lane[Ask] | None = None
        self.unsent: list[Ask] = []
        self.cancelled: dict[int, Ask] = {}  # by id: given up, and without a last word
        self.working: dict[int, bytes] = {}
        self.told_to_stop: set[int] = set()
        self.leaving: list[int] = []

    @rule()
    def ask(self) -> None:
        request = Ask(next(self.names))
        if len(self.pending) >= self.MAX_PENDING:
            with pytest.raises(PipelineOverflow):
                self.lanes.add(request)
            return
        self.lane = self.lanes.add(request)
        self.pending.append(request)
        self.unsent.append(request)

    @precondition(lambda self: self.unsent)
    @rule()
    def send(self) -> None:
        batch = self.lane.send()
        assert [request for _, request in batch] == self.unsent
        assert len({number for number, _ in batch}) == len(batch)
        self.up += [encode(Kind.REQUEST, number, b"%d" % request.name, max_size=9) for number, request in batch]
        self.unsent.clear()

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.pending))
        self.pending.remove(request)
        number = self.lane.withdraw(request, 0.0)
        assert (number is None) == (request in self.unsent)
        if number is None:
            self.unsent.remove(request)
            return
        assert number not in self.cancelled
        self.cancelled[number] = request
        self.up.append(encode(Kind.CANCEL, number))
        if self.lanes.must_leave(self.lane):
            assert len(self.cancelled) == self.MAX_PENDING
            self.lose()

    @precondition(lambda self: self.up and self.desk.has_room)
    @rule()
    def server_reads(self) -> None:
        kind, number, payload = decode(self.up.popleft()[4:])
        if kind is Kind.REQUEST:
            self.desk.ask(number, payload)  # its id is free: it raises nothing
        elif self.desk.cancel(number):
            self.leaving.append(number)
        elif number in self.working:
            self.told_to_stop.add(number)
        self.working.update(self.desk.start())

    def say(self, kind: Kind, number: int, payload: bytes = b"") -> None:
        self.down.append(encode(kind, number, payload, max_size=9))
        self.desk.done(number)
        self.working.update(self.desk.start())

    @precondition(lambda self: self.working)
    @rule(data=st.data(), heeds=st.booleans())
    def handler_ends(self, data: st.DataObject, heeds: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.working)))
        payload = self.working.pop(number)
        if heeds and number in self.told_to_stop:
            self.say(Kind.CANCEL, number)
        else:
            self.say(Kind.ANSWER, number, payload)
        self.told_to_stop.discard(number)

    @precondition(lambda self: self.leaving)
    @rule()
    def server_confirms(self) -> None:
        self.say(Kind.CANCEL, self.leaving.pop(0))

    @precondition(lambda self: self.down)
    @rule()
    def client_reads(self) -> None:
        message = decode(self.down.popleft()[4:])
        request = self.lane.last_word(message, 0.0)
        if request is None:
            late = self.cancelled.pop(message.id)
            assert message.payload == (b"%d" % late.name if message.kind is Kind.ANSWER else b"")
        else:
            assert message == (Kind.ANSWER, message.id, b"%d" % request.name)  # no answer to the wrong caller
            self.pending.remove(request)

    @precondition(lambda self: self.lane is not None)
    @rule(repeats=st.booleans())
    def lose(self, repeats: bool = False) -> None:
        sent, unsent = self.lane.empty()
        assert sent == [request for request in self.pending if request not in self.unsent]
        assert unsent == self.unsent
        self.lanes.remove(self.lane)
        self.connect()
        self.pending = (sent if repeats else []) + unsent
        for request in self.pending:
            self.lane = self.lanes.add(request, survivor=True)
            self.unsent.append(request)

    @invariant()
    def counts_are_right(self) -> None:
        if not hasattr(self, "patch"):
            return
        assert len(self.working) <= self.limits[0]
        assert self.desk.is_empty == (not self.working and not self.leaving)  # nothing waits while a place is free
        if self.lane is not None:
            assert self.lane.pending == len(self.pending)
            assert self.lane.unheeded == len(self.cancelled)
            assert list(self.lane.waiting) == self.unsent


BothEnds.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestBothEnds = BothEnds.TestCase
