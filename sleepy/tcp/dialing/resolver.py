"""Names and their addresses, remembered for a while.

Asking for a name takes a round trip or many, and a thread of the event loop's few. A pool that opens a hundred connections
would ask a hundred times for the same thing. So:

1. An answer is good for a while. Not for the time that the name's owner has set (its TTL), which the system does not tell,
   but for a minute, as in fasthttp: a peer that moves is found again by then.
2. Those who ask for the same name at the same time ask once. When the last of them has given up, so does the question.
3. A failure is not remembered. It would outlast its cause, a link that was down for a second, and by rule 2 a name that
   fails is asked for no more than once at a time. (Systems remember that a name does not exist, RFC 2308; they know for
   how long that is true.)
4. An address that does not work is forgotten by whoever finds out: the name may have moved.

One resolver may serve many dialers, all of one event loop.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import cast

_Key = tuple[str, int]  # name and family


@dataclass(slots=True, eq=False)
class _Question:
    """A look-up that is under way, and how many wait for it."""

    task: asyncio.Task[tuple[str, ...]]
    waiting: int = 0


class Resolver:
    """Looks up names, by the event loop's ``getaddrinfo``.

    Args:
        ttl: How long an answer is good, in seconds; 0 to remember none (fasthttp: DNSCacheDuration).

    Raises:
        ValueError: ``ttl`` is less than 0.
    """

    def __init__(self, *, ttl: float = 60.0) -> None:
        if ttl < 0:
            raise ValueError(f"ttl is {ttl} s; the least is 0")
        self._ttl = ttl
        # Good until when, and the addresses; oldest first.
        self._answers: dict[_Key, tuple[float, tuple[str, ...]]] = {}
        self._questions: dict[_Key, _Question] = {}

    async def resolve(self, name: str, family: int = socket.AF_UNSPEC) -> tuple[str, ...]:
        """The IP addresses of a name, in the order in which the system prefers them.

        Args:
            name: In ASCII.
            family: ``socket.AF_INET`` for IPv4 only, ``socket.AF_INET6`` for IPv6 only.

        Raises:
            OSError: There are none, or nobody knew.
        """
        key = name, family
        good_until, addresses = self._answers.get(key, (0.0, ()))
        if asyncio.get_running_loop().time() < good_until:
            return addresses
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = _Question(asyncio.create_task(self._ask(key)))
            question.task.add_done_callback(lambda task: self._note(key, task))
        question.waiting += 1
        try:
            await asyncio.wait([question.task])  # which goes on, if we are cancelled, for the others
        finally:
            question.waiting -= 1
            if not question.waiting:  # rule 2
                question.task.cancel()
                self._forget_question(key, question.task)
        return question.task.result()

    def forget(self, name: str) -> None:
        """Ask anew for this name next time (rule 4)."""
        for key in [key for key in self._answers if key[0] == name]:
            del self._answers[key]

    def flush(self) -> None:
        """Ask anew for every name next time; what is being asked now is not remembered (fasthttp: FlushDNSCache)."""
        self._answers.clear()
        self._questions.clear()

    async def _ask(self, key: _Key) -> tuple[str, ...]:
        name, family = key
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM)
        if not found:
            raise OSError(f"{name} has no address")
        return tuple(
            dict.fromkeys(_numeric(cast("tuple[str, int] | tuple[str, int, int, int]", row[4])) for row in found)
        )

    def _note(self, key: _Key, task: asyncio.Task[tuple[str, ...]]) -> None:
        """Remember an answer, unless `flush` was called since; and forget those whose time is over."""
        wanted = self._forget_question(key, task)
        if task.cancelled() or task.exception() is not None or not wanted:
            return
        now = asyncio.get_running_loop().time()
        while self._answers and next(iter(self._answers.values()))[0] <= now:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = now + self._ttl, task.result()

    def _forget_question(self, key: _Key, task: asyncio.Task[tuple[str, ...]]) -> bool:
        """Let the next who asks ask anew; False if he would have already."""
        question = self._questions.get(key)
        if question is None or question.task is not task:
            return False
        del self._questions[key]
        return True


def _numeric(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """The IP address; with its zone if it means nothing without (RFC 4007, section 11)."""
    zone = address[3] if len(address) > 3 else 0
    return f"{address[0]}%{zone}" if zone else address[0]
