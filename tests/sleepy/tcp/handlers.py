"""Handlers and requests for the tests of the server."""

import asyncio
from collections.abc import Callable

from sleepy.tcp import Request, Response
from tests.sleepy.tcp.helpers import Wire

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(request: Request) -> Response:
    """What was asked comes back."""
    return Response(200, f"{request.method} {request.url} ".encode() + request.body)


class Stage:
    """A handler whose answers wait for the test's cue."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cues: dict[str, asyncio.Future[Response]] = {}
        self.cancelled: list[str] = []
        self._changed = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        cue = self.cues[request.url] = asyncio.get_running_loop().create_future()
        self.asked.append(request.url)
        self._changed.set()
        try:
            return await cue
        except asyncio.CancelledError:
            self.cancelled.append(request.url)
            self._changed.set()
            raise

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def see(self, *asked: str) -> None:
        """Wait until these and only these have been asked."""
        await self.until(lambda: len(self.asked) >= len(asked))
        assert self.asked == list(asked)

    def answer(self, url: str, response: Response | None = None) -> None:
        self.cues[url].set_result(Response(200, url.encode()) if response is None else response)


def get(url: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {url} HTTP/1.1", "host: x", *fields, "", ""]).encode()


async def answer(wire: Wire, body: bytes = b"") -> bytes:
    """Read one answer with that body; give its head."""
    head = await wire.read_head()
    assert f"content-length: {len(body)}\r\n".encode() in head
    if body:
        assert await wire.read(body) == body
    return head
