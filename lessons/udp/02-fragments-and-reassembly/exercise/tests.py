"""What reassembly must do: whole packets, each once, from any order; and little memory, whatever strangers send."""

import tracemalloc
from random import Random

from lessons.trial import Subject, Told, Trial

SIZE = 4
LIMIT = 3


def pieces(payload: bytes, size: int = SIZE) -> list[bytes]:
    """The fragments of a payload."""
    return [payload[at : at + size] for at in range(0, len(payload), size)]


def fresh(trial: Trial) -> Subject:
    """One that knows nothing: 4 bytes a fragment, at most 8 of them, at most 3 incomplete packets."""
    return trial.new("Reassembly", SIZE, 8, LIMIT)


def deliver(subject: Subject, sequence: int, payload: bytes = b"abcdefghi") -> None:
    """Send a packet in its order; it must be delivered."""
    *before, last = list(enumerate(pieces(payload)))
    count = len(before) + 1
    for fragment_id, data in before:
        subject.gives("receive", sequence, fragment_id, count, data, expected=None, why="fragments are missing")
    why = "it was the last one missing"
    subject.gives("receive", sequence, last[0], count, last[1], expected=payload, why=why)


def test_in_order(trial: Trial) -> None:
    """The last fragment brings the whole payload."""
    deliver(fresh(trial), 7)
    deliver(fresh(trial), 7, b"all")


def test_in_any_order(trial: Trial) -> None:
    """Whichever comes last completes it."""
    subject = fresh(trial)
    subject.gives("receive", 7, 2, 3, b"i", expected=None, why="0 and 1 are missing")
    subject.gives("receive", 7, 0, 3, b"abcd", expected=None, why="1 is missing")
    subject.gives(
        "receive", 7, 1, 3, b"efgh", expected=b"abcdefghi", why="all three are there, and each knows its place"
    )


def test_two_packets_at_once(trial: Trial) -> None:
    """Fragments of different packets do not mix."""
    subject = fresh(trial)
    subject.gives("receive", 7, 0, 2, b"abcd", expected=None)
    subject.gives("receive", 8, 1, 2, b"yz", expected=None)
    subject.gives("receive", 7, 1, 2, b"ef", expected=b"abcdef")
    subject.gives("receive", 8, 0, 2, b"uvwx", expected=b"uvwxyz")


def test_a_fragment_twice(trial: Trial) -> None:
    """Three arrivals are not three fragments."""
    subject = fresh(trial)
    subject.gives("receive", 7, 0, 3, b"abcd", expected=None)
    subject.gives("receive", 7, 0, 3, b"abcd", expected=None, why="it is there already")
    subject.gives("receive", 7, 1, 3, b"efgh", expected=None, why="fragment 2 is missing, however many arrived")
    subject.gives("receive", 7, 2, 3, b"i", expected=b"abcdefghi")


def test_a_packet_is_delivered_once(trial: Trial) -> None:
    """Its fragments may come again, all of them."""
    subject = fresh(trial)
    deliver(subject, 7, b"abcdef")
    subject.gives("receive", 7, 0, 2, b"abcd", expected=None)
    subject.gives("receive", 7, 1, 2, b"ef", expected=None, why="packet 7 was delivered already")


def test_the_numbers_come_round(trial: Trial) -> None:
    """What was delivered long ago is forgotten."""
    subject = fresh(trial)
    for sequence in (7, 8, 9, 10, 7):
        deliver(subject, sequence, b"abcdef")


def test_what_cannot_be_right_is_ignored(trial: Trial) -> None:
    """Sizes and numbers that no sender would send."""
    for fragment_id, fragments, data, why in (
        (0, 2, b"abc", "a fragment that is not the last has exactly 4 bytes"),
        (1, 2, b"efghi", "the last fragment has at most 4 bytes"),
        (0, 9, b"abcd", "a packet has at most 8 fragments"),
        (2, 2, b"ef", "of two fragments the last is number 1"),
    ):
        subject = fresh(trial)
        subject.gives("receive", 7, fragment_id, fragments, data, expected=None, why=why)
        subject.gives("receive", 7, 0, 2, b"ABCD", expected=None, why=f"fragment 1 is missing; before: {why}")
        subject.gives("receive", 7, 1, 2, b"EF", expected=b"ABCDEF", why=f"the one before was to be ignored: {why}")


def test_the_first_fragment_decides(trial: Trial) -> None:
    """Whoever announces another number later is ignored."""
    subject = fresh(trial)
    subject.gives("receive", 7, 0, 2, b"abcd", expected=None)
    subject.gives("receive", 7, 1, 3, b"XXXX", expected=None, why="the first fragment announced two, this one three")
    subject.gives("receive", 7, 1, 2, b"ef", expected=b"abcdef")


def test_the_one_begun_first_is_given_up(trial: Trial) -> None:
    """Three may be incomplete; a fourth takes the place of the oldest."""
    subject = fresh(trial)
    for sequence in (1, 2, 3, 4):
        subject.gives("receive", sequence, 0, 2, b"abcd", expected=None)
    subject.gives("receive", 2, 1, 2, b"ef", expected=b"abcdef", why="2 is one of the three begun last")
    subject.gives("receive", 1, 1, 2, b"ef", expected=None, why="1 was given up when 4 began, and begins anew here")


def kept(subject: Subject, fragments: int, data: bytes) -> int:
    """Bytes in use after 400 packets began with such a fragment, their last, and none went on."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for sequence in range(400):
            subject.do("receive", sequence, fragments - 1, fragments, bytes(bytearray(data)))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def little(subject: Subject, used: int, limit: int, why: str) -> None:
    """It must be at most ``limit`` bytes; our own list of calls is among them."""
    told = Told(f"{used / 1000:.0f} kB kept after 400 such packets")
    subject.judge(used <= limit, told, Told(f"at most {limit / 1000:.0f} kB"), why)


def test_packets_that_never_end(trial: Trial) -> None:
    """A stranger begins packets, and sends no second fragment."""
    subject = trial.new("Reassembly", 4000, 8, LIMIT)
    subject.do("receive", 999, 1, 2, bytes(4000))
    used = kept(subject, 2, bytes(4000))
    little(subject, used, 200_000, f"of {LIMIT} packets with 4 kB each hardly more than 12 kB can be kept")


def test_packets_announced_large(trial: Trial) -> None:
    """A stranger announces 256 fragments, and sends one of a byte."""
    subject = trial.new("Reassembly", 4000, 256, LIMIT)
    subject.do("receive", 999, 255, 256, b"x")
    used = kept(subject, 256, b"x")
    little(subject, used, 200_000, "three bytes have arrived; what was announced is not there, and needs no room")


def test_a_bad_link(trial: Trial, random: Random) -> None:
    """Whatever the order, and however often: every packet once, as it was sent."""
    subject = trial.new("Reassembly", SIZE, 8, 8)
    for first in range(0, 80, 4):
        payloads = {first + n: random.randbytes(random.randrange(1, 33)) for n in range(4)}
        traffic = [
            (sequence, fragment_id, len(pieces(payload)), data)
            for sequence, payload in payloads.items()
            for fragment_id, data in enumerate(pieces(payload))
        ]
        traffic += random.choices(traffic, k=6)
        random.shuffle(traffic)
        seen: dict[int, set[int]] = {}
        for sequence, fragment_id, fragments, data in traffic:
            parts = seen.setdefault(sequence, set())
            completes = fragment_id not in parts and len(parts) == fragments - 1
            parts.add(fragment_id)
            expected = payloads[sequence] if completes else None
            subject.gives("receive", sequence, fragment_id, fragments, data, expected=expected)
