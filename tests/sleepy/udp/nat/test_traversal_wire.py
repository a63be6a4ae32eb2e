"""The rules of sleepy/udp/nat/traversal_wire.py."""

import random
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sleepy.udp.address import Address
from sleepy.udp.nat import traversal_wire as wire
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.sealing import Sealer

CLIENT, SERVER = Identity(bytes([1]) * 32), Identity(bytes([2]) * 32)
CLIENT_SIDE = Sealer(CLIENT, SERVER.public_key, random.Random(1).randbytes)
SERVER_SIDE = Sealer(SERVER, CLIENT.public_key, random.Random(2).randbytes)

ipv4 = st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number)))
ipv6 = st.integers(2**64, 2**128 - 1).map(lambda number: str(IPv6Address(number)))
hosts = ipv4 | ipv6
addresses = st.tuples(hosts, st.integers(0, 65535))
insides = st.lists(addresses, max_size=wire.MAX_INSIDE).map(tuple)
keys = st.binary(min_size=32, max_size=32)
names = st.binary(min_size=8, max_size=8)
cookies = st.binary(min_size=16, max_size=16)
messages = st.builds(wire.Message, st.sampled_from(wire.Code), names, st.binary(max_size=wire.MAX_BODY))
numbers = st.integers(0, 2**32 - 1)
requests = st.builds(wire.Register, numbers, insides) | st.builds(wire.Tell, keys, messages)
notices = (
    st.builds(wire.Registered, numbers, st.integers(0, 65535), addresses, cookies)
    | st.builds(wire.Told, keys, st.none() | st.tuples(hosts, st.integers(1, 65535)), insides, messages)
    | st.builds(wire.Absent, keys, names)
    | st.builds(wire.Full, numbers)
)


@given(addresses)
def test_addresses_survive(address: Address) -> None:
    packed = wire.pack_address(address)
    assert len(packed) == wire.ADDRESS
    assert wire.unpack_address(packed) == address


@pytest.mark.parametrize("host", ["server", "", "10.0.0.256", "relay-0123456789abcdef"])
def test_names_are_no_addresses(host: str) -> None:
    with pytest.raises(ValueError):
        wire.pack_address((host, 1))


@given(request=requests, cookie=cookies)
def test_rule_1_every_request_has_one_size_and_says_what_it_said(request: Any, cookie: bytes) -> None:
    datagram = wire.encode_request(CLIENT.public_key, CLIENT_SIDE, request, cookie)
    assert len(datagram) == wire.REQUEST_SIZE
    assert wire.request_parts(datagram) == (CLIENT.public_key, cookie)
    assert wire.decode_request(SERVER_SIDE, datagram) == request


@given(request=requests, cookie=cookies, other=cookies)
def test_rule_2_a_request_works_with_its_own_cookie_only(request: Any, cookie: bytes, other: bytes) -> None:
    """Or somebody who copied it could have it counted for his own address, with a cookie for that."""
    assume(cookie != other)
    datagram = wire.encode_request(CLIENT.public_key, CLIENT_SIDE, request, cookie)
    assert wire.decode_request(SERVER_SIDE, datagram.replace(cookie, other, 1)) is None


@given(notice=notices)
def test_rule_1_every_notice_is_shorter_than_a_request(notice: Any) -> None:
    datagram = wire.encode_notice(SERVER_SIDE, notice)
    assert len(datagram) < wire.REQUEST_SIZE
    decoded = wire.decode_notice(CLIENT_SIDE, datagram)
    assert decoded == notice
    assert type(decoded) is type(notice)


@given(question=st.binary(min_size=1, max_size=300), cookie=cookies, at=st.integers(0, 32), bit=st.integers(0, 7))
def test_rule_3_a_cookie_answers_its_question_only(question: bytes, cookie: bytes, at: int, bit: int) -> None:
    datagram = wire.encode_cookie(question, cookie)
    assert len(datagram) < wire.BIND_SIZE
    assert wire.decode_cookie(question, datagram) == cookie
    assert wire.decode_cookie(question + b".", datagram) is None
    damaged = bytearray(datagram)
    damaged[at] ^= 1 << bit
    assert wire.decode_cookie(question, bytes(damaged)) is None or at == 0  # the kind was looked at by then
    assert wire.decode_cookie(question, datagram + b".") is None


@given(name=names, answer=st.booleans(), number=numbers)
def test_knock_and_answer_are_of_one_size(name: bytes, answer: bool, number: int) -> None:
    datagram = wire.encode_probe(name, CLIENT_SIDE, wire.Probe(answer, number))
    assert len(datagram) == len(wire.encode_probe(bytes(8), CLIENT_SIDE, wire.Probe(answer=True, number=0)))
    assert wire.after_kind(datagram) == name
    assert wire.decode_probe(SERVER_SIDE, datagram) == (answer, number)
    assert wire.decode_probe(SERVER_SIDE, datagram.replace(name, bytes(8), 1)) is None or name == bytes(8)


@given(token=names, cookie=cookies)
def test_rule_1_bind_is_longer_than_its_answers(token: bytes, cookie: bytes) -> None:
    datagram = wire.encode_bind(token, cookie)
    assert (wire.after_kind(datagram), wire.bind_cookie(datagram)) == (token, cookie)
    assert len(wire.encode_bound(token)) < len(datagram) == wire.BIND_SIZE
    assert len(wire.encode_cookie(datagram, cookie)) < len(datagram)


@given(data=st.binary(max_size=300) | st.binary(min_size=256, max_size=256))
def test_rule_4_whatever_cannot_be_read_is_none(data: bytes) -> None:
    assert wire.decode_request(SERVER_SIDE, data) is None
    assert wire.decode_notice(CLIENT_SIDE, data) is None
    assert wire.decode_probe(SERVER_SIDE, data) is None
    assert wire.decode_cookie(b"question", data) is None
    assert wire.request_parts(data) is None or len(data) == wire.REQUEST_SIZE


@given(
    text=st.binary(max_size=200)
    | st.tuples(st.integers(0, 6), st.binary(max_size=190)).map(lambda t: bytes([t[0]]) + t[1])
)
def test_rule_4_holds_for_those_who_have_the_key_too(text: bytes) -> None:
    """A hostile client or server can seal whatever it likes; what is read obeys the limits."""
    head = bytes([wire.Kind.NOTICE])
    notice = wire.decode_notice(CLIENT_SIDE, SERVER_SIDE.seal(head, text))
    if isinstance(notice, wire.Told):
        assert len(notice.inside) <= wire.MAX_INSIDE
        assert len(notice.message.body) <= wire.MAX_BODY
    head = bytes([wire.Kind.REQUEST]) + CLIENT.public_key + bytes(16)
    room = wire.REQUEST_SIZE - len(CLIENT_SIDE.seal(head, b""))
    request = wire.decode_request(SERVER_SIDE, CLIENT_SIDE.seal(head, text[:room].ljust(room, b"\0")))
    if isinstance(request, wire.Register):
        assert len(request.inside) <= wire.MAX_INSIDE
    elif request is not None:
        assert len(request.message.body) <= wire.MAX_BODY
    head = bytes([wire.Kind.PROBE]) + bytes(8)
    probe = wire.decode_probe(SERVER_SIDE, CLIENT_SIDE.seal(head, text))
    assert probe is None or len(text) == 5


def test_rule_1_a_request_of_another_size_is_none() -> None:
    datagram = wire.encode_request(CLIENT.public_key, CLIENT_SIDE, wire.Register(1, ()))
    assert wire.request_parts(datagram) is not None
    assert wire.request_parts(datagram[:-1]) is None
    assert wire.request_parts(datagram + b".") is None


ADDRESS = ("192.0.2.1", 1)


@pytest.mark.parametrize(
    ("code", "size", "body", "inside"),
    [(1, 40, 40, 4), (0, 40, 40, 4), (7, 40, 40, 4), (1, 41, 41, 4), (1, 40, 39, 4), (1, 40, 40, 5), (1, 40, 41, 4)],
)
def test_rule_4_messages_beyond_the_limits_are_none(code: int, size: int, body: int, inside: int) -> None:
    """But for the first and the last, which carries padding; a client or a server with the key can write them all."""
    message = bytes([code]) + bytes(8) + bytes([size]) + bytes(body)
    addresses = inside * wire.pack_address(ADDRESS)
    head = bytes([wire.Kind.NOTICE])
    told = SERVER_SIDE.seal(
        head, b"\2" + bytes(32) + wire.pack_address(ADDRESS) + bytes([inside]) + addresses + message
    )
    good = (code, size, inside) == (1, 40, 4) and body >= 40
    assert (wire.decode_notice(CLIENT_SIDE, told) is not None) is good
    head = bytes([wire.Kind.REQUEST]) + CLIENT.public_key + bytes(16)
    room = wire.REQUEST_SIZE - len(CLIENT_SIDE.seal(head, b""))
    text = (b"\2" + bytes(32) + message)[:room]
    tell = wire.decode_request(SERVER_SIDE, CLIENT_SIDE.seal(head, text))
    assert (tell is not None) is ((code, size) == (1, 40) and body >= 40)
    register = b"\1" + bytes(4) + bytes([inside]) + addresses
    request = wire.decode_request(SERVER_SIDE, CLIENT_SIDE.seal(head, register.ljust(room, b"\0")))
    assert (request is not None) is (inside <= 4)
