"""What really happened in a run, and the judge of what callers were told.

Every request has an *id*. Every answer that a peer begins gets a *token*, which names the id it was written for, and stands
at the beginning of the answer, so that a caller's answer can be traced back to the moment of its writing. Rules:

1. An answer belongs to a request if its token names the request's id, and its body is what the peer wrote.
2. On a connection where the peer has lied (sent what nobody asked for, or a wrong length) an answer may be somebody else's:
   no client can tell. But only if the request was pending on that connection when the answer *arrived*: what came before a
   request was sent can be seen to be nobody's. The clients' readers are watched to know which requests were pending.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

NOBODY = -1  # the id in answers that nobody asked for
TOKEN = re.compile(rb"#(\d+):(-?\d+);")


@dataclass(slots=True)
class Written:
    """An answer that a peer has begun to write.

    Attributes:
        id: For which request; `NOBODY` for one that was not asked for.
        connection: On which connection of the peers', by its number.
        body: What its body is; None if the peer lies about it.
    """

    id: int
    connection: int
    body: bytes | None


class Ledger:
    """Everything that is written down in one run.

    Args:
        now: The run's clock.
        echo: Whether what happens is kept, to be shown.

    Attributes:
        now: As given.
        faults: How often a peer or the network did what.
        outcomes: How requests ended.
        executions: How often which request was executed.
        violations: What must not happen, and did.
        events: What happened, with its time, if it is kept.
        liars: The connections on which a peer has lied.
        failed: The requests whose handler has failed in a `sleepy.tcp.Server`, which answers them by itself.
    """

    def __init__(self, now: Callable[[], float], *, echo: bool) -> None:
        self.now = now
        self._echo = echo
        self._written: list[Written] = []
        self._pending_at: dict[int, frozenset[int]] = {}
        self.faults: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.executions: Counter[int] = Counter()
        self.violations: list[str] = []
        self.events: list[str] = []
        self.liars: set[int] = set()
        self.failed: set[int] = set()

    def note(self, what: str, **facts: Any) -> None:
        """Something has happened."""
        if self._echo:
            self.events.append(f"{self.now():10.6f}  {what:20} " + " ".join(f"{k}={v}" for k, v in facts.items()))

    def fault(self, kind: str, **facts: Any) -> None:
        """A peer, a caller or the network does something bad."""
        self.faults[kind] += 1
        self.note(f"fault {kind}", **facts)

    def violate(self, what: str) -> None:
        """What must not happen has happened."""
        self.violations.append(f"at {self.now():.6f} s: {what}")
        self.note(f"VIOLATION {what}")

    def execute(self, number: int) -> None:
        """A peer has received a whole request, and acts on it."""
        self.executions[number] += 1
        self.note("executed", id=number)

    def token(self, number: int, connection: int) -> bytes:
        """A token for an answer that a peer begins now."""
        self._written.append(Written(number, connection, None))
        return b"#%d:%d;" % (len(self._written) - 1, number)

    def promise(self, token: bytes, body: bytes) -> None:
        """The peer does not lie about the body of this answer."""
        self._written[_serial(token)].body = body

    def arrived(self, serial: int, pending: frozenset[int]) -> None:
        """An answer has come to a client while these requests were pending on its connection."""
        self._pending_at.setdefault(serial, pending)

    def judge(self, number: int, token: bytes, body: bytes | None) -> None:
        """A caller got this answer to his request; ``body`` is None if there is none, or he has not read all of it."""
        if token == b"Internal Server Error" and number in self.failed:
            return
        if not TOKEN.fullmatch(token):
            self.violate(f"request {number} was answered with what nobody wrote: {token!r} {body!r}")
            return
        serial = _serial(token)
        written = self._written[serial]
        lied = written.connection in self.liars
        if written.id == number:
            if body is not None and body != written.body and not lied:
                self.violate(f"request {number}: the body is {body!r}, and {written.body!r} was written")
        elif lied and number in self._pending_at.get(serial, ()):
            self.outcomes["answers misled by a peer's lie"] += 1  # rule 2
        else:
            pending = sorted(self._pending_at.get(serial, ()))
            self.violate(
                f"request {number} got the answer to {written.id}, which arrived when these were pending: {pending}"
            )


def _serial(token: bytes) -> int:
    match = TOKEN.match(token)
    assert match is not None
    return int(match[1])


class Watch:
    """A client's reader of answers, watched: which requests are pending when an answer's first bytes arrive?

    Args:
        reader: The reader.
        ledger: Is told.
        id_of: The id of a request.
    """

    def __init__(self, reader: Any, ledger: Ledger, id_of: Callable[[Any], int]) -> None:
        self._reader = reader
        self._ledger = ledger
        self._id_of = id_of
        self._pending: list[int] = []
        self._tail = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def expect(self, request: Any, *rest: Any) -> None:
        self._pending.append(self._id_of(request))
        self._reader.expect(request, *rest)

    def feed(self, data: bytes) -> Any:
        seen = self._tail + data
        pending = frozenset(self._pending)
        for match in TOKEN.finditer(seen):
            self._ledger.arrived(int(match[1]), pending)
        self._tail = seen[-24:]  # a token may be cut in two
        for message in self._reader.feed(data):
            self._pending.pop(0)
            yield message

    def end(self) -> Any:
        for message in self._reader.end():
            self._pending.pop(0)
            yield message
