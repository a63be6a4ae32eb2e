"""The rules of sleepy/udp/nat/registration.py."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.address import Address
from sleepy.udp.nat.introductions import Introducer
from sleepy.udp.nat.registration import Registration
from sleepy.udp.nat.traversal_wire import (
    Absent,
    Code,
    Full,
    Kind,
    Message,
    Registered,
    Told,
    encode_cookie,
    encode_notice,
    request_parts,
)
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.sealing import Sealer

CLIENT, SERVER, OTHER = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
HERE = ("198.51.100.1", 1111)
SEALER = Sealer(SERVER, CLIENT.public_key, random.Random(2).randbytes)
NAME = b"attempt."


def make(seed: int = 1) -> Registration:
    random_bytes = random.Random(seed).randbytes
    inside = (("192.168.1.2", 5000),)
    return Registration(CLIENT, SERVER.public_key, inside, now=0.0, keep_alive=15.0, random_bytes=random_bytes)


def server(**options: int) -> Introducer:
    return Introducer(SERVER, now=0.0, random_bytes=random.Random(3).randbytes, **options)


def converse(registration: Registration, introducer: Introducer, now: float, address: Address = HERE) -> int:
    """Have both say what they have to say; returns the number of questions."""
    question, questions = registration.on_time(now), 0
    while question is not None:
        questions += 1
        answer = introducer.receive(question, address, now)
        question = None
        if answer is not None and answer[0][0] == Kind.COOKIE:
            question = registration.on_cookie(answer[0])
        elif answer is not None:
            registration.on_notice(answer[0], now)
    return questions


def test_it_registers_and_keeps_registered() -> None:
    registration, introducer = make(), server()
    assert registration.outside is None
    assert converse(registration, introducer, 0.0) == 2
    assert registration.outside == HERE
    for number in range(1, 40):  # the cookie that comes with each answer spares it the second question
        assert registration.next_timeout == 15.0 * number
        assert converse(registration, introducer, 15.0 * number) == 1
    assert len(introducer) == 1


def test_a_move_is_noticed() -> None:
    """A NAT that forgot us, or another network: the next registration brings the new address."""
    registration, introducer = make(), server()
    converse(registration, introducer, 0.0)
    assert converse(registration, introducer, 15.0, ("203.0.113.7", 7)) == 2
    assert registration.outside == ("203.0.113.7", 7)


def test_rule_1_a_question_is_repeated_ever_more_slowly() -> None:
    registration = make()
    times = []
    while registration.next_timeout < 8.0:
        times.append(registration.next_timeout)
        assert registration.on_time(times[-1])
        assert registration.on_time(times[-1]) is None
    assert times == [0.0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75]


def test_rule_1_after_an_answer_patience_begins_anew() -> None:
    registration, introducer = make(), server()
    for second in (0.0, 0.25, 0.75):
        registration.on_time(second)
    converse(registration, introducer, 1.75)
    registration.on_time(16.75)
    assert registration.next_timeout == 17.0


def test_rule_2_a_cookie_makes_it_ask_once_more() -> None:
    registration = make()
    question = registration.on_time(0.0)
    assert question is not None
    cookies = [encode_cookie(question, bytes([number]) * 16) for number in (1, 2)]
    again = registration.on_cookie(cookies[0])
    assert again is not None
    assert len(again) == len(question)
    assert registration.on_cookie(cookies[0]) is None
    assert registration.on_cookie(cookies[1]) is None
    assert registration.on_cookie(encode_cookie(again, bytes(16))) is None


def test_a_cookie_is_good_for_all_further_questions() -> None:
    registration = make()
    question = registration.on_time(0.0)
    assert question is not None
    registration.on_cookie(encode_cookie(question, 16 * b"c"))
    for asked in (registration.tell(OTHER.public_key, Message(Code.WANT, NAME)), registration.on_time(0.25)):
        assert request_parts(asked or b"") == (CLIENT.public_key, 16 * b"c")


def test_rule_2_holds_for_each_of_several_questions() -> None:
    registration = make()
    questions = [registration.tell(OTHER.public_key, Message(Code.WANT, bytes([number]) * 8)) for number in range(20)]
    answers = [registration.on_cookie(encode_cookie(question, bytes(16))) for question in questions]
    assert [answer is not None for answer in answers] == 4 * [False] + 16 * [True]  # memory is bounded


def test_rule_3_a_copy_of_an_old_answer_is_none() -> None:
    registration, introducer = make(), server()
    question = registration.on_time(0.0)
    assert question is not None
    answer = introducer.receive(question, HERE, 0.0)
    assert answer is not None
    question = registration.on_cookie(answer[0])
    assert question is not None
    answer = introducer.receive(question, HERE, 0.0)
    assert answer is not None
    registration.on_notice(answer[0], 0.0)
    assert registration.outside == HERE
    registration.outside = None
    registration.on_notice(answer[0], 1.0)
    assert registration.outside is None
    registration.on_notice(encode_notice(SEALER, Registered(7, 60, HERE, bytes(16))), 1.0)
    assert registration.outside is None


def test_rule_4_a_silent_server_has_forgotten_us() -> None:
    registration, introducer = make(), server(lease=60)
    converse(registration, introducer, 0.0)
    registration.on_time(59.9)
    assert registration.outside == HERE
    registration.on_time(60.0)
    assert registration.outside is None


def test_a_full_server_says_so_and_is_asked_again() -> None:
    introducer = server(max_registrations=0)
    registration = make()
    converse(registration, introducer, 0.0)
    assert registration.full
    assert registration.outside is None
    assert registration.next_timeout == 15.0
    converse(registration, server(), 15.0)
    assert not registration.full
    registration.on_notice(encode_notice(SEALER, Full(7)), 15.0)
    assert not registration.full


def test_what_others_say_is_handed_on() -> None:
    registration = make()
    for notice in (Told(OTHER.public_key, HERE, (), Message(Code.WANT, NAME)), Absent(OTHER.public_key, NAME)):
        assert registration.on_notice(encode_notice(SEALER, notice), 0.0) == notice
        forged = encode_notice(Sealer(OTHER, CLIENT.public_key), notice)
        assert registration.on_notice(forged, 0.0) is None


@given(data=st.binary(max_size=256))
def test_hostile_bytes_change_nothing(data: bytes) -> None:
    registration = make()
    registration.on_time(0.0)
    assert registration.on_notice(bytes([Kind.NOTICE]) + data, 0.0) is None
    assert registration.on_cookie(bytes([Kind.COOKIE]) + data) is None
    assert (registration.outside, registration.next_timeout) == (None, 0.25)
