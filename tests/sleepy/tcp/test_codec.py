"""`sleepy.tcp.codec`: a protocol of one's own, written from the interface alone, is spoken by clients and server."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest

from sleepy.tcp import Codec, ConnectionClosed, Encoded, HostClient, PipelineClient, RemoteProtocolError
from tests.sleepy.tcp.virtual import World, on_network


class Reader:
    """Lines, whole ones; one that is not text is none."""

    keep_alive = True

    def __init__(self, longest: int) -> None:
        self.begun = b""
        self.longest = longest

    @property
    def between_messages(self) -> bool:
        return not self.begun

    @property
    def in_head(self) -> bool:
        return bool(self.begun)

    def feed(self, data: bytes) -> Iterator[str]:
        self.begun += data
        while b"\n" in self.begun:
            line, _, self.begun = self.begun.partition(b"\n")
            yield self.whole(line)
        if len(self.begun) > self.longest:
            raise RemoteProtocolError(f"a line of more than {self.longest} bytes")

    def whole(self, line: bytes) -> str:
        if not line.isascii():
            raise RemoteProtocolError(f"{line!r} is no text")
        return line.decode("ascii")

    def end(self) -> Iterator[str]:
        return iter(())


class AnswerReader(Reader):
    """Lines that somebody asked for."""

    def __init__(self, longest: int) -> None:
        super().__init__(longest)
        self.asked: deque[str] = deque()

    def expect(self, request: str, sink: Any = None, interim: Any = None) -> None:
        assert sink is None
        assert interim is None
        self.asked.append(request)

    def whole(self, line: bytes) -> str:
        if not self.asked:
            raise RemoteProtocolError("a line that nobody asked for")
        return f"{self.asked.popleft()}: {super().whole(line)}"  # so that a test sees whose answer it is


class Lines:
    """A question is a line of text, and so is its answer."""

    def encode_request(self, request: str, authority: str) -> Encoded:
        assert authority.endswith(":80")
        return Encoded(f"{request}\n".encode("ascii"), idempotent=request != "once")

    def body_of(self, request: str) -> AsyncGenerator[bytes, None] | None:
        return None

    def awaits_go_ahead(self, request: str) -> bool:
        return False

    def go_ahead(self, request: str) -> bytes:
        return b""

    def encode_answer(self, answer: str, request: str | None, *, keep_alive: bool, now: float | None = None) -> bytes:
        return f"{answer}\n".encode("ascii")

    def body_of_answer(self, answer: str, request: str | None) -> AsyncGenerator[bytes, None] | None:
        return None

    def can_follow(self, answer: str, request: str | None) -> bool:
        return answer != "bye"

    def answer_to(self, error: Exception, request: str | None) -> str | None:
        return f"error {error}" if request is not None else None

    def answer_reader(self, max_body_size: int | None = None) -> AnswerReader:
        return AnswerReader(max_body_size or 1000)

    def request_reader(self, max_body_size: int | None = None, begun: Callable[..., Any] | None = None) -> Reader:
        return Reader(max_body_size or 1000)

    def describe(self, request: str) -> str:
        return request

    def facts(self, answer: str) -> dict[str, Any]:
        return {"length": len(answer)}


LINES: Codec[str, str] = Lines()


async def shout(line: str) -> str:
    """The server: quick questions overtake slow ones."""
    if line == "fail":
        raise ValueError("cannot")
    await asyncio.sleep(0.5 if line.startswith("slow") else 0.0)
    return "bye" if line == "last" else line.upper()


@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
@on_network("peer")
async def test_questions_get_their_own_answers(world: World, kind: Callable[..., Any]) -> None:
    await world.serve("peer", shout, codec=LINES)
    async with kind("peer:80", codec=LINES) as client:
        questions = [f"{pace} {number}" for number in range(20) for pace in ("slow", "quick")]
        answers = await asyncio.gather(*(client.do(question, timeout=60.0) for question in questions))
        assert answers == [f"{question}: {question.upper()}" for question in questions]


@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
@on_network("peer")
async def test_a_handlers_error_is_answered_and_a_last_answer_ends_the_connection(
    world: World, kind: Callable[..., Any]
) -> None:
    await world.serve("peer", shout, codec=LINES)
    async with kind("peer:80", codec=LINES) as client:
        assert await client.do("fail") == "fail: error cannot"
        assert await client.do("last") == "last: bye"
        await asyncio.sleep(1.0)
        assert await client.do("again") == "again: AGAIN"
        assert client.metrics.dials == 2  # `can_follow` said that nothing follows


@on_network("peer")
async def test_what_the_reader_refuses_ends_the_connection(world: World) -> None:
    """On the server's side without an answer, as `answer_to` has none; on the client's with the reader's own words."""

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write("né\n".encode("latin-1"))

    await world.serve("peer", shout, codec=LINES)
    async with HostClient("peer:80", codec=LINES) as client:
        with pytest.raises(ConnectionClosed):
            await client.do("x" * 5_000_000)
    server = await asyncio.start_server(rude, "0.0.0.0", 80)
    async with server, HostClient("localhost:80", codec=LINES, max_attempts=1) as client:
        with pytest.raises(RemoteProtocolError, match="is no text"):
            await client.do("hello")
