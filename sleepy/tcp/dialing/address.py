"""Where a peer is: a host and a port, or a path.

    example.org:8000     a name and a port
    127.0.0.1:8000       an IPv4 address
    [::1]:8000           an IPv6 address: in brackets, since it has colons of its own
    unix:/run/app.sock   a Unix socket

Names are compared and looked up in ASCII. One with other letters is encoded as IDNA says (``bücher.example`` is
``xn--bcher-kva.example``). Python's codec speaks the IDNA of 2003; for four characters the one of 2008, as in browsers,
names another host, so a name with one of those is refused rather than taken for the wrong one.

A host is checked to the end here, so that nothing is dialed, and no certificate asked for, in the name of what cannot be
one. Above all, what looks like a number is a whole IPv4 address or nothing: the system's own functions would take ``127.1``
or ``0x7f000001`` for ``127.0.0.1``, and a filter that goes by the text would not.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

_LABEL = r"[0-9A-Za-z_-]{1,63}"  # RFC 1035, section 2.3.4; with _, which many real names have
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?")
_LONGEST_NAME = 254  # characters, with the dot at its end
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")  # WHATWG URL, "ends in a number checker"
_AMBIGUOUS = frozenset("ßς\u200c\u200d")  # the deviation characters of UTS 46
_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Address:
    """One place to dial.

    Attributes:
        host: A name in ASCII, or an IP address; empty for a Unix socket.
        port: 1 to 65535; 0 for a Unix socket.
        path: A Unix socket's path; else empty.
    """

    host: str
    port: int
    path: str = ""

    @property
    def is_name(self) -> bool:
        """Whether the host has to be looked up."""
        return not self.path and ":" not in self.host and not _is_ipv4(self.host)

    @property
    def authority(self) -> str:
        """What to call it in a ``Host`` field; a Unix socket has no name but this machine's."""
        return "localhost" if self.path else str(self)

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}" if self.path else f"{bracketed(self.host)}:{self.port}"


def parse_addresses(text: str, default_port: int | None = None) -> tuple[Address, ...]:
    """Read one address, or several with commas between (fasthttp: Addr).

    Args:
        text: The addresses.
        default_port: The port of those that name none; None if each has to.

    Raises:
        ValueError: One is of none of the forms above.
    """
    return tuple(parse_address(part.strip(), default_port) for part in text.split(","))


def parse_address(text: str, default_port: int | None = None) -> Address:
    """Read one address; see `parse_addresses`."""
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if not path or "\0" in path:
            raise ValueError(f"{text!r} names no Unix socket: write unix:/path")
        return Address("", 0, path)
    match = _ADDRESS.fullmatch(text)
    port = 0 if match is None else int(match["port"] or default_port or 0)
    if match is None or not 0 < port < 65536:
        raise ValueError(f"{text!r} is not host:port with a port from 1 to 65535 (IPv6 in brackets), nor unix:/path")
    try:
        return Address(parse_host(match["host"]), port)
    except ValueError as error:
        raise ValueError(f"{text!r} is not host:port: {error}") from None


@lru_cache(1024)  # a program meets the same hosts over and over
def parse_host(text: str) -> str:
    """A host as it is looked up and compared: in ASCII and lower case, an IPv6 address short and without its brackets.

    Raises:
        ValueError: It is neither a name nor an address; the error says why.
    """
    if text.startswith("[") and text.endswith("]"):
        return _parse_ipv6(text[1:-1])
    name = text if text.isascii() else _to_ascii(text)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(f"{text!r} is no host name: letters, digits, - and _ in labels of 1 to 63, 253 in all")
    if _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]) and not _is_ipv4(name):
        raise ValueError(f"{text!r} looks like an IPv4 address and is none: write four numbers, each from 0 to 255")
    return name.lower()


def bracketed(host: str) -> str:
    """A host as it stands before a port (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ipaddress.AddressValueError:
        return False
    return True


def _parse_ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ipaddress.AddressValueError as error:
        raise ValueError(f"{text!r} is no IPv6 address: {error}") from None
    if address.scope_id is not None:
        raise ValueError(f"{text!r} has a zone, which means something on one machine only: use an address without one")
    return str(address)


def _to_ascii(name: str) -> str:
    """RFC 3490, section 4."""
    if _AMBIGUOUS.intersection(name):
        raise ValueError(f"{name!r} is one host by IDNA 2003 and another by IDNA 2008: give it in its xn-- form")
    if len(name) > _LONGEST_NAME:
        return name  # too long as it is, and the codec would take its time
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{name!r} is no host name: {error}") from None
