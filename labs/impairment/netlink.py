"""Netlink, the little that we need of it: how a program talks with the kernel's network (RFC 3549).

A message is a header (`HEADER`) and a body; most bodies end in attributes: length, type, value, padded to four bytes. The
kernel answers a request that wants an acknowledgement by an error message, whose error is 0 if all is well.
"""

import os
import socket
import struct
from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type

REQUEST, ACK, REPLACE, CREATE = 0x001, 0x004, 0x100, 0x400  # NLM_F_*
ERROR = 2  # NLMSG_ERROR


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Decode a row of attributes: their types and values."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]  # without NLA_F_NESTED, NLA_F_NET_BYTEORDER
        data = data[length + -length % 4 :]


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut what was received into messages: their types and what follows the header."""
    while len(data) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(data)
        yield kind, data[HEADER.size : length]
        data = data[length + -length % 4 :]


def request(kernel: socket.socket, message: bytes) -> None:
    """Send a message that wants an acknowledgement, and wait for it.

    Raises:
        OSError: The kernel said no.
    """
    kernel.send(message)
    for kind, body in messages(kernel.recv(1 << 16)):
        if kind == ERROR:
            check(body)


def check(body: bytes) -> None:
    """Raise what an error message says, unless it is an acknowledgement.

    Raises:
        OSError: It is not.
    """
    (error,) = struct.unpack_from("=i", body)
    if error:
        raise OSError(-error, os.strerror(-error))
