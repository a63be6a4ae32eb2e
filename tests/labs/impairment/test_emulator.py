"""The link in user space decides as `Link` does, and holds what it must hold."""

import struct

from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, tuples

from labs.impairment.emulator import Emulator, damaged, parse
from sleepy.sim import Link

PORT, OTHER_PORT, CLIENT_PORT = 8001, 8002, 40000


def segment(source: int, destination: int, payload: bytes = b"", options: bytes = b"", protocol: int = 6) -> bytes:
    length = 40 + len(options) + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 1, 0, 64, protocol, 0, bytes(4), bytes(4))
    words = 5 + len(options) // 4
    return ip + struct.pack("!HHIIBBHHH", source, destination, 0, 0, words << 4, 16, 0, 0, 0) + options + payload


def to_client(payload: bytes = b"answer", port: int = PORT) -> bytes:
    return segment(port, CLIENT_PORT, payload)


def to_server(payload: bytes = b"question", port: int = PORT) -> bytes:
    return segment(CLIENT_PORT, port, payload)


def test_headers_are_read_with_their_options() -> None:
    parsed = parse(segment(8001, 40000, b"12345", options=bytes(12)))
    assert parsed
    assert (parsed.source, parsed.destination, parsed.header, parsed.length) == (8001, 40000, 52, 57)
    assert parsed.carries_data
    assert parse(segment(1, 2, protocol=17)) is None


@given(booleans(), integers(0, 60))
def test_what_is_cut_short_is_no_segment_and_raises_nothing(ipv6: bool, length: int) -> None:
    parse((b"\x65" if ipv6 else b"\x4f") + to_client()[1:length])


@given(lists(tuples(booleans(), booleans(), booleans()), max_size=60), integers(0, 99))
def test_every_decision_is_the_links(packets: list[tuple[bool, bool, bool]], seed: int) -> None:
    """Rules 1 to 3: each port and direction meets a link of its own, which counts only segments with data."""
    up = Link(delay=0.02, loss=0.2, drop=[3])
    down = Link(delay=0.03, jitter=0.01, loss=0.1, duplicate=0.2, rate=1e6, drop=[2, 5])
    emulator = Emulator(up, down, [PORT, OTHER_PORT], seed)
    carriers = {
        (port, direction): link.start(f"{seed} {direction}")
        for port in (PORT, OTHER_PORT)
        for direction, link in (("to server", up), ("to client", down))
    }
    expected: list[float] = []
    for number, (other, backwards, with_data) in enumerate(packets):
        port, data, now = OTHER_PORT if other else PORT, b"data" * with_data, number * 0.001
        packet = to_client(data, port) if backwards else to_server(data, port)
        arrivals = carriers[port, "to client" if backwards else "to server"].carry(len(packet), now, counted=with_data)
        expected.extend(arrival.time for arrival in arrivals)
        assert emulator.admit(number, packet, now) == bool(arrivals)
    assert [release.time for release in emulator.due(float("inf"))] == sorted(expected)


def test_the_drop_list_is_exact_and_each_port_counts_anew() -> None:
    """Rule 2: the 2nd and 4th data segment to the client, whatever else passes."""
    emulator = Emulator(Link(), Link(drop=[2, 4]), [PORT, OTHER_PORT], seed=1)
    for port in (PORT, OTHER_PORT):
        fates = []
        for _ in range(5):
            assert emulator.admit(0, to_server(port=port), 0.0)
            assert emulator.admit(0, to_client(b"", port), 0.0)
            fates.append(emulator.admit(0, to_client(b"data", port), 0.0))
        assert fates == [True, False, True, False, True]


def test_nothing_leaves_before_its_time_and_all_in_order() -> None:
    emulator = Emulator(Link(delay=1.0), Link(delay=0.25), [PORT], seed=1)
    emulator.admit(1, to_server(), 0.0)
    emulator.admit(2, to_client(), 0.5)
    emulator.admit(3, to_client(), 0.5)
    assert emulator.next_time == 0.75
    assert [release.handle for release in emulator.due(0.749)] == []
    assert [release.handle for release in emulator.due(0.75)] == [2, 3]
    assert emulator.next_time == 1.0
    assert [release.handle for release in emulator.due(9)] == [1]
    assert emulator.next_time is None


def test_rule_1_what_is_not_ours_passes_at_once() -> None:
    emulator = Emulator(Link(loss=1), Link(loss=1), [PORT], seed=1)
    assert emulator.admit(7, segment(1234, 4321), 5.0)
    assert [release.handle for release in emulator.due(5.0)] == [7]


def test_rule_3_a_duplicate_is_a_copy_that_nobody_has_a_handle_for() -> None:
    emulator = Emulator(Link(), Link(duplicate=1), [PORT], seed=1)
    emulator.admit(7, to_client(), 0.0)
    first, second = emulator.due(0.0)
    assert (first.handle, second.handle) == (7, None)
    assert first.packet == second.packet == to_client()


def test_rule_4_damage_is_one_bit_of_the_payload_or_of_the_tcp_header() -> None:
    emulator = Emulator(Link(), Link(corrupt=1), [PORT], seed=1)
    emulator.admit(7, to_client(b"answer"), 0.0)
    (release,) = emulator.due(0.0)
    assert release.changed
    assert release.packet == to_client(b"\x60nswer")
    bare = to_client(b"")
    parsed = parse(bare)
    assert parsed
    changed = damaged(bare, parsed)
    assert changed[:20] == bare[:20]
    assert sum((one ^ other).bit_count() for one, other in zip(bare, changed, strict=True)) == 1
