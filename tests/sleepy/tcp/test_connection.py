"""`sleepy.tcp.connection`: bytes between a reader and a transport (one that only writes down what is asked of it)."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from sleepy.tcp.connection import Connection
from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError
from tests.sleepy.tcp.helpers import soon, turns

pytestmark = pytest.mark.usefixtures("tidy")


class Lines:
    """A reader of lines; an empty one is no message."""

    def __init__(self) -> None:
        self.buffer = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self.buffer += data
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            if not line:
                raise RemoteProtocolError("an empty line")
            yield line

    def end(self) -> Iterator[bytes]:
        if self.buffer:
            yield self.buffer


class Scribe:
    """An owner that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.keep_open = False
        self.at_message: Any = lambda connection, message: None

    def made(self, connection: Connection[bytes]) -> None:
        self.heard.append(("made", connection.closing))

    def received(self, connection: Connection[bytes], message: bytes) -> None:
        self.heard.append(("received", message))
        self.at_message(connection, message)

    def confused(self, connection: Connection[bytes], error: RemoteProtocolError) -> None:
        self.heard.append(("confused", str(error)))

    def ended(self, connection: Connection[bytes]) -> bool:
        self.heard.append(("ended",))
        return self.keep_open

    def lost(self, connection: Connection[bytes], error: Exception | None) -> None:
        self.heard.append(("lost", error))


class Transport(asyncio.Transport):
    """A transport that writes down what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, ...]] = []
        self.half_closes = True
        self.buffered = 0

    def write(self, data: Any) -> None:
        self.done.append(("write", bytes(data)))

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return ("close",) in self.done or ("abort",) in self.done

    def close(self) -> None:
        self.done.append(("close",))

    def abort(self) -> None:
        self.done.append(("abort",))

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        self.done.append(("write_eof",))

    def resume_reading(self) -> None:
        self.done.append(("resume_reading",))


def build() -> tuple[Connection[bytes], Transport, Scribe]:
    owner, transport = Scribe(), Transport()
    connection = Connection(owner, Lines(), 7)
    connection.connection_made(transport)
    owner.heard.clear()
    return connection, transport, owner


# Before and after


async def test_before_it_is_made_it_is_of_no_use() -> None:
    owner = Scribe()
    connection = Connection(owner, Lines(), 7)
    assert connection.closing
    with pytest.raises(RuntimeError, match="not been made"):
        _ = connection.transport
    transport = Transport()
    connection.connection_made(transport)
    assert connection.transport is transport
    assert owner.heard == [("made", False)]
    assert (connection.number, connection.messages) == (7, 0)


async def test_the_end_is_told_once_and_wakes_everybody() -> None:
    connection, _, owner = build()
    connection.pause_writing()
    waiting = [asyncio.create_task(connection.drain()), asyncio.create_task(connection.wait_closed())]
    await turns()
    assert not any(task.done() for task in waiting)
    error = ConnectionResetError("reset")
    connection.connection_lost(error)
    await soon(asyncio.gather(*waiting))
    assert owner.heard == [("lost", error)]


# Reading


async def test_messages_go_to_the_owner_in_order() -> None:
    connection, _, owner = build()
    connection.data_received(b"one\ntw")
    connection.data_received(b"o\n")
    assert owner.heard == [("received", b"one"), ("received", b"two")]
    assert connection.messages == 2


@pytest.mark.parametrize("way", ["close", "abort", "finish"])
async def test_behind_a_last_message_nothing_is_read(way: str) -> None:
    """Whoever closes at a message does not get the next, even if it has come with the first."""
    connection, _, owner = build()
    owner.at_message = lambda connection, _: getattr(connection, way)()
    connection.data_received(b"one\ntwo\n\n")
    assert owner.heard == [("received", b"one")]


async def test_what_is_no_message_is_told_behind_the_messages_before_it() -> None:
    connection, transport, owner = build()
    connection.data_received(b"one\n\ntwo\n")
    assert owner.heard == [("received", b"one"), ("confused", "an empty line")]
    assert transport.done == []  # the owner decides


@pytest.mark.parametrize("keep_open", [True, False])
async def test_the_peers_end_can_end_a_message(keep_open: bool) -> None:
    connection, _, owner = build()
    owner.keep_open = keep_open
    connection.data_received(b"one")
    assert connection.eof_received() is keep_open
    assert owner.heard == [("received", b"one"), ("ended",)]
    assert connection.messages == 1


# Writing


async def test_what_is_written_in_a_turn_goes_out_in_one_piece() -> None:
    connection, transport, _ = build()
    for data in (b"a", b"b", b"c"):
        connection.write(data)
    assert transport.done == []
    assert connection.unsent == 3
    await turns()
    assert transport.done == [("write", b"abc")]
    assert connection.unsent == 0
    connection.write(b"d")
    await turns()
    assert transport.done[1:] == [("write", b"d")]


async def test_much_does_not_wait_for_more() -> None:
    """Or a hundred large answers would all be in memory before the first could push back."""
    connection, transport, _ = build()
    connection.write(b"a")
    connection.write(b"x" * 65536)
    assert [len(data) for _, data in transport.done] == [65537]
    connection.write(b"b")
    await turns()
    assert transport.done[1:] == [("write", b"b")]


async def test_unsent_is_what_waits_here_and_below() -> None:
    connection, transport, _ = build()
    transport.buffered = 10
    connection.write(b"abc")
    assert connection.unsent == 13


async def test_drain_waits_while_the_peer_takes_nothing() -> None:
    connection, _, _ = build()
    await soon(connection.drain())
    connection.pause_writing()
    waiting = asyncio.create_task(connection.drain())
    await turns()
    assert not waiting.done()
    connection.resume_writing()
    await soon(waiting)


# Ending


async def test_close_sends_what_was_written() -> None:
    connection, transport, _ = build()
    connection.write(b"last")
    connection.close()
    connection.write(b"too late")
    await turns()
    assert transport.done == [("write", b"last"), ("close",)]


async def test_abort_does_not_and_its_reason_is_told() -> None:
    connection, transport, owner = build()
    connection.write(b"lost")
    why = RemoteProtocolError("nonsense")
    connection.abort(why)
    connection.abort(RemoteProtocolError("a second reason"))
    await turns()
    assert transport.done == [("abort",), ("abort",)]
    connection.connection_lost(None)
    assert owner.heard == [("lost", why)]


async def test_finish_says_that_nothing_follows_and_throws_away_what_comes() -> None:
    """RFC 9112, section 9.6: a connection closed over unread bytes is reset, and the last answer may be lost."""
    connection, transport, owner = build()
    connection.write(b"last")
    connection.finish()
    assert transport.done == [("write", b"last"), ("write_eof",), ("resume_reading",)]
    connection.data_received(b"one\n\n")
    assert connection.eof_received() is False  # asyncio closes the transport
    assert owner.heard == []


async def test_finish_closes_at_once_if_the_peer_has_ended() -> None:
    connection, transport, owner = build()
    owner.keep_open = True
    connection.eof_received()
    connection.finish()
    assert transport.done == [("close",)]


async def test_finish_closes_at_once_if_it_cannot_be_half_closed() -> None:
    connection, transport, _ = build()
    transport.half_closes = False
    connection.finish()
    assert transport.done == [("close",)]


# A body, piece by piece


async def pieces(then: asyncio.Future[None]) -> AsyncGenerator[bytes, None]:
    yield b"one"
    await then


async def test_a_body_that_is_cancelled_is_an_error_for_who_sends_it() -> None:
    """Else his task would just end, and whoever waits for an answer would wait for ever."""
    connection, transport, _ = build()
    then = asyncio.get_running_loop().create_future()
    then.cancel()
    with pytest.raises(LocalProtocolError, match="cancelled before its end"):
        await connection.write_all(pieces(then))
    await turns()
    assert transport.done == [("write", b"one")]


async def test_who_sends_a_body_may_be_cancelled() -> None:
    connection, _, _ = build()
    sending = asyncio.create_task(connection.write_all(pieces(asyncio.get_running_loop().create_future())))
    await turns()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
