"""The rules of sleepy/udp/security/protection.py; attacks by who is on the path included."""

import random
from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis.strategies import binary, booleans, floats, integers, lists, sampled_from, tuples

from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.listener import Listener
from sleepy.udp.security.noise import CipherState
from sleepy.udp.security.protection import HEADER, OVERHEAD, Protection, ProtectionCounters
from sleepy.udp.security.replay import WINDOW
from sleepy.udp.security.session import Session
from tests.sleepy.udp.handshaking import Network, agree, config

CLIENT = Session(
    initiator=True,
    local_id=b"client..",
    remote_id=b"server..",
    public_key=b"",
    version=1,
    features=0,
    parameters=b"",
    send_key=b"c" * 32,
    receive_key=b"s" * 32,
    transcript=b"",
)
SERVER = replace(
    CLIENT, initiator=False, local_id=b"server..", remote_id=b"client..", send_key=b"s" * 32, receive_key=b"c" * 32
)


def pair(**options: float) -> tuple[Protection, Protection]:
    return Protection(CLIENT, now=0.0, **options), Protection(SERVER, now=0.0, **options)  # type: ignore[arg-type]


def dropped(protection: Protection) -> int:
    return sum(asdict(protection.counters).values())


def renew(client: Protection, server: Protection, now: float) -> None:
    """Both go on to the next key: the time is up, the client leads, the server follows."""
    assert server.unprotect(client.protect(b"", now), now) == b""
    assert client.unprotect(server.protect(b"", now), now) == b""


# --- rules 1 and 2: number, header, payload ---------------------------------------------------------------------------


def test_the_bytes_of_a_packet() -> None:
    """As the module says, and as any other implementation of RFC 8439 encrypts it."""
    client, _ = pair()
    client.protect(b"packet 0", 0.0)
    packet = client.protect(b"packet 1", 0.0)
    header = b"\x40" + b"server.." + b"\1\0\0\0"
    assert packet == header + ChaCha20Poly1305(b"c" * 32).encrypt(b"\0\0\0\0" + b"\1" + bytes(7), b"packet 1", header)
    assert len(packet) == len(b"packet 1") + OVERHEAD
    assert OVERHEAD == 29


@given(lists(tuples(booleans(), binary(max_size=200)), max_size=20))
def test_packets_arrive_in_both_directions(payloads: list[tuple[bool, bytes]]) -> None:
    client, server = pair()
    for to_server, payload in payloads:
        sender, receiver = (client, server) if to_server else (server, client)
        packet = sender.protect(payload, 0.0)
        assert len(payload) < 8 or payload not in packet[HEADER.size :]
        assert receiver.unprotect(packet, 0.0) == payload
    assert dropped(client) == dropped(server) == 0


def test_the_same_payload_never_looks_the_same() -> None:
    client, _ = pair()
    packets = {client.protect(b"same", 0.0)[HEADER.size :] for _ in range(100)}
    assert len(packets) == 100


@given(
    lap=integers(0, 1000),
    offset=integers(-2000, 2000),
    steps=lists(integers(1, 2000) | integers(2**31 - 2000, 2**31), min_size=1, max_size=10),
)
def test_numbers_are_completed_across_any_gap_below_two_billion(lap: int, offset: int, steps: list[int]) -> None:
    """Rule 1: near the wrap of the 32 bits too, and for the packet before, which comes late."""
    client, server = pair()
    number = max(0, lap * 2**32 + offset)
    server._window.mark(number)
    for step in steps:
        number += step
        client._next_number = number - 1
        late, packet = client.protect(b"late", 0.0), client.protect(b"packet", 0.0)
        assert server.unprotect(packet, 0.0) == b"packet"
        assert server.highest == number
        if step > 1:
            assert server.unprotect(late, 0.0) == b"late"


def test_a_number_before_the_first_is_forged() -> None:
    """Rule 1: the nearest to 0 that ends in 32 ones is -1; nothing has that."""
    _, server = pair()
    assert server.unprotect(b"\x40server..\xff\xff\xff\xff" + bytes(16), 0.0) is None
    assert server.counters == ProtectionCounters(forged=1)


@given(length=integers(0, 50), bit=integers(0))
def test_no_bit_can_be_changed(length: int, bit: int) -> None:
    """Rule 2: of header, ciphertext or tag; and the true packet still gets through after it."""
    client, server = pair()
    for _ in range(5):
        server.unprotect(client.protect(b"before", 0.0), 0.0)
    packet = client.protect(bytes(length), 0.0)
    forged = bytearray(packet)
    forged[bit // 8 % len(forged)] ^= 1 << bit % 8
    assert server.unprotect(bytes(forged), 0.0) is None
    assert dropped(server) == 1
    assert server.unprotect(packet, 0.0) == bytes(length)


@given(cut=integers(0, OVERHEAD + 20))
def test_no_packet_can_be_cut(cut: int) -> None:
    client, server = pair()
    packet = client.protect(bytes(21), 0.0)
    assert server.unprotect(packet[:cut], 0.0) is None
    assert server.unprotect(packet + b"\0", 0.0) is None
    assert dropped(server) == 2
    assert server.unprotect(packet, 0.0) == bytes(21)


def test_a_packet_sent_back_to_its_sender_is_not_his() -> None:
    """Each direction has its own key and its own id."""
    client, server = pair()
    packet = client.protect(b"mine", 0.0)
    assert client.unprotect(packet, 0.0) is None
    assert client.unprotect(packet[:1] + b"client.." + packet[9:], 0.0) is None
    assert client.counters == ProtectionCounters(malformed=1, forged=1)
    assert server.unprotect(packet, 0.0) == b"mine"


@given(
    lists(
        binary(max_size=60)
        | tuples(sampled_from([0x40, 0x41]), binary(min_size=20, max_size=60)).map(
            lambda parts: bytes([parts[0]]) + b"server.." + parts[1]
        ),
        max_size=30,
    )
)
def test_whatever_arrives_is_counted_and_raises_nothing(datagrams: list[bytes]) -> None:
    """Rule 8: and leaves the connection as it was."""
    client, server = pair()
    for count, datagram in enumerate(datagrams):
        assert server.unprotect(datagram, 0.0) is None
        assert dropped(server) == count + 1
    assert server.highest == -1
    assert server.unprotect(client.protect(b"through", 0.0), 0.0) == b"through"


# --- rule 3: copies ---------------------------------------------------------------------------------------------------


@given(seed=integers(0, 2**32), count=integers(1, 60))
def test_every_packet_arrives_once_whatever_the_order(seed: int, count: int) -> None:
    """Rule 3: all packets, and up to two copies of each, shuffled."""
    client, server = pair()
    packets = [client.protect(b"%d" % n, 0.0) for n in range(count)]
    randoms = random.Random(seed)
    arriving = [packet for packet in packets for _ in range(randoms.randint(1, 3))]
    randoms.shuffle(arriving)
    payloads = [server.unprotect(packet, 0.0) for packet in arriving]
    got = [payload for payload in payloads if payload is not None]
    assert sorted(got) == sorted(b"%d" % n for n in range(count))
    assert server.counters == ProtectionCounters(replayed=len(arriving) - count)


def test_packets_behind_the_window_are_stale() -> None:
    """Rule 3: they may be copies."""
    client, server = pair()
    packets = [client.protect(b"", 0.0) for _ in range(WINDOW + 2)]
    server.unprotect(packets[-1], 0.0)
    assert server.unprotect(packets[0], 0.0) is None
    assert server.unprotect(packets[1], 0.0) is None
    assert server.unprotect(packets[2], 0.0) == b""
    assert server.counters == ProtectionCounters(stale=2)


def test_a_forged_number_does_not_push_the_window_ahead() -> None:
    """Rule 3: marked is what proved to be authentic."""
    client, server = pair()
    packet = client.protect(b"true", 0.0)
    for number in (0, 1, 2**20, 2**31 - 1):
        server.unprotect(packet[:9] + number.to_bytes(4, "little") + bytes(20), 0.0)
    assert server.highest == -1
    assert server.unprotect(packet, 0.0) == b"true"


def test_copies_cost_no_decryption() -> None:
    """Rule 3: a replayed packet is found before the key is asked, so its damaged copy is a copy as well."""
    client, server = pair()
    packet = client.protect(b"once", 0.0)
    server.unprotect(packet, 0.0)
    assert server.unprotect(packet[:-1] + b"x", 0.0) is None
    assert server.counters == ProtectionCounters(replayed=1)


# --- rules 4 to 6: renewal --------------------------------------------------------------------------------------------


def test_keys_are_renewed_after_a_time() -> None:
    """Rule 4, by rule 5: the initiator goes ahead, the responder follows, and both keys are other ones."""
    client, server = pair(renew_seconds=10.0)
    early = client.protect(b"", 9.9)
    late = client.protect(b"", 10.0)
    assert (early[0], late[0]) == (0x40, 0x41)
    assert server.unprotect(early, 10.0) == server.unprotect(late, 10.0) == b""
    answer = server.protect(b"", 10.0)
    assert answer[0] == 0x41
    assert client.unprotect(answer, 10.0) == b""
    assert client.renewals == server.renewals == 1
    assert client.protect(b"", 19.9)[0] == 0x41
    assert client.protect(b"", 20.0)[0] == 0x40


def test_the_next_key_is_that_of_noise() -> None:
    """Rule 4: Noise's rekey, of each direction by itself."""
    client, server = pair(renew_seconds=10.0)
    for generation in range(1, 5):
        renew(client, server, 10.0 * generation)
        for protection, first in ((client, b"c" * 32), (server, b"s" * 32)):
            cipher = CipherState(first)
            for _ in range(generation):
                cipher.rekey()
            assert protection._send_key == cipher.key


@pytest.mark.parametrize("client_sends", [True, False])
def test_keys_are_renewed_after_a_number_of_packets(client_sends: bool) -> None:
    """Rule 4: counted in the direction that has more; the client leads also if it sends little."""
    client, server = pair(renew_packets=100, renew_seconds=1e9)
    sender, receiver = (client, server) if client_sends else (server, client)
    for number in range(1000):
        assert receiver.unprotect(sender.protect(b"", number), number) == b""
        if number % 10 == 9:
            assert sender.unprotect(receiver.protect(b"", number), number) == b""
    assert 8 <= client.renewals <= 10
    assert client.renewals == server.renewals


def test_nobody_runs_ahead_by_two() -> None:
    """Rule 5: while nothing comes back the initiator goes on with its one new key, however late it gets."""
    client, server = pair(renew_seconds=10.0)
    packets = [client.protect(b"%d" % now, float(now)) for now in range(0, 100, 5)]
    assert [packet[0] for packet in packets] == [0x40] * 2 + [0x41] * 18
    assert server.unprotect(packets[-1], 95.0) == b"95"  # all others are lost: one step is always enough
    assert client.unprotect(server.protect(b"", 95.0), 95.0) == b""
    assert client.protect(b"", 104.9)[0] == 0x41
    assert client.protect(b"", 105.0)[0] == 0x40


def test_renewals_keep_their_distance() -> None:
    """Rule 6: or a packet late by less than ``keep_old`` could be of a key two before."""
    client, server = pair(renew_packets=2, keep_old=3.0)
    renewed = []
    for now in range(20):
        packet = client.protect(b"", now)
        server.unprotect(packet, now)
        client.unprotect(server.protect(b"", now), now)
        renewed.append(client.renewals)
    assert renewed[:10] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_the_responder_never_leads() -> None:
    """Rule 5."""
    _, server = pair(renew_seconds=1.0, renew_packets=10)
    assert {server.protect(b"", now)[0] for now in range(1000)} == {0x40}


def test_late_packets_of_the_old_key_are_read_for_a_while() -> None:
    """Rule 6."""
    client, server = pair(renew_seconds=10.0, keep_old=3.0)
    late = [client.protect(b"late", 9.0) for _ in range(3)]
    renew(client, server, 10.0)
    assert server.unprotect(late[0], 12.9) == b"late"
    assert server.unprotect(late[0], 12.9) is None
    assert server.unprotect(late[1], 13.0) is None
    assert server.unprotect(late[2], 0.0) is None  # the key is gone, not just out of use
    assert server.counters == ProtectionCounters(replayed=1, stale=2)


def test_a_flipped_key_phase_changes_nothing() -> None:
    """Rule 6: neither ahead nor behind, before and after a renewal, on either side; and costs one derived key at most."""
    client, server = pair(renew_seconds=10.0)
    for now in (0.0, 10.0, 11.0):
        for sender, receiver in ((client, server), (server, client)):
            packet = sender.protect(b"true", now)
            renewals, counted, key = receiver.renewals, receiver.counters.forged, receiver._next_opener
            for _ in range(3):
                assert receiver.unprotect(bytes([packet[0] ^ 1]) + packet[1:], now) is None
                key = key or receiver._next_opener
                assert receiver._next_opener is key
            assert receiver.renewals == renewals
            assert receiver.counters.forged == counted + 3
            assert receiver.unprotect(packet, now) == b"true"


@settings(max_examples=60)
@given(
    weather=lists(tuples(booleans(), floats(0, 2.0), integers(0, 2)), min_size=20, max_size=120),
    renew_packets=integers(3, 30),
)
def test_renewal_survives_loss_copies_and_reordering(
    weather: list[tuple[bool, float, int]], renew_packets: int
) -> None:
    """Rules 4 to 6: keys change every few packets, packets are late by up to 2 s (the old key is kept 3 s), a third is lost.

    Each packet of which a copy arrives is read, once; nothing ever fails authentication; the sides never part by two.
    """
    client, server = pair(renew_packets=renew_packets, renew_seconds=5.0)
    sides = {True: client, False: server}
    flying: list[tuple[float, int, bool, bytes]] = []
    now, expected, got = 0.0, [], []
    for number, (from_client, delay, copies) in enumerate(weather):
        now += 0.1
        packet = sides[from_client].protect(b"%d" % number, now)
        flying += [(now + delay / (copy + 1), number, from_client, packet) for copy in range(copies)]
        if copies:
            expected.append(b"%d" % number)
        arriving = sorted(item for item in flying if item[0] <= now)
        flying = [item for item in flying if item[0] > now]
        got += [sides[not sender].unprotect(packet, now) for _, _, sender, packet in arriving]
        assert abs(client._sent_renewals - server._sent_renewals) <= 1
    got += [sides[not sender].unprotect(packet, arrival) for arrival, _, sender, packet in sorted(flying)]
    assert sorted(payload for payload in got if payload is not None) == sorted(expected)
    for side in sides.values():
        assert side.counters.forged == side.counters.stale == side.counters.malformed == 0


# --- rule 7: forgeries ------------------------------------------------------------------------------------------------


def test_after_too_many_forgeries_nothing_is_read_any_more() -> None:
    client, server = pair(max_forgeries=10)
    forged = client.protect(b"", 0.0)[: HEADER.size] + bytes(16)
    for _ in range(9):
        server.unprotect(forged, 0.0)
    assert not server.exhausted
    assert server.unprotect(client.protect(b"still", 0.0), 0.0) == b"still"
    server.unprotect(client.protect(b"", 0.0)[:-1] + b"x", 0.0)
    assert server.exhausted
    assert server.unprotect(client.protect(b"too late", 0.0), 0.0) is None
    assert dropped(server) == 11


# --- together -----------------------------------------------------------------------------------------------------------


def test_the_sessions_of_a_handshake_fit_each_other() -> None:
    """From the first HELLO to a packet in each direction, and through a renewal."""
    net = Network(Initiator(config(1), now=0.0), Listener(config(2), now=0.0))
    client = Protection(agree(net), now=net.now, renew_seconds=10.0)
    server = Protection(net.sessions[0], now=net.now, renew_seconds=10.0)
    for now in (1.0, 11.0, 12.0):
        assert server.unprotect(client.protect(b"there", now), now) == b"there"
        assert client.unprotect(server.protect(b"and back", now), now) == b"and back"
    assert client.renewals == server.renewals == 1
