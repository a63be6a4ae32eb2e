"""The rules of sleepy/udp/security/handshake_wire.py."""

import struct

from hypothesis import given
from hypothesis.strategies import SearchStrategy, binary, booleans, builds, integers, lists, sampled_from

from sleepy.udp.security.handshake_wire import (
    CONNECTION_ID,
    MIN_HELLO,
    Code,
    Hello,
    Kind,
    decode_retry,
    decode_terms,
    digest,
    encode_retry,
    encode_terms,
    encode_verdict,
    message_1_size,
    verdict_code,
)

u16 = integers(0, 65535)
cookies = binary(min_size=16, max_size=16)


def make_hello(group: bool, noise: bytes, **fields: object) -> Hello:
    return Hello(group=group, message=noise[: message_1_size(group)], **fields)  # type: ignore[arg-type]


hellos: SearchStrategy[Hello] = builds(
    make_hello,
    group=booleans(),
    noise=binary(min_size=48, max_size=48),
    connection_id=binary(min_size=CONNECTION_ID, max_size=CONNECTION_ID),
    version=u16,
    versions=lists(u16, min_size=1, max_size=32).map(tuple),
    features=integers(0, 2**32 - 1),
    cookie=cookies,
)


@given(hellos)
def test_a_hello_is_read_as_it_was_written(hello: Hello) -> None:
    """Rule 1: and it has 1200 bytes."""
    datagram = hello.encode()
    assert Hello.decode(datagram) == hello
    assert len(datagram) == MIN_HELLO == 1200
    assert Hello.decode(datagram[:-1]) is None


def test_the_bytes_of_a_hello() -> None:
    """As the table in the module says."""
    hello = Hello(b"8 bytes.", 2, (1, 2), True, 0x04030201, b"M" * 48, b"C" * 16)
    wire = b"\x01" + b"8 bytes." + b"\2\0" + b"\1" + b"\1\2\3\4" + b"\2" + b"\1\0\2\0" + b"M" * 48 + b"C" * 16
    assert hello.encode() == wire + bytes(1200 - len(wire))
    assert hello.prologue == wire[: wire.index(b"M")]
    assert hello.ephemeral == b"M" * 32


@given(hello=hellos, cookie=cookies)
def test_a_hello_is_the_same_with_or_without_a_cookie(hello: Hello, cookie: bytes) -> None:
    """Rule 2: prologue and digest leave it out; they leave out nothing else."""
    with_cookie = hello._replace(cookie=cookie)
    assert (with_cookie.prologue, with_cookie.digest) == (hello.prologue, hello.digest)
    others = [
        hello._replace(connection_id=bytes(8) if hello.connection_id != bytes(8) else b"8" * 8),
        hello._replace(version=hello.version ^ 1),
        hello._replace(versions=(*hello.versions, 1)),
        hello._replace(features=hello.features ^ 1),
        hello._replace(group=not hello.group),
    ]
    assert len({other.prologue for other in [hello, *others]}) == 6
    assert hello._replace(message=b"x" * len(hello.message)).digest != hello.digest or set(hello.message) == {120}


@given(binary(max_size=1300) | binary(min_size=1200, max_size=1201).map(lambda tail: b"\1" + tail))
def test_whatever_bytes_are_a_hello_or_none(datagram: bytes) -> None:
    """Nothing raises; and what is read would be written so again, but for the padding."""
    hello = Hello.decode(datagram)
    if hello is not None:
        wire = hello.prologue + hello.message + hello.cookie
        assert datagram.startswith(wire)
        assert hello.encode().startswith(wire)


@given(hello=hellos, cookie=cookies)
def test_a_retry_carries_a_cookie(hello: Hello, cookie: bytes) -> None:
    retry = encode_retry(hello, cookie)
    assert decode_retry(hello, retry) == cookie
    assert retry[0] == Kind.RETRY


@given(hello=hellos, group=booleans(), versions=lists(u16, min_size=1, max_size=32).map(tuple))
def test_terms_say_what_is_asked_for(hello: Hello, group: bool, versions: tuple[int, ...]) -> None:
    terms = encode_terms(hello, group, versions)
    assert decode_terms(hello, terms) == (group, versions)
    assert len(terms) < MIN_HELLO


@given(hello=hellos, other=hellos, bit=integers(0), size=integers(0, 42))
def test_answers_without_a_key_are_bound_to_their_question(hello: Hello, other: Hello, bit: int, size: int) -> None:
    """Rule 3: damaged, cut, or in answer to another HELLO, they are none."""
    for datagram, decode in (
        (encode_retry(hello, bytes(16)), decode_retry),
        (encode_terms(hello, True, (1, 2)), decode_terms),
    ):
        flipped = bytearray(datagram)
        flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
        assert decode(hello, bytes(flipped)) is None
        assert decode(hello, datagram[: min(size, len(datagram) - 1)]) is None
        assert (decode(other, datagram) is None) is (other.digest != hello.digest)


@given(
    code=sampled_from(Code),
    key=binary(min_size=32, max_size=32),
    finishes=lists(binary(max_size=20), min_size=2, max_size=2, unique=True),
)
def test_a_verdict_says_its_code_about_one_finish(code: Code, key: bytes, finishes: list[bytes]) -> None:
    one, other = (encode_verdict(b"8 bytes.", 1, code, key, finish) for finish in finishes)
    assert verdict_code(one) is verdict_code(other) is code
    assert one[:12] == struct.pack("<B8sHB", Kind.VERDICT, b"8 bytes.", 1, code)
    assert one[12:] != other[12:]


@given(binary(max_size=40) | binary(min_size=28, max_size=28))
def test_whatever_bytes_are_a_verdict_or_none(datagram: bytes) -> None:
    code = verdict_code(datagram)
    assert (code is None) is (len(datagram) != 28 or datagram[11] > 2)


def test_a_digest_has_16_bytes() -> None:
    assert len({digest(b"a"), digest(b"b")}) == 2
    assert len(digest(b"")) == 16
