"""Which of several clients takes the next request? Decisions only: no socket, no clock, nothing awaited.

Clients lead to peers that can all do the same work. The best measure of how busy a peer is, as seen from here, is how many
of our requests it has not answered yet: a slow one collects them and is spared, without anybody measuring its speed. That
measure alone has a famous flaw. A *broken* peer fails at once, so it has nothing pending, so it looks like the quickest of
all, and gets everything. Hence:

1. **The least of pending + penalty** is chosen; of equals the one with the fewest requests so far, then the first. These
   are the ideas of fasthttp's LBClient.
2. **A failure is a penalty** of one, as if one request more were pending; it is forgotten after some seconds. This is
   enough for a client that fails now and then.
3. **Several failures in a row eject** a client: it gets nothing for a while. (The field says *outlier ejection*.)
4. **After that one request decides**: the *probe*. If it fails the client is ejected again, for twice as long, up to a
   bound; if it succeeds the client is back, but on parole: the next failure ejects it again, the next success clears its
   record. Ejections are shortened by chance, so that not all programs probe a peer at the same moment.
5. **Old news is no news.** Only a request that began after the last ejection or return tells anything about now: the
   twenty others that were under way when a peer died do not prolong its ejection.
6. **If all are ejected the least bad is used.** Perhaps it is our own network that is broken; and an error from a peer is
   worth more than one from us that says we did not try.
7. **Who comes starts at the average**: a new client, or one that is back, counts as having had as many requests as the
   others had. Else it would win every tie until it has caught up, and be flooded while it is still cold.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Generic, Protocol, TypeVar

PENALTY_DURATION = 3.0  # seconds, as in fasthttp
MAX_PENALTY = 300  # as in fasthttp


class Loaded(Protocol):
    """What the balancer must know of a client."""

    @property
    def pending_requests(self) -> int:
        """Requests that it has not answered yet, whoever asked them."""
        ...


C = TypeVar("C", bound=Loaded)


@dataclass(slots=True, eq=False)
class Member(Generic[C]):
    """What is known of one client.

    Attributes:
        client: The client.
        requests: How many it was given; more if it came late (rule 7).
        penalties: When each of its penalties ends, in seconds, the next first.
        failures: How often it has failed in a row.
        ejection: How long the last of its ejections in a row was to be, in seconds; 0 if its record is clear.
        ejected_until: When it may be probed, in seconds; None if it is not ejected.
        probe: The probe that is under way.
        news: How often it was ejected or came back: whoever began under another number brings old news (rule 5).
    """

    client: C
    requests: int = 0
    penalties: deque[float] = field(default_factory=deque[float])
    failures: int = 0
    ejection: float = 0.0
    ejected_until: float | None = None
    probe: "Ticket[C] | None" = None
    news: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Ticket(Generic[C]):
    """One request's choice; to be given back by `Balancer.settle` or `Balancer.forget`, once.

    Attributes:
        member: Who was chosen.
        news: Its number at that time (rule 5).
    """

    member: Member[C]
    news: int


class Balancer(Generic[C]):
    """Chooses among clients, and learns from what becomes of it.

    Args:
        eject_after: How many failures in a row eject a client.
        min_ejection: How long the first ejection lasts, in seconds; each that follows on it lasts twice as long.
        max_ejection: The longest an ejection lasts, in seconds.
        random: Shortens each ejection by up to a quarter (rule 4).

    Raises:
        ValueError: A limit that makes no sense.

    Source: fasthttp's LBClient for rules 1 and 2; Envoy's outlier detection for 3, 4 and 6.
    """

    def __init__(
        self,
        *,
        eject_after: int = 5,
        min_ejection: float = 1.0,
        max_ejection: float = 60.0,
        random: Random | None = None,
    ) -> None:
        if eject_after < 1:
            raise ValueError(f"eject_after is {eject_after}; the least is 1")
        if not 0 < min_ejection <= max_ejection:
            raise ValueError(
                f"ejections from {min_ejection} s to {max_ejection} s: the first must be above 0, and no longer"
            )
        self._eject_after = eject_after
        self._min_ejection = min_ejection
        self._max_ejection = max_ejection
        self._random = Random() if random is None else random
        self._members: list[Member[C]] = []

    @property
    def clients(self) -> list[C]:
        """All clients, in the order in which they came."""
        return [member.client for member in self._members]

    @property
    def ejected(self) -> list[C]:
        """The clients that get nothing but probes."""
        return [member.client for member in self._members if member.ejected_until is not None]

    def add(self, client: C) -> None:
        """A client joins (rule 7).

        Raises:
            ValueError: It is here already.
        """
        if any(member.client is client for member in self._members):
            raise ValueError(f"{client!r} is one of the clients already")
        self._members.append(Member(client, requests=self._average()))

    def remove(self, predicate: Callable[[C], bool]) -> list[C]:
        """Clients leave: those for which ``predicate`` is true. Gives them; what they were given before may still end."""
        leaving = [member for member in self._members if predicate(member.client)]
        self._members = [member for member in self._members if member not in leaving]
        return [member.client for member in leaving]

    # --8<-- [start:choose]
    def choose(self, now: float, tried: Collection[C] = ()) -> Ticket[C] | None:
        """Choose a client for a request, and count it.

        Args:
            now: The present, in seconds.
            tried: The clients at which this request has failed already. A request that has suffered is no probe.

        Returns:
            The choice; None if there is nobody, or nobody left to try.
        """
        untried = [member for member in self._members if member.client not in tried]
        if not untried:
            return None
        due = [] if tried else [member for member in untried if _may_be_probed(member, now)]
        healthy = [member for member in untried if member.ejected_until is None]
        member = due[0] if due else _least(healthy or untried, now)  # rules 4, 1 and 6
        member.requests += 1
        ticket = Ticket(member, member.news)
        if due:
            member.probe = ticket
        return ticket

    # --8<-- [end:choose]

    # --8<-- [start:settle]
    def settle(self, ticket: Ticket[C], now: float, *, healthy: bool) -> None:
        """A request has ended.

        Args:
            ticket: Its choice.
            now: The present, in seconds.
            healthy: Whether it speaks for its client.
        """
        member = ticket.member
        is_probe = member.probe is ticket
        self.forget(ticket)
        if not healthy and _penalty(member, now) < MAX_PENALTY:
            member.penalties.append(now + PENALTY_DURATION)  # rule 2
        if ticket.news != member.news:
            return  # rule 5
        if member.ejected_until is not None:
            if healthy:
                self._readmit(member)
            elif is_probe:
                self._eject(member, now)
        elif healthy:
            member.failures, member.ejection = 0, 0.0
        else:
            member.failures += 1
            if member.failures >= self._eject_after:
                self._eject(member, now)

    def _eject(self, member: Member[C], now: float) -> None:
        member.ejection = min(max(2 * member.ejection, self._min_ejection), self._max_ejection)
        member.ejected_until = now + member.ejection * self._random.uniform(0.75, 1.0)
        member.news += 1

    def _readmit(self, member: Member[C]) -> None:
        member.requests = max(member.requests, self._average())  # rule 7; before it counts as one of them
        member.ejected_until = member.probe = None
        member.failures = self._eject_after - 1  # on parole (rule 4)
        member.news += 1

    # --8<-- [end:settle]

    def forget(self, ticket: Ticket[C]) -> None:
        """A request was given up by its caller, and says nothing about its client. If it was the probe, another may be."""
        if ticket.member.probe is ticket:
            ticket.member.probe = None

    def _average(self) -> int:
        """How many requests the healthy have had; if there are none, all."""
        healthy = [member for member in self._members if member.ejected_until is None]
        counts = [member.requests for member in healthy or self._members]
        return sum(counts) // len(counts) if counts else 0


def _least(members: Iterable[Member[C]], now: float) -> Member[C]:
    return min(members, key=lambda member: (member.client.pending_requests + _penalty(member, now), member.requests))


def _may_be_probed(member: Member[C], now: float) -> bool:
    return member.ejected_until is not None and member.ejected_until <= now and member.probe is None


def _penalty(member: Member[C], now: float) -> int:
    while member.penalties and member.penalties[0] <= now:
        member.penalties.popleft()
    return len(member.penalties)
