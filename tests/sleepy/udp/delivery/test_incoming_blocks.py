"""What sleepy/udp/delivery/incoming_blocks.py makes of a hostile sender."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.udp.delivery.block_memory import FIRST_WINDOW, Share
from sleepy.udp.delivery.blocks import MAX_BLOCKS, WINDOW
from sleepy.udp.delivery.chunk_reader import read_chunks
from sleepy.udp.delivery.chunks import BlockCancel, BlockCredit, BlockData, BlockEnd, BlockOpen, ProtocolError
from sleepy.udp.delivery.incoming_blocks import MAX_SETTLING, IncomingBlocks
from sleepy.udp.delivery.payload import PacketBuilder

UNIT = bytes(32)


@pytest.mark.parametrize(
    "chunks",
    [
        [BlockData(0, FIRST_WINDOW // 32, UNIT)],  # beyond the limit
        [BlockData(0, 0, bytes(33)), BlockData(0, 2, UNIT)],  # behind the end
        [BlockData(0, 2, UNIT), BlockData(0, 0, bytes(33))],
        [BlockEnd(0, 32), BlockData(0, 0, bytes(33))],
        [BlockOpen(0, 64, b""), BlockData(0, 0, bytes(33))],  # cut where there is no cut
        [BlockOpen(0, 64, b""), BlockEnd(0, 63)],
        [BlockEnd(0, 64), BlockOpen(0, 63, b"")],
        [BlockData(0, 3, UNIT), BlockEnd(0, 64)],
        [BlockOpen(MAX_BLOCKS, None, b"")],
        [BlockOpen(number, None, b"") for number in range(MAX_BLOCKS + 1)],
    ],
)
def test_what_no_honest_sender_sends(chunks: list[BlockOpen | BlockData | BlockEnd]) -> None:
    incoming = IncomingBlocks()
    for chunk in chunks[:-1]:
        incoming.receive(chunk)
    with pytest.raises(ProtocolError):
        incoming.receive(chunks[-1])


def test_a_number_far_ahead_is_refused_before_anything_is_kept() -> None:
    """Rule 6: all numbers up to it would have to be remembered as not seen; a million of them, or 2**60."""
    incoming = IncomingBlocks()
    with pytest.raises(ProtocolError, match="where the next would be 0"):
        incoming.receive(BlockOpen(1_000_000, None, b""))
    assert not incoming._unseen


def test_overlapping_parts_are_kept_once() -> None:
    """Rule 2 of slices: a part may come again in other pieces."""
    incoming = IncomingBlocks()
    data = bytes(range(256))
    incoming.receive(BlockData(0, 4, data[128:192]))
    incoming.receive(BlockData(0, 2, data[64:224]))
    incoming.receive(BlockData(0, 2, data[64:96]))
    block = incoming.blocks[0]
    assert (block.read(), block.arrived) == (b"", 0)
    assert sum(map(len, block._parts.values())) == 160
    incoming.receive(BlockData(0, 0, data[:96]))
    assert block.read() == data[:224]
    assert block.arrived == 224
    incoming.receive(BlockData(0, 6, data[192:256]))
    assert block.read() == data[224:]


def test_a_reader_takes_no_more_than_it_asked_for_and_a_packet() -> None:
    """Rule 3 of blocks: what was not taken stays, and is not credited."""
    incoming = IncomingBlocks()
    data = bytes(range(256))
    for unit in range(0, 8, 2):
        incoming.receive(BlockData(0, unit, data[32 * unit : 32 * unit + 64]))
    block = incoming.blocks[0]
    assert block.read(65) == data[:128]
    assert block.read(64) == data[128:192]
    assert sum(map(len, block._parts.values())) == 64
    assert block.read() == data[192:]


block_numbers = st.integers(0, 3)
chunks = st.one_of(
    st.builds(BlockOpen, block_numbers, st.one_of(st.none(), st.integers(0, 2 * WINDOW)), st.binary(max_size=8)),
    st.builds(BlockData, block_numbers, st.integers(0, FIRST_WINDOW // 32), st.integers(1, 1100).map(bytes)),
    st.builds(BlockData, block_numbers, st.integers(0, 20), st.integers(1, 30).map(lambda units: bytes(units * 32))),
    st.builds(BlockEnd, block_numbers, st.integers(0, 2 * WINDOW)),
    st.builds(BlockCancel, block_numbers, st.integers(0, 5), st.just("")),
)


@settings(max_examples=200)
@given(st.lists(chunks, max_size=30), st.booleans())
def test_hostile_blocks_end_in_one_error_and_keep_no_more_than_their_windows(
    hostile: list[BlockOpen | BlockData | BlockEnd | BlockCancel], reading: bool
) -> None:
    incoming = IncomingBlocks()
    for chunk in hostile:
        try:
            incoming.receive(chunk)
        except ProtocolError:
            break
        assert len(incoming.blocks) <= MAX_BLOCKS
        for block in incoming.blocks.values():
            if reading:
                block.read()
            assert sum(map(len, block._parts.values())) <= WINDOW
            assert all(end * 32 <= 2 * WINDOW for end in block._beyond._ends)
        if incoming.has_data():
            incoming.fill(PacketBuilder(1162))


def test_untaken_announcements_do_not_pile_up() -> None:
    """Rule 6: a sender who opens and cancels for ever, and an application that never looks."""
    incoming = IncomingBlocks()
    for number in range(200):
        for chunk in (BlockOpen(number, 0, b""), BlockEnd(number, 0), BlockCancel(number, 1, "")):
            incoming.receive(chunk)
    assert len(incoming._announced) + len(incoming.blocks) + len(incoming._settling) <= MAX_BLOCKS + 2


def told(incoming: IncomingBlocks) -> PacketBuilder:
    packet = PacketBuilder(1162)
    assert incoming.has_data()
    incoming.fill(packet)
    return packet


def test_a_sender_who_never_hears_that_its_blocks_are_over_is_refused() -> None:
    """Rule 6: what is remembered of blocks that we gave up is bounded too."""
    incoming = IncomingBlocks()
    for number in range(MAX_SETTLING + 1):
        incoming.receive(BlockOpen(number, None, b""))
        incoming.take_announced()
        incoming.blocks[number].stop()
        told(incoming)
        assert not incoming.has_data()
    with pytest.raises(ProtocolError, match="whose end is not acked"):
        incoming.receive(BlockOpen(MAX_SETTLING + 1, None, b""))


def test_a_block_is_forgotten_when_its_sender_knows_that_it_is_over() -> None:
    """Rule 6: also if the ack comes after we have looked for what else is to be told."""
    incoming = IncomingBlocks()
    incoming.receive(BlockOpen(0, None, b""))
    incoming.blocks[0].stop()
    ((carrier, *token),) = told(incoming).tokens
    assert not incoming.has_data()
    assert incoming.unsettled
    carrier.on_acked(*token)
    assert not incoming.unsettled


def test_credit_is_due_when_half_is_free_and_never_takes_anything_back() -> None:
    """Rule 2: what was once allowed holds, though others have taken the memory before the credit is sent again."""
    incoming = IncomingBlocks()
    incoming.receive(BlockData(0, 0, bytes(FIRST_WINDOW)))
    block = incoming.blocks[0]
    block.read(FIRST_WINDOW)
    packet = told(incoming)
    (credit,) = read_chunks(packet.parts[0])
    assert credit == BlockCredit(0, (FIRST_WINDOW + WINDOW) // 32)
    for unit in range(FIRST_WINDOW // 32, (FIRST_WINDOW + WINDOW // 2) // 32, 1024):
        assert not incoming.has_data()
        incoming.receive(BlockData(0, unit, bytes(1 << 15)))
        block.read()
    assert incoming.has_data()
    other = Share(incoming._memory)
    other.hold(other.most)
    told(incoming)
    ((carrier, *token),) = packet.tokens
    given = block._given
    assert given > credit.limit
    other.hold(other.most)
    carrier.on_lost(*token)
    assert read_chunks(told(incoming).parts[0]) == [BlockCredit(0, given)]
