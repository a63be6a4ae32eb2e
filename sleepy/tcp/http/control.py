"""What does a head say about its connection, and about the body behind it?

Most fields are for the program. Five are for whoever reads the connection: ``Content-Length`` and ``Transfer-Encoding`` tell
where the body ends (`sleepy.tcp.http.framing` decides what to make of them), ``Connection`` whether another message may
follow, ``Expect`` what the sender waits for; and without one ``Host`` a request could be read as somebody else's. They are
picked out of a head by one pass, wherever they stand in it, and the rest is not looked at.
"""

import re

_CONTROL = re.compile(
    rb"^(content-length|transfer-encoding|connection|host|expect):([^\r]*)", re.IGNORECASE | re.MULTILINE
)


class Control:
    """What the fields of one head say.

    Args:
        block: The fields, found to be well-formed: every line with its CR LF.
        http10: Whether the message is of HTTP/1.0.

    Attributes:
        content_length: The values of each line of that name.
        transfer_encoding: The values of each line of that name.
        hosts: How many lines of that name there are.
        host: The value of the last of them.
        expectations: The members of ``Expect``, in lower case.
        http10: As given.
        keep_alive: Whether another message may follow on the connection.
    """

    __slots__ = ("content_length", "expectations", "host", "hosts", "http10", "keep_alive", "transfer_encoding")

    def __init__(self, block: bytes, *, http10: bool) -> None:
        self.content_length: list[bytes] = []
        self.transfer_encoding: list[bytes] = []
        self.hosts = 0
        self.host = b""
        self.expectations: set[bytes] = set()
        self.http10 = http10
        options: set[bytes] = set()
        for field, value in _CONTROL.findall(block):
            name = field.lower()
            if name == b"content-length":
                self.content_length.append(value)
            elif name == b"connection":
                options |= _members(value)
            elif name == b"transfer-encoding":
                self.transfer_encoding.append(value)
            elif name == b"host":
                self.hosts += 1
                self.host = value
            else:
                self.expectations |= _members(value)
        # RFC 9112, section 9.3: HTTP/1.1 persists unless told otherwise, HTTP/1.0 only when told.
        self.keep_alive = b"close" not in options and (not http10 or b"keep-alive" in options)


def _members(value: bytes) -> set[bytes]:
    """The members of a list, in lower case; it may be spread over several lines (RFC 9110, section 5.6.1)."""
    return {member for part in value.split(b",") if (member := part.strip(b" \t").lower())}
