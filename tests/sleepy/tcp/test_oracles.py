"""`sleepy.tcp.http.http1_reader` beside h11 and llhttp, and beside itself.

Whatever we take for one whole message, they must read the same, and what they read we must not refuse, unless
`fuzz.oracles.http1.DIFFERENCES` says why. And however the bytes of many messages arrive, they are the same messages: the
reader that remembers the last head (rule 4) sees no more in it than one that is fed byte by byte, and cannot.
"""

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.http1 import Setting, cut, outcome, run
from fuzz.oracles.http1 import DIFFERENCES, OTHERS, Difference, by_sleepy, compare, differences, read

CORPUS = sorted((Path(__file__).parents[3] / "fuzz" / "corpus" / "http1").iterdir())

REQUESTS = [
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"HEAD /a?b=c HTTP/1.1\r\nHost: x:80\r\naccept: */*\r\nvia: a\r\nVia: b\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET http://example.org:80/x HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n",
    b"GET /old HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345",
    b"PUT / HTTP/1.1\r\nhost:x\r\nContent-Length:  5 \t\r\nx:\r\n\r\nab\r\nc",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0a\r\n0123456789\r\n0\r\n\r\n",
    b"PATCH / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nhost: x\r\n\r\n3;a=b\r\n1\r\n\r\n0\r\ntrailer: x\r\n\r\n",
    b"DELETE / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncookie: a=\xe9\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    b"HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 500 \r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x\r\na\r\n1\r\nb\r\n0\r\nt: u\r\n\r\n",
    b"HTTP/1.1 299 A reason\xe9\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 1\r\n\r\nx",
]

PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\x00",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"0",
    b"1",
    b"5",
    b";",
    b",",
    b"+",
    b"-",
    b"x",
]
PIECES += [
    b'"',
    b"=",
    b"/",
    b"%",
    b"\\",
    b"#",
    b"@",
    b"0x",
    b"\r\n ",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"chunked",
    b", identity",
]
PIECES += [
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"HTTP/1.1 100 x\r\n\r\n",
    b"\r\ncontent-length: 5",
    b"\r\ncontent-length: 3",
]
PIECES += [b"\r\ntransfer-encoding: chunked", b"\r\nconnection: close", b"\r\nhost: x", b"\r\nexpect: 100-continue"]
PIECES += [b"\r\nupgrade: x\r\nconnection: upgrade"]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A good message with up to four changes: something put in, taken out, replaced, or a line moved or doubled."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 6)))
        piece = draw(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=2))
        change = draw(st.sampled_from(["insert", "delete", "replace", "double a line", "move a line"]))
        if change == "insert":
            data = data[:place] + piece + data[place:]
        elif change == "delete":
            data = data[:place] + data[end:]
        elif change == "replace":
            data = data[:place] + piece + data[end:]
        else:
            lines = data.split(b"\r\n")
            line = draw(st.integers(0, len(lines) - 1))
            to = draw(st.integers(0, len(lines)))
            lines.insert(to, lines[line] if change == "double a line" else lines.pop(line))
            data = b"\r\n".join(lines)
    return data


@st.composite
def parts(draw: st.DrawFn, originals: list[bytes], asked: tuple[str, ...]) -> list[bytes]:
    """A message for each of those asked, most of them alike, and sometimes something between them."""
    few = draw(st.lists(st.sampled_from(originals), min_size=1, max_size=2))
    found: list[bytes] = []
    for method in asked:
        message = draw(st.sampled_from(few))
        found.append(message if method != "HEAD" else message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    for place in draw(st.just([]) | st.lists(st.integers(0, len(found)), min_size=1, max_size=2)):
        found.insert(place, draw(st.sampled_from([b"HTTP/1.1 100 x\r\n\r\n", b"\r\n", b"HTT"]) | mutated(originals)))
    return found


@st.composite
def pieces(draw: st.DrawFn, found: list[bytes]) -> list[bytes]:
    """The same bytes, cut elsewhere, or some of it where it was cut."""
    data = b"".join(found)
    seams = list(accumulate(map(len, found), initial=0))
    seams += [seam - 1 for seam in seams[1:]]
    ends = sorted(draw(st.lists(st.sampled_from(seams) | st.integers(0, len(data)), max_size=7)))
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@pytest.mark.parametrize("data", REQUESTS)
def test_good_requests_are_read_alike(data: bytes) -> None:
    assert compare(data, is_request=True)


@pytest.mark.parametrize("data", RESPONSES)
def test_good_responses_are_read_alike(data: bytes) -> None:
    assert compare(data, is_request=False)


@settings(max_examples=300)
@given(mutated(REQUESTS))
def test_every_difference_on_requests_is_explained(data: bytes) -> None:
    compare(data, is_request=True)


@settings(max_examples=300)
@given(mutated(RESPONSES))
def test_every_difference_on_responses_is_explained(data: bytes) -> None:
    compare(data, is_request=False)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: f"{difference.what}, {difference.who}")
def test_every_explanation_explains_a_difference(difference: Difference) -> None:
    """No entry is a licence for what does not happen, or happens for another reason too."""
    is_request = not difference.example.strip().startswith(b"HTTP")
    ours = read(by_sleepy, difference.example, is_request=is_request)
    theirs = read(OTHERS[difference.who], difference.example, is_request=is_request)
    assert differences(difference.who, difference.example, ours, theirs) == [difference]


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345"


@pytest.mark.parametrize(
    ("asked", "arriving"),
    [
        (("GET", "HEAD", "GET"), [ANSWER, ANSWER[:-5], ANSWER]),
        (("HEAD", "GET", "GET"), [ANSWER[:-5], ANSWER, ANSWER]),
        (("GET", "GET", "GET"), [ANSWER, b"HTTP/1.1 100 x\r\n\r\n", ANSWER, ANSWER]),
        (("GET", "GET"), [ANSWER, b"HTT", ANSWER]),
        (("GET", "GET"), [ANSWER, ANSWER[:-1], b"5"]),
        (("GET", "GET"), [ANSWER, ANSWER, ANSWER]),
        (("GET", "GET", "GET"), [ANSWER, b"HTTP/1.1 204 x\r\ncontent-length: 5\r\n\r\n", ANSWER]),
    ],
)
def test_a_known_head_is_read_again_only_where_it_means_the_same(asked: tuple[str, ...], arriving: list[bytes]) -> None:
    """Rule 4, where it could go wrong."""
    setting = Setting(asked)
    one_by_one = outcome(setting, cut(b"".join(arriving), 1), ends=False)
    assert outcome(setting, arriving, ends=False) == one_by_one
    assert outcome(setting, [b"".join(arriving)], ends=False) == one_by_one


LIMITS = st.fixed_dictionaries(
    {"max_header_size": st.sampled_from([64, 65536]), "max_body_size": st.sampled_from([None, 8])}
)
ASKED = st.lists(st.sampled_from(["GET", "GET", "GET", "HEAD"]), min_size=1, max_size=6).map(tuple)


def alike_however_cut(data: st.DataObject, setting: Setting, found: list[bytes], *, ends: bool) -> None:
    at_once = outcome(setting, [b"".join(found)], ends=ends)
    assert outcome(setting, data.draw(pieces(found)), ends=ends) == at_once
    assert outcome(setting, cut(b"".join(found), 1), ends=ends) == at_once


@settings(max_examples=200)
@given(st.data(), ASKED, LIMITS, st.booleans())
def test_answers_are_the_same_however_they_arrive(
    data: st.DataObject, asked: tuple[str, ...], limits: dict[str, int], ends: bool
) -> None:
    alike_however_cut(data, Setting(asked, **limits), data.draw(parts(RESPONSES, asked)), ends=ends)


@settings(max_examples=200)
@given(st.data(), ASKED, LIMITS)
def test_requests_are_the_same_however_they_arrive(
    data: st.DataObject, asked: tuple[str, ...], limits: dict[str, int]
) -> None:
    found = data.draw(parts(REQUESTS, ("GET",) * len(asked)))
    alike_however_cut(data, Setting(None, **limits), found, ends=False)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_kept_input_finds_nothing(path: Path) -> None:
    """Every input that fuzzing once found worth keeping is run again."""
    run(path.read_bytes())


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) > 10
