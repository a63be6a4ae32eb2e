"""`sleepy.tcp.http.http1_reader`: bytes as messages, its rules, and what is refused."""

import re
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.errors import BodyTooLarge, RemoteProtocolError
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.http1_reader import RequestReader, ResponseReader
from sleepy.tcp.http.messages import Request
from tests.sleepy.tcp.http.readings import CODEC, GET, HEAD, asked, cut, each_byte, head, requests, responses

# Rule 1: answers belong to requests in their order


def test_rule_1_a_length_in_an_answer_to_head_is_none() -> None:
    data = head("HTTP/1.1 200 OK", "content-length: 5")
    read = responses(data + data + b"12345" + data, HEAD, GET, HEAD)
    assert [response.body for response in read] == [b"", b"12345", b""]


@pytest.mark.parametrize("status", [204, 304])
def test_rule_1_some_statuses_have_no_body(status: int) -> None:
    data = head(f"HTTP/1.1 {status} x", "content-length: 5") + head("HTTP/1.1 200 OK", "content-length: 1") + b"x"
    assert [response.body for response in responses(data, GET, GET)] == [b"", b"x"]


def test_interim_answers_are_passed_over() -> None:
    """RFC 9110, section 15.2; whatever length they claim (RFC 9112, section 6.3)."""
    interim = head("HTTP/1.1 103 Early Hints", "link: x", "content-length: 5") + head("HTTP/1.1 100 Continue")
    final = head("HTTP/1.1 200 OK", "content-length: 1") + b"x"
    data = (interim + final) * 2
    assert [response.status for response in responses(data, GET, GET)] == [200, 200]
    reader = asked(GET, GET)
    assert len([response for piece in each_byte(data) for response in reader.feed(piece)]) == 2


def test_interim_answers_are_not_endless() -> None:
    final = head("HTTP/1.1 200 OK", "content-length: 0")
    data = head("HTTP/1.1 100 Continue") * 100 + final
    assert [response.status for response in responses(data + data, GET, GET)] == [200, 200]  # counted for each anew
    with pytest.raises(RemoteProtocolError, match="interim"):
        responses(head("HTTP/1.1 100 Continue") + data)


def test_an_upgrade_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="upgrade"):
        responses(head("HTTP/1.1 101 Switching Protocols"))


def test_after_an_interim_answer_the_reader_is_within_a_message() -> None:
    """The peer works on it: a connection that ends now was not closed while it was idle."""
    reader = asked(GET)
    assert reader.between_messages
    list(reader.feed(head("HTTP/1.1 102 Processing")))
    assert not reader.between_messages


def test_within_a_message_the_reader_says_so() -> None:
    data = head("HTTP/1.1 200 OK", "content-length: 1") + b"x"
    reader = asked(GET)
    for piece in each_byte(data[:-1]):
        list(reader.feed(piece))
        assert not reader.between_messages
    assert len(list(reader.feed(data[-1:]))) == 1
    assert reader.between_messages


def test_within_a_request_so_it_does() -> None:
    data = head("POST / HTTP/1.1", "host: x", "content-length: 2") + b"xy"
    reader = CODEC.request_reader()
    assert reader.between_messages
    for end in range(1, len(data)):
        list(reader.feed(data[end - 1 : end]))
        assert not reader.between_messages
    assert len(list(reader.feed(data[-1:]))) == 1
    assert reader.between_messages


# Rule 2: what nobody asked for


def test_rule_2_unasked_bytes_are_refused() -> None:
    for data in (b"x", b"\r\n", head("HTTP/1.1 408 Request Timeout", "content-length: 0")):
        with pytest.raises(RemoteProtocolError, match="nobody asked for"):
            list(asked().feed(data))


def test_rule_2_bytes_behind_the_last_answer_end_the_connection() -> None:
    data = head("HTTP/1.1 200 OK", "content-length: 1") + b"x"
    one, two = asked(GET), asked(GET, GET)
    assert not next(one.feed(data + b"y")).keep_alive
    assert [response.keep_alive for response in two.feed(data + data)] == [True, True]


# Rule 4: what is said again is not read again, and means the same

SAID = {
    "three": (head("HTTP/1.1 200 OK", "content-length: 3"), GET),
    "other three": (head("HTTP/1.1 404 No", "content-length: 3"), GET),
    "four": (head("HTTP/1.1 200 OK", "content-length: 4"), GET),
    "none": (head("HTTP/1.1 200 OK", "content-length: 0"), GET),
    "no body": (head("HTTP/1.1 200 OK", "content-length: 3"), HEAD),
    "chunks": (head("HTTP/1.1 200 OK", "transfer-encoding: chunked"), GET),
    "interim": (head("HTTP/1.1 103 Early") + head("HTTP/1.1 200 OK", "content-length: 3"), GET),
    "stream": (head("HTTP/1.1 200 OK", "content-length: 3"), GET),
}
SIZES = {"four": 4, "none": 0, "no body": 0}
BODIES = [b"abcd", b"\r\n\r\n", b"HTTP"]


@st.composite
def grouped(draw: st.DrawFn, messages: list[bytes]) -> list[bytes]:
    """The messages cut anywhere, or so many whole ones in each piece."""
    if draw(st.booleans()):
        return draw(cut(b"".join(messages)))
    pieces: list[bytes] = []
    for message in messages:
        if pieces and draw(st.booleans()):
            pieces[-1] += message
        else:
            pieces.append(message)
    return pieces


@given(st.lists(st.tuples(st.sampled_from(list(SAID)), st.sampled_from(BODIES)), max_size=8), st.data())
def test_rule_4_answers_with_a_head_that_is_known_are_read_as_if_it_were_new(
    said: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """Whatever came between, however they are cut, and to whatever was asked."""
    reader = asked()
    messages: list[bytes] = []
    expected: list[tuple[int, bytes, Basket | None]] = []
    baskets: list[tuple[Basket, bytes]] = []
    for kind, text in said:
        block, request = SAID[kind]
        body = text[: SIZES.get(kind, 3)]
        basket = Basket() if kind == "stream" else None
        baskets += [(basket, body)] if basket else []
        reader.expect(request, basket)
        messages.append(block + (b"3\r\n%b\r\n0\r\n\r\n" % body if kind == "chunks" else body))
        expected.append((404 if kind == "other three" else 200, b"" if basket else body, basket))
    read = [answer for piece in data.draw(grouped(messages)) for answer in reader.feed(piece)]
    assert [(answer.status, answer.body, answer.stream) for answer in read] == expected
    assert [(b"".join(basket.pieces), basket.finished) for basket, _ in baskets] == [
        (body, True) for _, body in baskets
    ]
    assert all(answer.keep_alive for answer in read)
    assert reader.keep_alive
    assert reader.between_messages


@given(st.lists(st.tuples(st.sampled_from("GP"), st.sampled_from(BODIES)), max_size=8), st.data())
def test_rule_4_so_are_requests(said: list[tuple[str, bytes]], data: st.DataObject) -> None:
    heads = {"G": head("GET /a HTTP/1.1", "host: x"), "P": head("POST /b HTTP/1.1", "host: x", "content-length: 4")}
    messages = [heads[kind] + (body if kind == "P" else b"") for kind, body in said]
    read = requests(*data.draw(grouped(messages)))
    assert [(request.method[0], request.target, request.body) for request in read] == [
        (kind, "/b" if kind == "P" else "/a", body if kind == "P" else b"") for kind, body in said
    ]


@pytest.mark.parametrize("more", [b"", b"more"])
def test_rule_4_a_body_is_no_message_though_it_looks_like_one(more: bytes) -> None:
    """An answer within an answer, in a piece of its own, as somebody would send it who wants it to be taken for one."""
    known = head("HTTP/1.1 200 OK", "content-length: 0")
    body = known + more
    reader = asked(GET, GET, GET)
    assert len(list(reader.feed(known))) == 1
    assert list(reader.feed(head("HTTP/1.1 200 OK", f"content-length: {len(body) + 1}") + b"x")) == []
    (answer,) = reader.feed(body)
    assert answer.body == b"x" + body


@pytest.mark.parametrize("more", [b"", b"more"])
def test_rule_4_the_middle_of_a_head_is_no_message_though_it_looks_like_one(more: bytes) -> None:
    known = head("HTTP/1.1 200 OK", "content-length: 0")
    reader = asked(GET, GET, GET)
    assert len(list(reader.feed(known))) == 1
    assert list(reader.feed(b"HTTP/1.1 200 OK\r\nx: ")) == []
    (answer,) = reader.feed(known + more)
    assert answer.headers["x"] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("cut_at", [None, 1, 38, 39, 40])
def test_rule_4_bytes_behind_a_known_answer_that_nobody_asked_for_end_the_connection(cut_at: int | None) -> None:
    """As behind one that is new (rule 2): all at once, or in a second piece."""
    data = head("HTTP/1.1 200 OK", "content-length: 3") + b"abc"
    reader = asked(GET, GET)
    (first,) = reader.feed(data)
    assert first.keep_alive
    pieces = [data + b"x"] if cut_at is None else [data[:cut_at], data[cut_at:] + b"x"]
    second = [next(iter(reader.feed(piece)), None) for piece in pieces][-1]
    assert second is not None
    assert second.body == b"abc"
    assert not second.keep_alive
    assert not reader.keep_alive


def test_rule_4_what_is_known_is_forgotten_for_what_comes_next() -> None:
    """The last head is kept, and one that is longer than the limit is not."""
    data = head("HTTP/1.1 200 OK", "content-length: 0"), head("HTTP/1.1 201 Made", "content-length: 0")
    reader = asked(*[GET] * 6)
    statuses = [
        answer.status for piece in (data[0], data[0], data[1], data[1], data[0]) for answer in reader.feed(piece)
    ]
    assert statuses == [200, 200, 201, 201, 200]


def test_rule_4_a_known_answer_that_nobody_asked_for_is_refused() -> None:
    data = head("HTTP/1.1 200 OK", "content-length: 0")
    reader = asked(GET)
    assert len(list(reader.feed(data))) == 1
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        list(reader.feed(data))


def test_rule_4_a_known_head_behind_an_interim_answer_counts_as_its_end() -> None:
    data = head("HTTP/1.1 200 OK", "content-length: 0")
    reader = asked(GET, GET, GET)
    list(reader.feed(data))
    assert list(reader.feed(head("HTTP/1.1 102 Processing"))) == []
    assert not reader.between_messages
    assert len(list(reader.feed(data))) == 1
    assert reader.between_messages
    assert len(list(reader.feed(data))) == 1


# The end of a connection


def test_a_response_without_length_ends_with_the_connection_and_ends_it() -> None:
    (response,) = responses(head("HTTP/1.1 200 OK") + b"all of it")
    assert response.body == b"all of it"
    assert not response.keep_alive


def test_so_does_a_streamed_one() -> None:
    reader, basket = asked(), Basket()
    reader.expect(GET, basket)
    assert len(list(reader.feed(head("HTTP/1.1 200 OK") + b"all"))) == 1
    list(reader.feed(b" of it"))
    assert not basket.finished
    assert list(reader.end()) == []
    assert (b"".join(basket.pieces), basket.finished) == (b"all of it", True)
    assert not reader.keep_alive


def test_a_body_that_the_end_cuts_short_stays_unfinished() -> None:
    """The connection was not idle when it ended: what was asked may have been done."""
    reader, basket = asked(), Basket()
    reader.expect(GET, basket)
    assert len(list(reader.feed(head("HTTP/1.1 200 OK", "content-length: 5") + b"1234"))) == 1
    assert list(reader.end()) == []
    assert not basket.finished
    assert not reader.between_messages


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        head("HTTP/1.1 200 OK", "content-length: 5") + b"1234",
        head("HTTP/1.1 200 OK", "transfer-encoding: chunked") + b"5\r\n12345\r\n",
        head("HTTP/1.1 200 OK", "transfer-encoding: chunked") + b"0\r\n",
        head("HTTP/1.1 100 Continue"),
    ],
)
def test_what_is_cut_short_is_no_message(data: bytes) -> None:
    assert responses(data) == []


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", [], True),
        ("1.1", ["keep-alive"], True),
        ("1.1", ["close"], False),
        ("1.1", ["Close"], False),
        ("1.1", ["foo,\tclose ,bar"], False),
        ("1.1", ["keep-alive", "close"], False),
        ("1.1", ["closed"], True),
        ("1.1", ["foo"], True),
        ("1.0", [], False),
        ("1.0", ["foo"], False),
        ("1.0", ["Keep-Alive"], True),
        ("1.0", ["keep-alive, close"], False),
    ],
)
def test_who_keeps_a_connection(version: str, connection: list[str], kept: bool) -> None:
    """RFC 9112, section 9.3."""
    lines = [f"connection: {value}" for value in connection]
    (response,) = responses(head(f"HTTP/{version} 200 OK", "content-length: 0", *lines))
    (request,) = requests(head(f"GET / HTTP/{version}", "host: x", *lines))
    assert response.keep_alive is kept
    assert request.keep_alive is kept


# Rule 3: what is not surely a message is not one

OTHER_VERSION = re.compile(rb"^\S+ \S+ HTTP/(0\.9|1\.2|2\.0)\r\n")


@pytest.mark.parametrize("host", ["", "x", " x_y.z.:80 ", "\t127.0.0.1:", "[::1]:8000", "[v1.a:b]", "a%20b"])
def test_what_names_a_host(host: str) -> None:
    """RFC 9110, section 7.2."""
    assert len(requests(head("GET / HTTP/1.1", f"host:{host}"))) == 1


GOOD_REQUEST = head("GET / HTTP/1.1", "host: x")
GOOD_RESPONSE = head("HTTP/1.1 200 OK", "content-length: 0")


@pytest.mark.parametrize(
    "data",
    [
        head("GET / HTTP/1.1"),
        head("GET / HTTP/1.1", "host: x", "host: x"),
        head("GET / HTTP/1.0", "host: x", "host: y"),
        head("GET / HTTP/1.1", "host: x/y"),
        head("GET / HTTP/1.1", "host: x@y"),
        head("GET / HTTP/1.1", "host: x y"),
        head("GET / HTTP/1.1", "host: x, y"),
        head("GET / HTTP/1.1", "host: x:80:80"),
        head("GET / HTTP/1.1", "host: x:http"),
        head("GET / HTTP/1.1", "host: ::1"),
        head("GET / HTTP/1.1", "host: \xfc.example"),
        head("GET / HTTP/1.1", "host : x"),
        head("GET / HTTP/1.1", "host: x", "a b: c"),
        head("GET / HTTP/1.1", "host: x", "a\t: c"),
        head("GET / HTTP/1.1", "host: x", ": c"),
        head("GET / HTTP/1.1", "host: x", "a"),
        head("GET / HTTP/1.1", "host: x", "a: b", " c: d"),
        head("GET / HTTP/1.1", "host: x", "a: b", "\tc"),
        head("GET / HTTP/1.1", " host: x"),
        head("GET / HTTP/1.1", "host: x", "a: b\nc: d"),
        head("GET / HTTP/1.1", "host: x", "a: b\rc: d"),
        head("GET / HTTP/1.1", "host: x", "a: b\x00"),
        head("GET / HTTP/1.1", "host: x", "a: b\x7f"),
        head("GET / HTTP/1.1", "host: x", "a\x80: b"),
        head("GET / HTTP/1.2", "host: x"),
        head("GET / HTTP/2.0", "host: x"),
        head("GET / HTTP/0.9", "host: x"),
        head("GET / HTTP/1.1 ", "host: x"),
        head("GET / http/1.1", "host: x"),
        head("GET / HTTP/1.10", "host: x"),
        head("GET /", "host: x"),
        head("GET  / HTTP/1.1", "host: x"),
        head("GET /  HTTP/1.1", "host: x"),
        head("GET /a b HTTP/1.1", "host: x"),
        head("GET\t/ HTTP/1.1", "host: x"),
        head(" GET / HTTP/1.1", "host: x"),
        head("GE(T / HTTP/1.1", "host: x"),
        head("GET \x00/ HTTP/1.1", "host: x"),
        head("GET /\x80 HTTP/1.1", "host: x"),
        head("GET a HTTP/1.1", "host: x"),
        head("GET /#a HTTP/1.1", "host: x"),
        head("GET ftp://x/ HTTP/1.1", "host: x"),
        head("GET http://u@x/ HTTP/1.1", "host: x"),
        head("GET http:///x HTTP/1.1", "host: x"),
        head("GET x:80 HTTP/1.1", "host: x"),
        head("POST / HTTP/1.1", "host: x", "content-length: 1", "transfer-encoding: chunked"),
        head("POST / HTTP/1.1", "host: x", "transfer-encoding: chunked", "Content-Length: 1"),
        head("POST / HTTP/1.1", "host: x", "content-length: 1", "content-length: 2"),
        head("POST / HTTP/1.1", "host: x", "content-length: +1"),
        head("POST / HTTP/1.0", "host: x", "transfer-encoding: chunked"),
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\nhost: x\n\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\n\r\n\r\n",
        b"GET / HTTP/1.1\rhost: x\r\r\n\r\n",
    ],
)
def test_rule_3_requests_that_can_be_read_in_two_ways_are_refused(data: bytes) -> None:
    """All at once, byte by byte, and with a good one before and behind them."""
    if data == b"\r\n":
        assert requests(data) == []  # an empty line before a request line is the one leniency (RFC 9112, section 2.2)
        return
    for pieces in ([data], each_byte(data)):
        with pytest.raises(RemoteProtocolError) as refused:
            requests(*pieces)
        assert refused.value.status == (505 if OTHER_VERSION.search(data) else 400)
    reader = CODEC.request_reader()
    stream = reader.feed(GOOD_REQUEST + data + GOOD_REQUEST)
    assert next(stream).method == "GET"
    with pytest.raises(RemoteProtocolError):
        next(stream)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("CONNECT x:80 HTTP/1.1", 501),
        ("CONNECT / HTTP/1.1", 501),
        ("CONNECT /x HTTP/1.0", 501),
        ("CONNECTED / HTTP/1.1", None),
    ],
)
def test_tunnels_are_refused(line: str, status: int | None) -> None:
    """Behind a 2xx answer to CONNECT a client expects a tunnel, not an answer's body (RFC 9112, section 6.3)."""
    if status is None:
        assert len(requests(head(line, "host: x"))) == 1
        return
    with pytest.raises(RemoteProtocolError) as refused:
        requests(head(line, "host: x"))
    assert refused.value.status == status


@pytest.mark.parametrize(
    "line",
    [
        "HTTP/1.1 200  OK\x00",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1 +20 x",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.2 200 OK",
        "HTTP/2 200",
        "ICY 200 OK",
        " HTTP/1.1 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1",
        "\r\nHTTP/1.1 200 OK",
        "HTTP/1.1 \xb2\xb2\xb2 x",
    ],
)
def test_rule_3_status_lines_that_are_none_are_refused(line: str) -> None:
    for pieces in ([head(line)], each_byte(head(line))):
        reader = asked(GET)
        with pytest.raises(RemoteProtocolError):
            [response for piece in pieces for response in reader.feed(piece)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("HTTP/1.1 200 OK", "OK"), ("HTTP/1.1 200 ", ""), ("HTTP/1.1 200", ""), ("HTTP/1.1 200 \xe9 x", "\xe9 x")],
)
def test_a_reason_may_be_anything_or_missing(line: str, reason: str) -> None:
    (response,) = responses(head(line, "content-length: 0"))
    assert response.reason == reason


def test_empty_lines_before_a_request_are_passed_over() -> None:
    """RFC 9112, section 2.2; however many and however they are cut."""
    for data in (b"\r\n" + GOOD_REQUEST, b"\r\n" * 5 + GOOD_REQUEST + b"\r\n" + GOOD_REQUEST):
        assert len(requests(data)) == len(requests(*each_byte(data))) == data.count(b"GET")


# Bodies that are not waited for


class Basket:
    """Takes a body."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.finished = False

    def feed(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def finish(self) -> None:
        self.finished = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError


@pytest.mark.parametrize("taken", [False, True])
def test_a_request_is_told_of_before_its_body_and_may_be_given_then(taken: bool) -> None:
    """And again with the same head, which may then be known (rule 4 of the reader), and without a body not at all."""
    data = head("POST / HTTP/1.1", "host: x", "content-length: 4")
    told: list[Request] = []
    basket = Basket()

    def begun(request: Request) -> Basket | None:
        told.append(request)
        return basket if taken else None

    reader = CODEC.request_reader(None, begun)
    assert len(list(reader.feed(head("GET / HTTP/1.1", "host: x")))) == 1
    assert told == []
    given = list(reader.feed(data + b"ab"))
    assert len(told) == 1
    assert [request.stream for request in given] == ([basket] if taken else [])
    given += list(reader.feed(b"cd"))
    assert [request.body for request in given] == ([b""] if taken else [b"abcd"])
    assert (basket.pieces, basket.finished) == (([b"ab", b"cd"], True) if taken else ([], False))
    (again,) = reader.feed(data + b"efgh")
    assert again.body == (b"" if taken else b"efgh")
    assert basket.pieces[2:] == ([b"efgh"] if taken else [])


# Limits


def test_heads_have_a_limit() -> None:
    codec = Http1(max_header_size=len(GOOD_REQUEST) - 2)  # the empty line does not count
    for pieces in ([GOOD_REQUEST * 2], each_byte(GOOD_REQUEST * 2)):
        assert len(requests(*pieces, codec=codec)) == 2
    longer = GOOD_REQUEST.replace(b"/ ", b"/y ")
    for pieces in ([longer], each_byte(longer), [b"x" * (len(GOOD_REQUEST) + 1)]):
        with pytest.raises(RemoteProtocolError, match="a head of more than") as refused:
            requests(*pieces, codec=codec)
        assert refused.value.status == 431


def test_bodies_have_a_limit() -> None:
    data = head("POST / HTTP/1.1", "host: x", "content-length: 5") + b"12345"
    assert requests(data, max_body_size=5)[0].body == b"12345"
    with pytest.raises(BodyTooLarge):
        requests(data[:-5], max_body_size=4)  # before it comes
    until_close = head("HTTP/1.1 200 OK") + b"12345"
    assert [*asked(GET, max_body_size=5).feed(until_close)] == []
    with pytest.raises(BodyTooLarge):
        list(asked(GET, max_body_size=4).feed(until_close))
    list(asked(HEAD, max_body_size=4).feed(head("HTTP/1.1 200 OK", "content-length: 5")))  # it has none


class Counted(bytearray):
    """A buffer that counts the bytes it is searched for."""

    searched = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        end = len(self) if end is None else end
        found = super().find(sub, start, end)
        Counted.searched += (min(end, len(self)) if found < 0 else found) - start + len(sub)
        return found


@pytest.mark.parametrize(
    "data",
    [
        head("POST / HTTP/1.1", "host: x", *("a: " + "b" * 60 for _ in range(900)), "content-length: 5") + b"12345",
        head("POST / HTTP/1.1", "host: x", *("a:" for _ in range(15_000)), "content-length: 0"),
        head("POST / HTTP/1.1", "host: x", "content-length: 50000") + b"x" * 50_000,
        head("POST / HTTP/1.1", "host: x", "transfer-encoding: chunked") + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n",
        GOOD_REQUEST * 2000,
        b"\r\n" * 50_000,
    ],
    ids=["long head", "many lines", "body", "chunks", "requests", "empty lines"],
)
def test_work_grows_as_the_bytes_do(data: bytes) -> None:
    """Byte by byte is the dearest way to send something, and must not be the dearest to read (no search begins anew)."""
    for pieces in ([data], each_byte(data)):
        reader = CODEC.request_reader()
        reader._buffer = Counted()
        Counted.searched = 0
        for piece in pieces:
            for _ in reader.feed(piece):
                pass
        assert Counted.searched <= 10 * len(data)
        assert reader.between_messages


def test_memory_stays_within_the_limits() -> None:
    """Endless heads, chunk lines, trailers, bodies and empty lines: none is kept beyond what the limits allow."""
    piece = 4096
    streams = {
        "head": b"GET /" + b"x" * piece,
        "fields": head("GET / HTTP/1.1", "host: x")[:-2] + b"a: b\r\n" * 100,
        "body": head("POST / HTTP/1.1", "host: x", "transfer-encoding: chunked") + b"1000\r\n" + b"x" * 4096 + b"\r\n",
        "chunk line": head("POST / HTTP/1.1", "host: x", "transfer-encoding: chunked") + b"1;" + b"x" * piece,
        "trailers": head("POST / HTTP/1.1", "host: x", "transfer-encoding: chunked") + b"0\r\n" + b"x: y\r\n" * 100,
        "empty lines": b"\r\n" * 100,
    }
    more = {"body": b"1000\r\n" + b"x" * 4096 + b"\r\n", "fields": b"a: b\r\n" * 700, "trailers": b"x: y\r\n" * 700}
    for name, start in streams.items():
        reader = Http1(max_header_size=16384).request_reader(16384)
        following = more.get(name, b"\r\n" * 2048 if name == "empty lines" else b"x" * piece)
        tracemalloc.start()
        try:
            list(reader.feed(start))
            for _ in range(200):
                list(reader.feed(following))
        except RemoteProtocolError:
            assert name != "empty lines"
        else:
            assert name == "empty lines"
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 150_000, name


# Anything at all

NASTY = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\x00", b"\xff", b"0", b"5", b";", b",", b"GET", b"HTTP/1.1", b"/"]
NASTY += [
    b"content-length: 5",
    b"transfer-encoding: chunked",
    b"connection: close",
    b"host: x",
    b"200",
    b"100",
    b"\r\n\r\n",
]


@given(st.lists(st.sampled_from(NASTY) | st.binary(max_size=3), max_size=25).map(b"".join))
def test_hostile_bytes_raise_nothing_else(data: bytes) -> None:
    """A peer can make a reader say `RemoteProtocolError`, and nothing else."""
    small = Http1(max_header_size=40)
    for reader in (CODEC.request_reader(9), small.request_reader(9), asked(GET, HEAD, GET), asked(max_body_size=3)):
        try:
            messages: list[Any] = list(reader.feed(data))
            messages += reader.end()
            for message in messages:
                assert isinstance(message.headers.items(), tuple)
                if isinstance(message, Request):
                    assert message.target
        except RemoteProtocolError:
            pass


def outcome(reader: RequestReader | ResponseReader, pieces: list[bytes]) -> tuple[list[tuple[Any, ...]], bool]:
    """What is read, and whether it ends in a refusal."""
    read: list[tuple[Any, ...]] = []
    try:
        for piece in pieces:
            for message in reader.feed(piece):
                read.append((message.headers, message.body))  # noqa: PERF401 -- the refusal must not take those before it
    except RemoteProtocolError:
        return read, True
    return read, False


@given(st.lists(st.sampled_from(NASTY), max_size=15).map(b"".join), st.data())
def test_where_the_network_cuts_does_not_matter(tail: bytes, data: st.DataObject) -> None:
    """The same messages and the same refusal, however the bytes come."""
    stream = head("POST / HTTP/1.1", "host: x", "transfer-encoding: chunked") + b"5\r\n12345\r\n0\r\n\r\n" + tail
    pieces = data.draw(cut(stream))
    assert outcome(CODEC.request_reader(), [stream]) == outcome(CODEC.request_reader(), pieces)
    stream = head("HTTP/1.1 200 OK", "content-length: 5") + b"12345" + tail
    pieces = data.draw(cut(stream))
    assert outcome(asked(GET, GET, HEAD), [stream]) == outcome(asked(GET, GET, HEAD), pieces)


def test_an_answer_says_in_which_version_it_came() -> None:
    """Also the second with the same head, which is not read again."""
    for version in ("HTTP/1.0", "HTTP/1.1"):
        data = head(f"{version} 200 OK", "connection: keep-alive", "content-length: 0")
        reader = asked(GET, GET)
        assert [response.version for _ in range(2) for response in reader.feed(data)] == [version] * 2
