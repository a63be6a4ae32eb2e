"""What strangers can do to the rendezvous server: the seven threats of sleepy/udp/nat/introductions.py."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.address import Address
from sleepy.udp.nat.introductions import Introducer, host_of
from sleepy.udp.nat.relay import Relay
from sleepy.udp.nat.traversal_wire import (
    MAX_INSIDE,
    NO_COOKIE,
    REQUEST_SIZE,
    Absent,
    Code,
    Full,
    Kind,
    Message,
    Register,
    Registered,
    Tell,
    Told,
    decode_cookie,
    decode_notice,
    encode_request,
)
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.sealing import Sealer

SERVER = Identity(bytes([200]) * 32)
NAME = b"attempt."
INSIDE = (("192.168.1.2", 5000),)
WANT = Message(Code.WANT, NAME)


class Client:
    """Somebody who speaks with the server, from an address."""

    def __init__(self, number: int, address: Address | None = None) -> None:
        self.identity = Identity(number.to_bytes(16, "little") * 2)
        self.key = self.identity.public_key
        self.address = address or (f"198.51.{number // 256}.{number % 256}", 1111)
        self.sealer = Sealer(self.identity, SERVER.public_key, random.Random(number).randbytes)
        self.cookie = NO_COOKIE

    def request(self, request: Register | Tell) -> bytes:
        return encode_request(self.key, self.sealer, request, self.cookie)

    def prove(self, server: Introducer, now: float = 0.0) -> None:
        self.cookie = NO_COOKIE
        question = self.request(Register(1, ()))
        answer = server.receive(question, self.address, now)
        assert answer is not None
        assert answer[1] == self.address
        cookie = decode_cookie(question, answer[0])
        assert cookie is not None
        self.cookie = cookie

    def ask(self, server: Introducer, request: Register | Tell, now: float = 0.0) -> tuple[bytes, Address] | None:
        self.prove(server, now)
        return server.receive(self.request(request), self.address, now)

    def read(self, answer: tuple[bytes, Address] | None) -> Any:
        assert answer is not None
        assert answer[1] == self.address
        return decode_notice(self.sealer, answer[0])

    def register(self, server: Introducer, now: float = 0.0, inside: tuple[Address, ...] = INSIDE) -> Any:
        return self.read(self.ask(server, Register(7, inside), now))


def make(**options: Any) -> Introducer:
    options = {"proofs_per_second": 10_000, **options}
    return Introducer(SERVER, now=0.0, random_bytes=random.Random(1).randbytes, **options)


def test_the_registered_are_told_where_the_others_are() -> None:
    server, alice, bob = make(), Client(1), Client(2)
    answer = alice.register(server)
    assert isinstance(answer, Registered)
    assert (answer.number, answer.lease, answer.outside) == (7, 60, alice.address)
    bob.register(server)
    told = bob.read(alice.ask(server, Tell(bob.key, WANT)))
    assert told == Told(alice.key, alice.address, (), WANT)
    assert server.counters.told == 1


def test_the_cookie_in_the_answer_is_good_for_the_next_question() -> None:
    server, alice = make(), Client(1)
    alice.cookie = alice.register(server).cookie
    answer = server.receive(alice.request(Register(8, ())), alice.address, 100.0)
    assert isinstance(alice.read(answer), Registered)


def test_who_asks_for_nobody_learns_it() -> None:
    server, alice, bob = make(), Client(1), Client(2)
    alice.register(server)
    assert alice.read(alice.ask(server, Tell(bob.key, WANT))) == Absent(bob.key, NAME)
    assert bob.ask(server, Tell(alice.key, WANT)) is None  # he is not registered himself
    assert server.counters.absent == 2


def test_threat_1_before_an_address_is_proved_nothing_is_kept_or_computed() -> None:
    server, alice = make(), Client(1)
    question = alice.request(Register(1, ()))
    for port in range(1, 1000):
        answer = server.receive(question, ("192.0.2.66", port), 0.0)
        assert answer is not None
        assert len(answer[0]) < len(question)
    assert len(server) == len(server._hosts) == len(server._proofs) == 0
    assert server.counters.unproved == 999


@given(
    data=st.binary(max_size=300) | st.binary(min_size=REQUEST_SIZE - 1, max_size=REQUEST_SIZE - 1),
    kind=st.integers(0, 15),
)
def test_threat_2_hostile_bytes_get_one_shorter_datagram_or_none(data: bytes, kind: int) -> None:
    server = make(relay=Relay(now=0.0))
    datagram = bytes([kind]) + data
    answer = server.receive(datagram, ("192.0.2.66", 6), 0.0)
    assert answer is None or (len(answer[0]) < len(datagram) and answer[1] == ("192.0.2.66", 6))
    assert server.receive(b"", ("192.0.2.66", 6), 0.0) is None


codes = st.builds(Message, st.sampled_from(Code), st.just(NAME), st.binary(max_size=40))
insides = st.integers(0, MAX_INSIDE).map(lambda count: tuple((f"192.168.1.{number}", 5) for number in range(count)))


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.builds(Register, st.integers(0, 9), insides) | st.builds(Tell, st.integers(0, 4), codes),  # type: ignore[arg-type]
            st.booleans(),
            st.floats(0, 30),
        ),
        max_size=20,
    )
)
def test_threat_2_no_question_makes_more_than_itself(steps: list[Any]) -> None:
    """Whatever anybody asks: one datagram at most comes of it, shorter, and to nobody but the asker or the registered."""
    server, now = make(relay=Relay(now=0.0)), 0.0
    clients = [Client(number, ("198.51.100.1", number)) for number in range(1, 5)]  # neighbours: these are told most
    for number, request, proved, pause in steps:
        now += pause
        client = clients[number]
        if isinstance(request, Tell):
            to = clients[request.to].key if request.to < 4 else SERVER.public_key  # type: ignore[operator]
            request = request._replace(to=to)  # noqa: PLW2901
        if proved:
            client.prove(server, now)
        question = client.request(request)
        answer = server.receive(question, client.address, now)
        if answer is not None:
            assert len(answer[0]) < len(question)
            there = {registration.address for registration in server._registrations.values()}
            assert answer[1] in {client.address} | there


def test_threat_3_nobody_registers_in_anothers_name() -> None:
    server, alice, eve = make(), Client(1), Client(66)
    alice.register(server)
    eve.prove(server)
    forged = encode_request(alice.key, eve.sealer, Register(1, ()), eve.cookie)
    eve_cookie_for_alice = Client(1, eve.address)
    eve_cookie_for_alice.prove(server)
    captured = alice.request(Register(1, ()))
    swapped = captured[:33] + eve_cookie_for_alice.cookie + captured[49:]
    forged_with_cookie = forged[:33] + eve_cookie_for_alice.cookie + forged[49:]
    for datagram in (forged, captured, swapped, forged_with_cookie):
        answer = server.receive(datagram, eve.address, 0.0)
        assert answer is None or answer[0][0] == Kind.COOKIE
    assert server._registrations[alice.key].address == alice.address
    assert server.counters.forged == 2


def test_threat_3_a_key_that_is_none_is_refused() -> None:
    server, eve = make(), Client(66)
    eve.key = bytes(32)  # a point of low order: its secret is no secret
    eve.prove(server)
    assert server.receive(eve.request(Register(1, ())), eve.address, 0.0) is None
    assert server.counters.forged == 1


def test_threat_4_new_keys_are_checked_at_a_bounded_rate() -> None:
    server = make(proofs_per_second=5)
    crowd = [Client(number, ("198.51.100.1", number)) for number in range(1, 21)]
    for second, registered in ((0.0, 5), (0.9, 5), (1.0, 10), (2.0, 15)):
        for client in crowd:
            client.ask(server, Register(1, ()), second)
        assert len(server) == registered
    elsewhere = Client(100)
    elsewhere.ask(server, Register(1, ()), 2.0)
    assert len(server) == 16
    assert server.counters.busy > 0


def test_threat_4_all_hosts_together_have_a_bound_too() -> None:
    server = make(proofs_per_second=1)
    for number in range(1, 131):
        Client(number).ask(server, Register(1, ()))
    assert len(server) == 100


def test_threat_5_a_host_registers_so_many() -> None:
    server = make(max_per_host=3)
    crowd = [Client(number, ("198.51.100.1", number)) for number in range(1, 6)]
    answers = [client.register(server) for client in crowd]
    assert [type(answer) for answer in answers] == 3 * [Registered] + 2 * [Full]
    assert isinstance(crowd[0].register(server, 1.0), Registered)  # renewed
    crowd[4].address = ("203.0.113.1", 5)
    assert isinstance(crowd[4].register(server), Registered)
    crowd[4].address = ("198.51.100.1", 5)
    assert isinstance(crowd[4].register(server), Full)  # nor by moving
    assert server._registrations[crowd[4].key].address == ("203.0.113.1", 5)


def test_threat_5_those_who_are_in_are_not_driven_out() -> None:
    server = make(max_registrations=10)
    honest = [Client(number) for number in range(1, 11)]
    for client in honest:
        client.register(server)
    for number in range(100, 200):
        assert isinstance(Client(number).register(server, 1.0), Full)
    assert set(server._registrations) == {client.key for client in honest}
    assert isinstance(honest[0].register(server, 2.0), Registered)


def test_threat_5_who_is_silent_is_forgotten() -> None:
    server = make(lease=60, max_registrations=2)
    alice, bob, carol = Client(1), Client(2), Client(3)
    alice.register(server)
    bob.register(server)
    alice.register(server, 30.0)
    assert isinstance(carol.register(server, 59.9), Full)
    assert isinstance(carol.register(server, 60.0), Registered)
    assert set(server._registrations) == {alice.key, carol.key}
    assert dict(server._hosts) == {host_of(alice.address): 1, host_of(carol.address): 1}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("198.51.100.1", "198.51.100.2", False),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:198.51.100.1", "::ffff:198.51.100.2", False),
    ],
)
def test_threat_5_in_ipv6_a_network_is_a_host(one: str, other: str, same: bool) -> None:
    assert (host_of((one, 1)) == host_of((other, 2))) is same


def test_threat_6_each_peer_may_have_so_much_told() -> None:
    server, alice, bob = make(tells_per_second=5.0), Client(1), Client(2)
    alice.register(server)
    bob.register(server)
    told = [alice.ask(server, Tell(bob.key, WANT), 1.0) is not None for _ in range(30)]
    assert told == 20 * [True] + 10 * [False]
    assert alice.ask(server, Tell(bob.key, WANT), 1.25) is not None
    assert alice.ask(server, Tell(bob.key, WANT), 1.25) is None
    alice.register(server, 1.25)  # to register anew does not help
    assert alice.ask(server, Tell(bob.key, WANT), 1.25) is None
    assert bob.ask(server, Tell(alice.key, WANT), 1.25) is not None


def test_threat_7_who_refuses_does_not_show_where_he_is() -> None:
    server, alice, bob = make(), Client(1), Client(2)
    alice.register(server)
    bob.register(server)
    told = alice.read(bob.ask(server, Tell(alice.key, Message(Code.REFUSE, NAME))))
    assert (told.outside, told.inside) == (None, ())
    assert alice.read(bob.ask(server, Tell(alice.key, Message(Code.AGREE, NAME)))).outside == bob.address


def test_threat_7_inside_addresses_are_for_neighbours() -> None:
    server, alice, bob, carol = make(), Client(1), Client(2), Client(3)
    carol.address = (alice.address[0], 3333)
    for client in (alice, bob, carol):
        client.register(server)
    assert bob.read(alice.ask(server, Tell(bob.key, WANT))).inside == ()
    assert carol.read(alice.ask(server, Tell(carol.key, WANT))).inside == INSIDE
    refusal = Message(Code.REFUSE, NAME)
    assert carol.read(alice.ask(server, Tell(carol.key, refusal))).inside == ()


def test_who_moved_must_register_before_anything_is_told() -> None:
    """Or the other would be told an address that is not his any more."""
    server, alice, bob = make(), Client(1), Client(2)
    alice.register(server)
    bob.register(server)
    alice.address = ("203.0.113.1", 5)
    assert alice.ask(server, Tell(bob.key, WANT)) is None
    alice.register(server)
    assert bob.read(alice.ask(server, Tell(bob.key, WANT))).outside == ("203.0.113.1", 5)


@pytest.mark.parametrize("lends", [True, False])
def test_it_relays_only_if_it_was_told_to(lends: bool) -> None:
    server = make(relay=Relay(now=0.0) if lends else None)
    alice, bob = Client(1), Client(2)
    alice.register(server)
    message = Message(Code.LEND, NAME, bob.key)
    told = alice.read(alice.ask(server, Tell(SERVER.public_key, message)))
    assert (told.sender, told.outside) == (SERVER.public_key, None)
    assert told.message.code is (Code.LENT if lends else Code.REFUSE)
    assert len(told.message.body) == (16 if lends else 0)
    odd = alice.read(alice.ask(server, Tell(SERVER.public_key, WANT)))
    assert odd.message.code is Code.REFUSE
