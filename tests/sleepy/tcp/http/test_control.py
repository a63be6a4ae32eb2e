"""`sleepy.tcp.http.control`: the five fields that speak to whoever reads the connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.http.control import Control
from sleepy.tcp.http.messages import Headers


def of(*lines: tuple[str, str], http10: bool = False) -> Control:
    return Control(Headers(list(lines)).raw, http10=http10)


def test_they_are_found_wherever_they_stand_whatever_their_case() -> None:
    control = of(
        ("X-Content-Length", "1"),
        ("CONTENT-length", "5"),
        ("Server", "x, content-length: 6"),
        ("transfer-Encoding", "chunked"),
        ("hOST", "a"),
        ("Content-Length-X", "2"),
        ("Expect", "100-Continue"),
        ("content-length", "7"),
    )
    assert [value.strip() for value in control.content_length] == [b"5", b"7"]
    assert [value.strip() for value in control.transfer_encoding] == [b"chunked"]
    assert (control.hosts, control.expectations) == (1, {b"100-continue"})


@pytest.mark.parametrize(
    ("values", "http10", "keeps"),
    [
        ([], False, True),
        ([], True, False),
        (["close"], False, False),
        (["Keep-Alive"], True, True),
        (["keep-alive, close"], True, False),
        (["upgrade", "\tCLOSE ,"], False, False),
        (["closed, not-close"], False, True),
        (["upgrade"], True, False),
    ],
)
def test_http_1_1_persists_unless_told_otherwise_and_1_0_only_when_told(
    values: list[str], http10: bool, keeps: bool
) -> None:
    """RFC 9112, section 9.3."""
    assert of(*(("Connection", value) for value in values), http10=http10).keep_alive == keeps


NAMES = st.sampled_from(
    ["Content-Length", "transfer-encoding", "HOST", "Connection", "expect", "Date", "x-host", "hosts"]
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=8).map(
    lambda text: "".join(char for char in text if not "\x7f" <= char < "\x80")
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_it_finds_what_the_headers_have(lines: list[tuple[str, str]]) -> None:
    headers, control = Headers(lines), of(*lines)
    for name, found in (("content-length", control.content_length), ("transfer-encoding", control.transfer_encoding)):
        values = [value.strip(" \t") for value in headers.get_all(name)]
        assert [value.decode("latin-1").strip(" \t") for value in found] == values
    assert control.hosts == len(headers.get_all("host"))
    assert control.keep_alive == ("close" not in headers.tokens("connection"))
