"""HTTP/1.1 messages in a byte stream, with the places of their bytes.

The judge must not ask the library that it judges, so this is a reader of its own: just enough of RFC 9112 to find where
each message of a well-behaved peer starts and ends. A message is a head up to the first empty line, and a body of as
many bytes as ``content-length`` says, none without it. A last message cut short by the end of the stream is left out.
"""

from collections.abc import Mapping
from typing import NamedTuple

_HEAD_END = b"\r\n\r\n"


class Message(NamedTuple):
    """One request or response.

    Attributes:
        start: The place of its first byte in the stream, from 0.
        end: The place behind its last.
        first_line: The request or status line.
        headers: Its header fields, names in lower case.
    """

    start: int
    end: int
    first_line: str
    headers: Mapping[str, str]


def cut(data: bytes) -> list[Message]:
    """Find the messages in a stream.

    Raises:
        ValueError: A head is not HTTP, or its body has no length that could be known from ``content-length``.
    """
    messages: list[Message] = []
    start = 0
    while (head_end := data.find(_HEAD_END, start)) >= 0:
        first_line, *lines = data[start:head_end].decode("latin-1").split("\r\n")
        if "HTTP/1.1" not in first_line:
            raise ValueError(f"byte {start} of the stream does not start an HTTP/1.1 message: {first_line[:60]!r}")
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        if "transfer-encoding" in headers:
            raise ValueError(f"the message at byte {start} is chunked; only content-length is understood here")
        end = head_end + len(_HEAD_END) + int(headers.get("content-length", "0"))
        if end > len(data):
            break
        messages.append(Message(start, end, first_line, headers))
        start = end
    return messages
