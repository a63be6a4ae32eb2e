"""Who waited for whom.

A request is a *culprit* if its own answer is slow to make, or lost a segment on the way to the client. All others are
*innocent*: whatever they wait for beyond the round trip is somebody else's. An innocent request was *held up* by a culprit
ahead of it on its connection if either rule holds. Neither asks how long a thing took, so no threshold has to be chosen,
and a noisy machine does not turn one answer into the other:

1. **Slow.** It had reached the server, whole, before the slow answer had left it. HTTP/1.1 answers in order (RFC 9112,
   section 9.3.2), so it had to wait, whatever it asked for.
2. **Lost.** All bytes of its own answer had reached the client before the lost ones did. TCP delivers in order (RFC 9293),
   so they lay there, complete, and could not be handed over.

Held up by several, it counts once, and is put down to the one that let it go at last.

What a request *took* is the time from its last byte leaving the client to its answer being handed over there: the one
stretch of its life that the model, the capture and the program all can see. What a caller spends before it, waiting for a
connection to open or to come free, only the program knows; the table has a line for that of its own.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from labs.analysis.percentiles import percentile
from labs.results import Figures, Request


# --8<-- [start:blame]
def blame(connection: Sequence[Request], slow: AbstractSet[int], lost: AbstractSet[int]) -> None:
    """Find the innocent on a connection, and who held them up; sets ``innocent``, ``held_by`` and ``why``.

    Args:
        connection: The connection's requests in the order in which they were sent.
        slow: The indexes of those whose answer is slow to make.
        lost: The indexes of those whose answer lost a segment.
    """
    guilty = slow | lost
    culprits: list[Request] = []
    for request in connection:
        request.innocent = request.index not in guilty
        if not request.innocent:
            culprits.append(request)
            continue
        released: list[tuple[float, str, int]] = []
        for ahead in culprits:
            if ahead.index in slow and _before(request.at_server, ahead.answered):  # rule 1
                released.append((ahead.answered or 0.0, "slow", ahead.index))
            if ahead.index in lost and _before(request.arrived, ahead.arrived):  # rule 2
                released.append((ahead.arrived or 0.0, "lost", ahead.index))
        if released:
            _, request.why, request.held_by = max(released)


# --8<-- [end:blame]


def held_by_each(requests: Iterable[Request], culprits: Iterable[AbstractSet[int]]) -> list[int]:
    """How many innocent requests each culprit held up.

    Args:
        requests: The requests, after `blame`.
        culprits: For each culprit the indexes of its requests: one, or those whose answers a lost segment carried.
    """
    names = [request.held_by for request in requests]
    return [sum(name in culprit for name in names) for culprit in culprits]


def figures(requests: Iterable[Request], culprits: int) -> Figures:
    """What is to be said of a contender's requests, by their times ``sent`` and ``delivered``.

    Args:
        requests: The requests, after `blame`.
        culprits: How many slow answers and lost segments there were. A lost segment counts once, though it may have
            carried the end of one answer and the start of another.
    """
    requests = list(requests)
    held = sum(request.held_by is not None for request in requests)
    return summarize(culprits, held, [(request.innocent, request.sent, request.delivered) for request in requests])


def summarize(culprits: int, held: int, spans: Iterable[tuple[bool, float | None, float | None]]) -> Figures:
    """Put the figures together.

    Args:
        culprits: How many there are.
        held: How many innocent requests were held up.
        spans: Of each request, whether it is innocent, when it left, and when its answer was there; those never answered
            are passed over.
    """
    whole = [(innocent, start, end) for innocent, start, end in spans if start is not None and end is not None]
    took = sorted(end - start for innocent, start, end in whole if innocent)
    total = max(end for _, _, end in whole) - min(start for _, start, _ in whole) if whole else 0.0
    return Figures(culprits, held, percentile(took, 0.50), percentile(took, 0.99), total)


def _before(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other
