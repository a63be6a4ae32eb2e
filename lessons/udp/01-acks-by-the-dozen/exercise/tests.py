"""What acks must do: 32 bits that follow the newest packet, around the circle, whatever is lost, late or duplicated."""

from random import Random

from lessons.trial import Subject, Told, Trial

ALL = 0xFFFFFFFF


class Bits(int):
    """A number that is shown in binary: which bit is wrong can then be seen."""

    def __repr__(self) -> str:
        return f"0b{self:b}" if self != ALL else "0xFFFFFFFF"


def header_is(received: Subject, ack: int, *behind: int, why: str) -> None:
    """The next header must name ``ack``, and as arrived those so many steps behind it."""
    bits = Bits(sum(1 << steps for steps in behind))
    got = received.do("header")
    if isinstance(got, tuple) and len(got) == 2 and isinstance(got[1], int):
        got = (got[0], Bits(got[1]))
    received.judge(got == (ack, bits), got, (ack, bits), why)


def received_after(trial: Trial, *sequences: int) -> Subject:
    """What has received these."""
    received = trial.new("Received")
    for sequence in sequences:
        received.do("arrive", sequence)
    return received


def sent_so_many(trial: Trial, packets: int) -> Subject:
    """What has sent packets 0, 1, 2 and so on."""
    sent = trial.new("Sent")
    for _ in range(packets):
        sent.do("send")
    return sent


def test_before_the_first_packet(trial: Trial) -> None:
    """The very first header acks nothing."""
    header_is(trial.new("Received"), 65535, why="nothing has arrived, so no bit is set")


def test_in_order(trial: Trial) -> None:
    """The ack is the newest, and bit 0 is its own."""
    header_is(received_after(trial, 0), 0, 0, why="bit n stands for ack - n, so bit 0 stands for the ack itself")
    header_is(received_after(trial, 0, 1, 2), 2, 0, 1, 2, why="2, 1 and 0 have arrived")


def test_gaps(trial: Trial) -> None:
    """What did not arrive leaves a 0; the ack goes on."""
    why = "the ack is the newest that arrived, whatever is missing before it"
    header_is(received_after(trial, 1, 5, 9, 11), 11, 0, 2, 6, 10, why=why)


def test_a_late_packet_sets_its_own_bit(trial: Trial) -> None:
    """Late is not lost, and not newest."""
    header_is(received_after(trial, 0, 3, 1), 3, 0, 2, 3, why="1 is late: the ack stays 3, and bit 3 - 1 is set")


def test_twice_is_once(trial: Trial) -> None:
    """A duplicate changes nothing."""
    header_is(received_after(trial, 0, 1, 1, 0), 1, 0, 1, why="1 and 0 were there already")


def test_there_are_32_bits(trial: Trial) -> None:
    """What is further behind falls off the end."""
    header_is(
        received_after(trial, *range(41)), 40, *range(32), why="40 down to 9 are 32 packets; there is room for no more"
    )
    header_is(received_after(trial, 0, 31), 31, 0, 31, why="31 - 31 is 0: the last bit there is")
    header_is(received_after(trial, 0, 32), 32, 0, why="0 is 32 behind, and has no bit any more")
    header_is(received_after(trial, 0, 30000), 30000, 0, why="a jump leaves nothing of what was known")


def test_too_late(trial: Trial) -> None:
    """A packet that has no bit any more changes nothing."""
    header_is(received_after(trial, 0, 100, 50), 100, 0, why="50 is 50 behind: no bit stands for it")


def test_the_numbers_come_round(trial: Trial) -> None:
    """After 65,535 comes 0, and is newer."""
    why = "from 65535 one counts up a step to 0, so 0 is the newer one"
    header_is(received_after(trial, 30000, 60000, 65534, 65535, 0), 0, 0, 1, 2, why=why)
    header_is(
        received_after(trial, 30000, 60000, 1, 65534), 1, 0, 3, why="65534 is three steps behind 1: late, not newer"
    )


def test_a_bad_link(trial: Trial, random: Random) -> None:
    """Whatever is lost, late or duplicated, every header tells the truth."""
    received = received_after(trial, 30000, 60000)
    arrived = {30000, 60000}
    numbers = [number for number in range(65400, 65700) if random.random() > 0.2]
    numbers += random.choices(numbers, k=30)
    for number in sorted(numbers, key=lambda number: number + random.uniform(0, 12)):
        received.do("arrive", number & 0xFFFF)
        arrived.add(number)
        newest = max(arrived)
        behind = [steps for steps in range(32) if newest - steps in arrived]
        header_is(received, newest & 0xFFFF, *behind, why=f"bit n is set if {newest & 0xFFFF} - n has arrived")


def test_sequences_count_up(trial: Trial) -> None:
    """They have 16 bits."""
    sent = trial.new("Sent")
    for sequence in range(3):
        sent.gives("send", expected=sequence)
    for sequence in range(3, 65537):
        if sequence % 500 == 0:
            last = (sequence - 1) & 0xFFFF
            sent.do("acknowledge", last, ALL)
        if sequence < 65534:
            sent.do("send")
        else:
            sent.gives("send", expected=sequence & 0xFFFF, why="after 65535 comes 0")


def test_what_a_header_acks(trial: Trial) -> None:
    """Bit n acks packet ack - n."""
    why = "0b101: bits 0 and 2, so 2 - 0 and 2 - 2"
    sent_so_many(trial, 3).gives("acknowledge", 2, Bits(0b101), expected=[2, 0], why=why)
    why = "bit 0 is not set: the peer knows of 2 and does not have it as a whole"
    sent_so_many(trial, 3).gives("acknowledge", 2, Bits(0b110), expected=[1, 0], why=why)
    why = "the peer's first header: nothing has arrived there"
    sent_so_many(trial, 3).gives("acknowledge", 65535, Bits(0), expected=[], why=why)


def test_news_is_told_once(trial: Trial) -> None:
    """Up to 32 headers name a packet; the first is news."""
    sent = sent_so_many(trial, 4)
    sent.gives("acknowledge", 1, Bits(0b11), expected=[1, 0])
    sent.gives("acknowledge", 3, Bits(0b1011), expected=[3, 2], why="0 was reported before, and so bit 3 is no news")
    sent.gives("acknowledge", 3, Bits(0b1111), expected=[], why="nothing in it is new")


def test_a_late_header(trial: Trial) -> None:
    """An older header still says something."""
    sent = sent_so_many(trial, 40)
    sent.gives("acknowledge", 39, Bits(ALL), expected=list(range(39, 7, -1)), why="32 of them, the newest first")
    sent.gives("acknowledge", 10, Bits(ALL), expected=list(range(7, -1, -1)), why="7 to 0 were still open")


def test_claims_of_what_was_never_sent(trial: Trial) -> None:
    """The peer may say what it likes."""
    why = "only 0 was sent; nobody can have 65535 to 65505"
    sent_so_many(trial, 1).gives("acknowledge", 0, Bits(ALL), expected=[0], why=why)
    sent_so_many(trial, 1).gives("acknowledge", 9, Bits(ALL), expected=[0], why="1 to 9 were never sent")


def test_a_conversation(trial: Trial, random: Random) -> None:
    """What is reported has arrived; what arrived is reported, once, unless 32 headers in a row get lost."""
    sent, received = trial.new("Sent"), trial.new("Received")
    arrived: set[int] = set()
    reported: list[int] = []
    for _ in range(400):
        sequence = sent.do("send")
        if random.random() > 0.25:
            arrived.add(sequence)
            received.do("arrive", sequence)
        header = received.do("header")
        if random.random() > 0.25:
            reported += sent.do("acknowledge", *header)
    reported += sent.do("acknowledge", *received.do("header"))
    twice = sorted(sequence for sequence in set(reported) if reported.count(sequence) > 1)
    sent.judge(not twice, Told(f"{twice[:5]} reported twice"), Told("each packet reported once"))
    false, missing = sorted(set(reported) - arrived), sorted(arrived - set(reported))
    sent.judge(not false, Told(f"{false[:5]} reported, though lost"), Told("only packets that arrived"))
    sent.judge(
        not missing, Told(f"{missing[:5]} never reported, though they arrived"), Told("every packet that arrived")
    )
