"""Who asks: with random methods, deadlines and patience, for whole answers or streams. Each notes how it ended."""

import asyncio
import math
from collections.abc import AsyncIterator
from itertools import count
from random import Random
from typing import Any

from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    NoFreeConnections,
    PipelineOverflow,
    RemoteProtocolError,
    Request,
    RequestTimeout,
)
from sleepy.tcp.dialing.dialer import DialFailed, DialTimeout
from sleepy.tcp.errors import RemoteError
from tests.sleepy.tcp.campaign.ledger import TOKEN, Ledger
from tests.sleepy.tcp.campaign.subjects import Subject

SLACK = 0.001  # seconds: a thousand times what rule 3 of `sleepy.tcp.deadlines` allows for one item
DOCUMENTED = (
    RequestTimeout, ConnectionClosed, RemoteProtocolError, BodyTooLarge, NoFreeConnections, PipelineOverflow, DialFailed,
    DialTimeout, RemoteError,
)  # fmt: skip


class Callers:
    """All who ask, and what they saw.

    Args:
        subject: Whom they ask.
        ledger: Is told.
        random: The source of chance.

    Attributes:
        closing: Whether the client is being closed: then a request may be refused.
        doubtful: How many connections may have lost their peers without news of it, in a network that lost packets. One
            request can fail with each.
        repeatable: The ids of requests that may be executed more than once.
    """

    def __init__(self, subject: Subject, ledger: Ledger, random: Random) -> None:
        self._subject = subject
        self._ledger = ledger
        self._random = random
        self._ids = count()
        self._limit = min(subject.limits, default=math.inf)
        self._peace = False  # then bodies are small and at once: others may take longer than `write_timeout` allows
        self.closing = False
        self.doubtful = 0
        self.repeatable: set[int] = set()

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return sum(self._ledger.outcomes.values()) - self._ledger.outcomes["answers misled by a peer's lie"]

    async def call(self, times: int) -> None:
        """Ask one request after another."""
        for _ in range(times):
            await self._ask(
                timeout=self._random.choice([0.0, 0.02, 0.2, 1.0, 1.0, 5.0, 5.0]),
                patience=self._random.choice([math.inf, math.inf, math.inf, 0.0, self._random.random()]),
                streamed=self._subject.streams and self._random.random() < 0.3,
            )
            if self._random.random() < 0.5:
                await asyncio.sleep(self._random.choice([0.0, 0.001, 0.1, 0.5]))

    async def ask_in_peace(self) -> None:
        """Ask when nothing is wrong any more: there has to be an answer."""
        self._peace = True
        error = await self._ask(timeout=100.0, patience=math.inf, streamed=False)
        if isinstance(error, ConnectionClosed) and self.doubtful:
            self.doubtful -= 1
        elif error is not None:
            self._ledger.violate(f"all is well again, and a request failed: {error!r}")

    def _request(self) -> tuple[int, Any]:
        """A new request of any kind, and its id."""
        number = next(self._ids)
        if not self._subject.http:
            if self._subject.idempotent:
                self.repeatable.add(number)
            return number, b"%d %b" % (number, b"y" * self._random.choice([0, 20, 5000]))
        method = self._random.choice(["GET", "GET", "HEAD", "PUT", "POST", "POST"])
        if method != "POST":
            self.repeatable.add(number)
        size = self._random.choice([0, 20, 20, 20] if self._peace else [0, 20, 5000, 100_000])
        body = b"y" * size if method in {"PUT", "POST"} else b""
        host = self._random.choice(self._subject.hosts())
        url = f"http://{host}/{number}" if self._subject.kind == "Client" else f"/{number}"
        slowly = bool(body) and self._subject.streams and not self._peace
        headers = {"expect": "100-continue"} if slowly and self._random.random() < 0.2 else {}
        if slowly and self._random.random() < 0.3:
            self.repeatable.discard(number)  # a stream is read once
            return number, Request(method, url, headers, stream=_pieces(body, self._random.choice([0.0, 0.1])))
        return number, Request(method, url, headers, body)

    async def _ask(self, *, timeout: float, patience: float, streamed: bool) -> BaseException | None:
        """Ask once, and judge what comes of it; gives the error, if it is one."""
        number, request = self._request()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._ledger.note("asked", id=number, request=repr(request)[:60], timeout=timeout, patience=patience)
        pauses: list[float] = []
        error: Exception | None = None
        try:
            async with asyncio.timeout(None if patience == math.inf else patience):
                if streamed:
                    await self._stream(number, request, timeout, pauses)
                else:
                    answer = await self._subject.client.do(request, timeout=timeout)
                    self._judge(number, request, answer)
        except Exception as caught:  # noqa: BLE001 -- it is judged
            error = caught
        took = loop.time() - begun
        self._judge_end(number, error, took, timeout=timeout, patience=patience, paused=sum(pauses))
        return error

    async def _stream(self, number: int, request: Request, timeout: float, pauses: list[float]) -> None:
        """Read an answer's body piece by piece, or some of it, with pauses (in seconds) in between."""
        pause = self._random.choice([0.0, 0.0, 0.1])
        wanted = self._random.choice([0, 1, math.inf, math.inf])
        body = b""
        async with self._subject.client.stream(request, timeout=timeout) as answer:
            if answer.stream is None:
                body = answer.body
            elif wanted:
                async for piece in answer.stream:
                    body += piece
                    wanted -= 1
                    if wanted <= 0:
                        break
                    pauses.append(pause)
                    await asyncio.sleep(pause)
        whole = wanted > 0 and request.method != "HEAD"
        self._ledger.judge(number, answer.reason.encode(), body if whole else None)

    def _judge(self, number: int, request: Any, answer: Any) -> None:
        if self._subject.http:
            body = None if request.method == "HEAD" else answer.body
            self._ledger.judge(number, answer.reason.encode("latin-1"), body)
        else:
            match = TOKEN.match(answer)
            token = b"" if match is None else match[0]
            self._ledger.judge(number, token, answer[len(token) :])

    def _judge_end(
        self, number: int, error: Exception | None, took: float, *, timeout: float, patience: float, paused: float
    ) -> None:
        """One of the documented ends, and in time: no later than the deadline, and a timeout no earlier either."""
        name = "answers" if error is None else type(error).__name__
        if type(error) is TimeoutError and took > patience - SLACK:
            name = "given up by the caller"
        elif type(error) is RuntimeError and self.closing and "this client is closed" in str(error):
            name = "refused by a closed client"
        elif error is not None and type(error) not in DOCUMENTED:
            self._ledger.violate(f"request {number} ended with {error!r}, which nobody has announced")
        self._ledger.outcomes[name] += 1
        self._ledger.note("ended", id=number, how=name, error=repr(error))
        if took > min(timeout, patience) + paused + SLACK:
            self._ledger.violate(f"request {number} took {took} s, and {min(timeout, patience)} s were allowed")
        if type(error) is RequestTimeout and took < min(timeout, self._limit) - SLACK:
            self._ledger.violate(f"request {number} timed out after {took} s, too early: {error}")


async def _pieces(body: bytes, pause: float) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 30_000):
        await asyncio.sleep(pause)
        yield body[start : start + 30_000]
