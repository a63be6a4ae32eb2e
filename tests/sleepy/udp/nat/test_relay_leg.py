"""The rules of sleepy/udp/nat/relay_leg.py."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.nat.relay_leg import KEEP_ALIVE, Leg
from sleepy.udp.nat.traversal_wire import Kind, encode_bind, encode_bound, encode_cookie, encode_relayed

RELAY, EVE = ("203.0.113.9", 9470), ("192.0.2.66", 666)
TOKEN, COOKIE = b"token 8B", b"cookie, 16 bytes"


def bound() -> Leg:
    leg = Leg(RELAY, TOKEN, now=0.0)
    leg.on_time(0.0)
    leg.receive(encode_cookie(encode_bind(TOKEN), COOKIE), RELAY, 0.1)
    leg.receive(encode_bound(TOKEN), RELAY, 0.2)
    return leg


def test_it_binds_with_the_cookie_and_keeps_the_mapping_alive() -> None:
    leg = Leg(RELAY, TOKEN, now=0.0)
    assert leg.on_time(0.0) == encode_bind(TOKEN)
    assert leg.receive(encode_cookie(encode_bind(TOKEN), COOKIE), RELAY, 0.1) == encode_bind(TOKEN, COOKIE)
    assert not leg.bound
    assert leg.receive(encode_bound(TOKEN), RELAY, 0.2) is None
    assert leg.bound
    assert leg.next_timeout == 0.2 + KEEP_ALIVE
    assert leg.on_time(0.1 + KEEP_ALIVE) is None
    assert leg.on_time(0.2 + KEEP_ALIVE) == encode_bind(TOKEN, COOKIE)
    assert leg.next_timeout == 0.2 + KEEP_ALIVE + 0.25  # and again, until it is confirmed


def test_rule_1_bind_is_repeated_ever_more_slowly() -> None:
    leg = Leg(RELAY, TOKEN, now=0.0)
    times = []
    while leg.next_timeout < 8.0:
        times.append(leg.next_timeout)
        assert leg.on_time(times[-1])
    assert times == [0.0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75]


def test_rule_1_cookies_do_not_make_it_send_without_end() -> None:
    leg = Leg(RELAY, TOKEN, now=0.0)
    leg.on_time(0.0)
    question, answers = encode_bind(TOKEN), 0
    for number in range(100):
        cookie = number.to_bytes(16, "little")
        answer = leg.receive(encode_cookie(question, cookie), RELAY, 0.0)
        if answer is not None:
            question, answers = answer, answers + 1
    assert answers == 1
    assert leg.on_time(0.25) == question
    assert leg.receive(encode_cookie(question, COOKIE), RELAY, 0.3) == encode_bind(TOKEN, COOKIE)


def test_rule_2_only_the_relay_counts() -> None:
    leg = Leg(RELAY, TOKEN, now=0.0)
    leg.on_time(0.0)
    assert leg.receive(encode_cookie(encode_bind(TOKEN), COOKIE), EVE, 0.1) is None
    leg.receive(encode_bound(TOKEN), EVE, 0.1)
    leg.receive(encode_bound(b"another!"), RELAY, 0.1)
    assert not leg.bound
    assert leg.next_timeout == 0.25


def test_the_peer_has_an_address_that_no_socket_can_send_to() -> None:
    leg = bound()
    assert leg.address == (f"relay-{TOKEN.hex()}", 0)
    assert leg.wrap(b"hello") == encode_relayed(TOKEN, b"hello")


@given(kind=st.sampled_from([Kind.COOKIE, Kind.BOUND]), rest=st.binary(max_size=60))
def test_hostile_bytes_change_nothing(kind: int, rest: bytes) -> None:
    leg = Leg(RELAY, TOKEN, now=0.0)
    leg.on_time(0.0)
    assert leg.receive(bytes([kind]) + rest, RELAY, 0.1) is None
    assert not leg.bound
