"""Netlink's messages and attributes, put together and taken apart."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, tuples

from labs.impairment.netlink import HEADER, attribute, attributes, check, messages


@given(lists(tuples(integers(0, 0x3FFF), binary(max_size=70))))
def test_attributes_survive_the_wire(given: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, value) for kind, value in given)
    assert len(data) % 4 == 0
    assert list(attributes(data)) == given


@given(lists(tuples(integers(0, 0xFFFF), binary(max_size=70))))
def test_messages_are_cut_where_they_end(given: list[tuple[int, bytes]]) -> None:
    data = b""
    for kind, body in given:
        length = HEADER.size + len(body)
        data += HEADER.pack(length, kind, 0, 0, 0) + body + bytes(-length % 4)
    assert list(messages(data)) == given


def test_an_error_of_the_kernels_is_raised_and_an_acknowledgement_is_not() -> None:
    check(struct.pack("=i", 0))
    with pytest.raises(PermissionError):
        check(struct.pack("=i", -errno.EPERM))
