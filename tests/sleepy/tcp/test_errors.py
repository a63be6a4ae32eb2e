"""`sleepy.tcp.errors`: what a caller can tell from an error."""

import pytest

from sleepy.tcp.errors import (
    BodyTooLarge,
    ConnectionClosed,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    RequestTimeout,
)


@pytest.mark.parametrize("phase", ["queue", "dial-queue", "dns", "dial", "tls", "write", "read"])
def test_a_timeout_says_how_long_it_was_and_in_which_phase(phase: str) -> None:
    """And is caught by who knows only Python's own."""
    error = RequestTimeout(phase, 0.25)
    assert isinstance(error, TimeoutError)
    assert error.phase == phase
    assert str(error) == f"no answer within 0.25 s; the time ran out in phase {phase!r}"
    assert error.__cause__ is None


def test_a_timeout_of_a_second_attempt_says_why_the_first_failed() -> None:
    first = ConnectionClosed("the peer closed the connection")
    error = RequestTimeout("queue", 2.0, first)
    assert str(error).endswith("in phase 'queue', after an attempt that failed: the peer closed the connection")
    assert error.__cause__ is first


def test_a_closed_connection_says_whether_it_was_stale() -> None:
    assert isinstance(ConnectionClosed("gone"), ConnectionError)
    assert not ConnectionClosed("gone").stale
    assert ConnectionClosed("gone", stale=True).stale


def test_a_protocol_error_says_whose_it_is() -> None:
    """A mistake of this program is not the peer's, and the other way round."""
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
    assert not issubclass(RemoteProtocolError, LocalProtocolError)
    assert issubclass(LocalProtocolError, ProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)


def test_the_peers_mistake_has_a_status_to_answer_with() -> None:
    """RFC 9110, section 15.5."""
    assert RemoteProtocolError("what?").status == 400
    assert RemoteProtocolError("a long head", status=431).status == 431
    too_large = BodyTooLarge(1000)
    assert isinstance(too_large, RemoteProtocolError)
    assert (too_large.status, str(too_large)) == (413, "the body is longer than the limit of 1000 bytes")
