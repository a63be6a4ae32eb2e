"""The firewall's part: rules that pick packets out by server port, to drop them exactly or to queue them.

nftables takes its rules over netlink: a rule is a row of expressions, each of which loads something into a register,
compares a register, or acts; the first comparison that fails ends the row. So neither ``nft`` nor ``iptables`` need be
installed. All our rules live in one table of our own, and go with it.
"""

import errno
import socket
import struct
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.main import NFTables

from sleepy.sim import Link

TABLE = "sleepy"

_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_*_HEADER
_MARK, _L4PROTO = 3, 16  # NFT_META_*
_EQUAL, _GREATER = 0, 4  # NFT_CMP_*
_DROP, _ACCEPT, _JUMP = 0, 1, -3  # NF_DROP, NF_ACCEPT, NFT_JUMP
_FORWARD = "forward"
_SOURCE, _DESTINATION = 0, 2  # where a TCP header has its ports

Expression = Mapping[str, Any]


class Firewall:
    """Our table in this network namespace. As a context it removes itself at the end.

    Raises:
        OSError: No privilege, or no nftables in this kernel.
    """

    def __init__(self) -> None:
        self._nft = NFTables(nfgen_family=socket.AF_INET)
        try:
            self._do(self._nft.table, "add", name=TABLE)
            self._do(self._nft.chain, "add", table=TABLE, name=_FORWARD, hook=_FORWARD, type="filter", policy=_ACCEPT)
        except OSError:
            self._nft.close()
            raise

    def queue(self, ports: Sequence[int], number: int) -> None:
        """Send the TCP segments of these server ports into NFQUEUE ``number``.

        Raises:
            OSError: This kernel has neither nft_queue nor the NFQUEUE target of iptables.
        """
        for port in ports:
            for side in (_SOURCE, _DESTINATION):
                try:
                    self._rule(*_tcp_port(side, port), _expression("queue", NFTA_QUEUE_NUM=number, NFTA_QUEUE_TOTAL=1))
                except FileNotFoundError:  # no nft_queue; iptables' own will do
                    self._rule(*_tcp_port(side, port), _nfqueue_target(number))

    def drop(self, ports: Sequence[int], to_server: Link, to_client: Link) -> None:
        """Drop what the links' drop lists say, for each server port and direction anew.

        A counted segment is one that carries data: its length exceeds that of its headers. The firewall cannot
        calculate, so there is a rule for every length a TCP header may have; IP headers have no options here.
        """
        self._do(self._nft.chain, "add", table=TABLE, name="data")
        for words in range(5, 16):
            self._rule(
                *_tcp_header_of(words),
                *_compare(_payload(_NETWORK, 2, 2), struct.pack("!H", 20 + words * 4), _GREATER),
                _verdict(_JUMP, "data"),
            )
        for side, link in ((_DESTINATION, to_server), (_SOURCE, to_client)):
            for port in ports if link.drop else ():
                count = (
                    _expression("numgen", NFTA_NG_DREG=1, NFTA_NG_MODULUS=1 << 30, NFTA_NG_TYPE=0, NFTA_NG_OFFSET=1),
                    _expression("meta", NFTA_META_KEY=_MARK, NFTA_META_SREG=1),
                )
                self._rule(*_tcp_port(side, port), *count, chain="data")  # the segment's number becomes its mark
                for index in link.drop:
                    marked = _compare(_meta(_MARK), struct.pack("=I", index))
                    self._rule(*_tcp_port(side, port), *marked, _expression("counter"), _verdict(_DROP), chain="data")

    def dropped(self) -> int:
        """How many packets the drop lists took, by the firewall's own count."""
        total = 0
        for rule in self._nft.get_rules():
            if rule.get_attr("NFTA_RULE_TABLE") == TABLE:
                for expression in rule.get_attr("NFTA_RULE_EXPRESSIONS"):
                    if expression.get_attr("NFTA_EXPR_NAME") == "counter":
                        total += expression.get_attr("NFTA_EXPR_DATA").get_attr("NFTA_COUNTER_PACKETS")
        return total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._nft.table, "del", name=TABLE)
        self._nft.close()

    def _rule(self, *expressions: Expression, chain: str = _FORWARD) -> None:
        self._do(self._nft.rule, "add", table=TABLE, chain=chain, expressions=(expressions,))

    @staticmethod
    def _do(command: Any, *args: str, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except NetlinkError as error:
            raise OSError(error.code, f"nftables: {errno.errorcode.get(error.code, error.code)}") from error


def _expression(name: str, **attributes: object) -> Expression:
    data = ("NFTA_EXPR_DATA", {"attrs": list(attributes.items())})
    return {"attrs": [("NFTA_EXPR_NAME", name), data]}


def _payload(base: int, offset: int, length: int) -> Expression:
    """Load bytes of a header into register 1."""
    return _expression(
        "payload",
        NFTA_PAYLOAD_DREG=1,
        NFTA_PAYLOAD_BASE=base,
        NFTA_PAYLOAD_OFFSET=offset,
        NFTA_PAYLOAD_LEN=length,
    )


def _meta(key: int) -> Expression:
    """Load what the kernel knows of the packet into register 1."""
    return _expression("meta", NFTA_META_KEY=key, NFTA_META_DREG=1)


def _compare(load: Expression, value: bytes, how: int = _EQUAL) -> tuple[Expression, ...]:
    """Go on only if what is loaded compares so with the value."""
    data = {"attrs": [("NFTA_DATA_VALUE", value)]}
    return load, _expression("cmp", NFTA_CMP_SREG=1, NFTA_CMP_OP=how, NFTA_CMP_DATA=data)


def _tcp() -> tuple[Expression, ...]:
    return _compare(_meta(_L4PROTO), bytes([socket.IPPROTO_TCP]))


def _tcp_port(side: int, port: int) -> tuple[Expression, ...]:
    return *_tcp(), *_compare(_payload(_TRANSPORT, side, 2), struct.pack("!H", port))


def _tcp_header_of(words: int) -> tuple[Expression, ...]:
    """Go on only if the TCP header has so many 32-bit words (the upper half of its 13th byte)."""
    mask, zero = ({"attrs": [("NFTA_DATA_VALUE", bytes([byte]))]} for byte in (0xF0, 0))
    keep_upper_half = _expression(
        "bitwise",
        NFTA_BITWISE_SREG=1,
        NFTA_BITWISE_DREG=1,
        NFTA_BITWISE_LEN=1,
        NFTA_BITWISE_MASK=mask,
        NFTA_BITWISE_XOR=zero,
    )
    return *_tcp(), _payload(_TRANSPORT, 12, 1), *_compare(keep_upper_half, bytes([words << 4]))


def _verdict(code: int, chain: str | None = None) -> Expression:
    attributes: list[tuple[str, object]] = [("NFTA_VERDICT_CODE", code)]
    if chain:
        attributes.append(("NFTA_VERDICT_CHAIN", chain))
    data = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": attributes})]}
    return _expression("immediate", NFTA_IMMEDIATE_DREG=0, NFTA_IMMEDIATE_DATA=data)


def _nfqueue_target(number: int) -> Expression:
    """The same as ``queue``, by iptables' target (struct xt_NFQ_info_v3: queue, how many, flags)."""
    info = struct.pack("=HHHxx", number, 1, 0)
    return _expression("target", NFTA_TARGET_NAME="NFQUEUE", NFTA_TARGET_REV=3, NFTA_TARGET_INFO=info)
