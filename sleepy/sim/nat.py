"""What a NAT makes of the addresses of those behind it.

A network address translator lets a whole house speak from one address. For every conversation that begins inside it lends
out a port of its own (a *mapping*), writes that into what goes out, and writes the inside address back into what returns.
Nobody outside can begin anything: what comes for a port that was lent to nobody has nowhere to go. Two peers who are both
behind a NAT therefore both wait to be called, and whether they can meet at all depends on two habits of their NATs:

- *Mapping*: does an inside socket keep its outside port when it speaks to somebody else? If so, where one outsider sees it
  another can answer.
- *Filtering*: who may answer? Anybody, any port of a host that was spoken to, or only the very address that was spoken to?

Each depends on nothing, on the remote host, or on the remote host and port (RFC 4787, sections 4.1 and 5). The names of old
(RFC 3489, section 5) are four of these nine pairs:

| | outside port | may answer |
|---|---|---|
| `Nat.FULL_CONE` | one for all | anybody |
| `Nat.RESTRICTED_CONE` | one for all | any port of a host spoken to |
| `Nat.PORT_RESTRICTED_CONE` | one for all | only an address spoken to |
| `Nat.SYMMETRIC` | another for every address | only an address spoken to |

Rules:

1. What goes out makes a mapping, or uses the one that ``mapping`` says. Its port is drawn at random from those free
   (RFC 6056), so nobody can foretell it. If none is free nothing goes out.
2. What comes in passes if ``filtering`` lets it: if something went out lately to whatever that depends on.
3. Lately means within ``timeout`` seconds. Only what goes *out* renews it: what comes in proves nothing about the wishes
   of those inside (RFC 4787, section 4.3).
4. A mapping lives as long as somebody may answer by it; then its port is free for others.

The module decides and does nothing: no packets, no clock. `sleepy.sim.nat_router` applies it to packets.
"""

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import ClassVar, Final

Address = tuple[str, int]

PORTS: Final = range(1024, 65536)


class Dependence(Enum):
    """On what of the remote side a NAT lets something depend (RFC 4787, section 4.1)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"

    def part(self, remote: Address) -> tuple[str | int, ...]:
        """The part of a remote address that counts."""
        if self is Dependence.ENDPOINT_INDEPENDENT:
            return ()
        return remote[:1] if self is Dependence.ADDRESS_DEPENDENT else remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Nat:
    """The habits of a NAT; `Network.nat` puts them to work.

    ``dataclasses.replace(Nat.SYMMETRIC, timeout=30.0)`` is one of the four that have names, with another figure.

    Args:
        mapping: On what the outside port depends.
        filtering: On what it depends who may answer.
        timeout: For how long after a UDP datagram went out one may come in, in seconds. RFC 4787 asks for 120 at least, many
            a router at home has 30.
        tcp_timeout: The same for TCP (RFC 5382, section 5). TCP's own end is not looked at.
        hairpinning: Whether those inside reach each other by the outside address (RFC 4787, section 6).

    Raises:
        ValueError: A timeout is not above zero; or what something depends on is no `Dependence`.
    """

    mapping: Dependence = Dependence.ENDPOINT_INDEPENDENT
    filtering: Dependence = Dependence.ADDRESS_AND_PORT_DEPENDENT
    timeout: float = 120.0
    tcp_timeout: float = 7440.0
    hairpinning: bool = False

    FULL_CONE: ClassVar["Nat"]
    RESTRICTED_CONE: ClassVar["Nat"]
    PORT_RESTRICTED_CONE: ClassVar["Nat"]
    SYMMETRIC: ClassVar["Nat"]

    def __post_init__(self) -> None:
        for name in ("mapping", "filtering"):
            if not isinstance(getattr(self, name), Dependence):
                known = ", ".join(f"sim.{one}" for one in Dependence)
                raise ValueError(f"{name} is {getattr(self, name)!r}, but it is one of {known}")
        for name in ("timeout", "tcp_timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, but it is a time in seconds, more than 0")


Nat.FULL_CONE = Nat(filtering=Dependence.ENDPOINT_INDEPENDENT)
Nat.RESTRICTED_CONE = Nat(filtering=Dependence.ADDRESS_DEPENDENT)
Nat.PORT_RESTRICTED_CONE = Nat()
Nat.SYMMETRIC = Nat(mapping=Dependence.ADDRESS_AND_PORT_DEPENDENT)


@dataclass(slots=True)
class _Mapping:
    """A port that is lent out.

    Attributes:
        inside: To whom.
        key: Under which it is found for what goes out.
        sent: When something went out last, by the part of the remote address that filtering depends on; the oldest first.
    """

    inside: Address
    key: tuple[Address, tuple[str | int, ...]]
    sent: dict[tuple[str | int, ...], float] = field(default_factory=dict[tuple[str | int, ...], float])


class NatTable:
    """The mappings of a NAT for one protocol.

    Args:
        nat: Its habits.
        timeout: How long is lately, in seconds (rule 3).
        random: Its source of chance.
    """

    __slots__ = ("_by_inside", "_by_port", "_nat", "_random", "_timeout")

    def __init__(self, nat: Nat, timeout: float, random: Random) -> None:
        self._nat = nat
        self._timeout = timeout
        self._random = random
        self._by_inside: dict[tuple[Address, tuple[str | int, ...]], int] = {}
        self._by_port: dict[int, _Mapping] = {}  # the one longest unused first

    def __len__(self) -> int:
        """Number of mappings, among them some whose time may be over."""
        return len(self._by_port)

    # --8<-- [start:outbound]
    def outbound(self, inside: Address, remote: Address, now: float) -> int | None:
        """Something goes out: from which port, if any is left (rule 1)?"""
        self._expire(now)
        key = inside, self._nat.mapping.part(remote)
        port = self._by_inside.get(key)
        if port is None:
            port = self._free_port()
            if port is None:
                return None
            self._by_inside[key] = port
            self._by_port[port] = _Mapping(inside, key)
        mapping = self._by_port[port] = self._by_port.pop(port)  # to the end, being the last used now
        part = self._nat.filtering.part(remote)
        mapping.sent.pop(part, None)
        mapping.sent[part] = now
        while now - next(iter(mapping.sent.values())) > self._timeout:
            del mapping.sent[next(iter(mapping.sent))]
        return port

    def inbound(self, port: int, remote: Address, now: float) -> Address | None:
        """Something comes in: for whom, if it may pass (rule 2)?"""
        mapping = self._by_port.get(port)
        if mapping is None:
            return None
        sent = mapping.sent.get(self._nat.filtering.part(remote))
        return mapping.inside if sent is not None and now - sent <= self._timeout else None

    # --8<-- [end:outbound]

    def _expire(self, now: float) -> None:
        """Rule 4."""
        while self._by_port:
            port, mapping = next(iter(self._by_port.items()))
            if now - next(reversed(mapping.sent.values())) <= self._timeout:
                break
            del self._by_port[port], self._by_inside[mapping.key]

    def _free_port(self) -> int | None:
        if len(self._by_port) == len(PORTS):
            return None
        while True:
            port = self._random.choice(PORTS)
            if port not in self._by_port:
                return port
