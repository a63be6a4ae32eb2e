"""A payload taken apart into chunks, or refused.

The bytes may come from anybody who got past the encryption, in the plain mode from anybody at all. So nothing is
believed before it is checked, and nothing has an effect before the whole payload is read: what is half right has no
effect at all.

Rules:

1. What is no sequence of chunks in their one right form (the table in `sleepy.udp.delivery.chunks`) ends in a
   `ProtocolError`.
2. A chunk's data is a copy of what the payload holds: reading costs as much memory as the payload, whatever sizes it
   claims.
"""

from collections.abc import Callable
from typing import Final

from sleepy.udp.delivery.chunks import (
    BLOCK_CANCEL,
    BLOCK_CREDIT,
    BLOCK_DATA,
    BLOCK_END,
    BLOCK_OPEN,
    BLOCK_STOP,
    CLOSE,
    CREDIT,
    LARGEST_WHOLE,
    MAX_TEXT,
    ONE,
    PAD,
    PING,
    RUN,
    SKIP,
    SLICE,
    UNIT,
    BlockCancel,
    BlockCredit,
    BlockData,
    BlockEnd,
    BlockOpen,
    BlockStop,
    Chunk,
    Close,
    Credit,
    Pad,
    Ping,
    ProtocolError,
    Run,
    Skip,
    Slice,
)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, and where it ends.

    Raises:
        IndexError: The data ends before the number.
        ProtocolError: It is too long, or not in its shortest form.
    """
    number = data[at]
    if number < 0x80:
        return number, at + 1
    number &= 0x7F
    for shift in (7, 14, 21, 28, 35):
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte:
                raise ProtocolError(f"the varint ending at byte {at} is longer than it needs to be")
            return number, at + 1
    raise ProtocolError(f"the varint at byte {at - 5} is longer than six bytes")


# --8<-- [start:read]
def read_chunks(payload: bytes) -> list[Chunk]:
    """Take a payload apart.

    Raises:
        ProtocolError: It is not a sequence of chunks in their right form (rule 1).
    """
    chunks: list[Chunk] = []
    chunk: Chunk
    at, end = 0, len(payload)
    try:
        while at < end:
            head = payload[at]
            kind = head & 0xF0
            if kind in {ONE, RUN}:
                chunk, at = _read_run(payload, at, head)
            else:
                reader = _READERS.get(kind if kind in {SLICE, SKIP, CREDIT} else head)
                if reader is None:
                    raise ProtocolError(f"byte {at} is 0x{head:02x}, which begins no chunk that we know")
                chunk, at = reader(payload, at)
            chunks.append(chunk)
    except (IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a chunk of a payload of {end} bytes is cut short or no UTF-8: {error}") from error
    if at > end:
        raise ProtocolError(f"a payload of {end} bytes ends {at - end} bytes before its last chunk")
    return chunks


def _read_run(data: bytes, at: int, head: int) -> tuple[Run, int]:
    first = data[at + 1] | data[at + 2] << 8 | data[at + 3] << 16
    at += 4
    count = 1
    if head & 0xF0 == RUN:
        count = data[at]
        at += 1
        if count < 2:
            raise ProtocolError(f"a run of {count} messages; it must have two")
    messages: list[bytes] = []
    for _ in range(count):
        size = data[at]
        if size < 0x80:
            at += 1
        else:
            size, at = read_varint(data, at)
        end = at + size
        messages.append(data[at:end])
        at = end
    return Run(head & 0x0F, first, messages), at


# --8<-- [end:read]


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_varint(data, at)
    end = at + size
    if end > len(data):
        raise IndexError(f"{size} bytes announced, {len(data) - at} there")
    return data[at:end], end


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    text, at = _read_bytes(data, at)
    if len(text) > MAX_TEXT:
        raise ProtocolError(f"a text of {len(text)} bytes; at most {MAX_TEXT} are right")
    return text.decode(), at


def _read_id(data: bytes, at: int) -> tuple[int, int, int]:
    """The channel, the id, and where it ends."""
    return data[at] & 0x0F, data[at + 1] | data[at + 2] << 8 | data[at + 3] << 16, at + 4


def _read_slice(data: bytes, at: int) -> tuple[Chunk, int]:
    channel, id_, at = _read_id(data, at)
    total, at = read_varint(data, at)
    unit, at = read_varint(data, at)
    part, at = _read_bytes(data, at)
    end = unit * UNIT + len(part)
    if total <= LARGEST_WHOLE or not part or end > total or (len(part) % UNIT and end != total):  # chunks, rule 5
        raise ProtocolError(f"a slice of {len(part)} bytes at {unit * UNIT} of a message of {total}: not how we cut")
    return Slice(channel, id_, total, unit, part), at


def _read_skip(data: bytes, at: int) -> tuple[Chunk, int]:
    channel, id_, at = _read_id(data, at)
    size, at = read_varint(data, at)
    return Skip(channel, id_, size), at


def _read_credit(data: bytes, at: int) -> tuple[Chunk, int]:
    channel, id_, at = _read_id(data, at)
    position = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
    return Credit(channel, id_, position), at + 4


def _read_pad(data: bytes, at: int) -> tuple[Chunk, int]:
    if any(data[at:]):
        raise ProtocolError(f"the padding from byte {at} on is not all zeros")
    return Pad(len(data) - at), len(data)


def _read_ping(_data: bytes, at: int) -> tuple[Chunk, int]:
    return Ping(), at + 1


def _read_close(data: bytes, at: int) -> tuple[Chunk, int]:
    code, at = read_varint(data, at + 1)
    reason, at = _read_text(data, at)
    return Close(code, reason), at


def _read_open(data: bytes, at: int) -> tuple[Chunk, int]:
    block, at = read_varint(data, at + 1)
    size, at = read_varint(data, at)
    label, at = _read_bytes(data, at)
    if len(label) > MAX_TEXT:
        raise ProtocolError(f"a block's label of {len(label)} bytes; at most {MAX_TEXT} are right")
    return BlockOpen(block, size - 1 if size else None, label), at


def _read_data(data: bytes, at: int) -> tuple[Chunk, int]:
    block, at = read_varint(data, at + 1)
    unit, at = read_varint(data, at)
    part, at = _read_bytes(data, at)
    if not part:
        raise ProtocolError("a part of a block without a byte")
    return BlockData(block, unit, part), at


def _read_end(data: bytes, at: int) -> tuple[Chunk, int]:
    block, at = read_varint(data, at + 1)
    size, at = read_varint(data, at)
    return BlockEnd(block, size), at


def _read_cancel(data: bytes, at: int) -> tuple[Chunk, int]:
    kind = BlockStop if data[at] == BLOCK_STOP else BlockCancel
    block, at = read_varint(data, at + 1)
    code, at = read_varint(data, at)
    reason, at = _read_text(data, at)
    return kind(block, code, reason), at


def _read_block_credit(data: bytes, at: int) -> tuple[Chunk, int]:
    block, at = read_varint(data, at + 1)
    limit, at = read_varint(data, at)
    return BlockCredit(block, limit), at


_READERS: Final[dict[int, Callable[[bytes, int], tuple[Chunk, int]]]] = {
    SLICE: _read_slice,
    SKIP: _read_skip,
    CREDIT: _read_credit,
    PAD: _read_pad,
    PING: _read_ping,
    CLOSE: _read_close,
    BLOCK_OPEN: _read_open,
    BLOCK_DATA: _read_data,
    BLOCK_END: _read_end,
    BLOCK_CANCEL: _read_cancel,
    BLOCK_STOP: _read_cancel,
    BLOCK_CREDIT: _read_block_credit,
}
