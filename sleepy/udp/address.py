"""Where a peer is."""

from typing import Final, TypeAlias, cast

Address: TypeAlias = tuple[str, int]
"""Host and port, as sockets give them; of IPv6's four items the first two."""


HIGHEST_PORT: Final = 65535


def in_words(address: Address) -> str:
    """``host:port``; an IPv6 host stands in brackets, since it has colons of its own (RFC 3986, section 3.2.2)."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_address(address: Address) -> None:
    """See that it is one, before the system takes it apart: it would take port 65,616 for 80.

    Raises:
        TypeError: It is no pair.
        ValueError: There is no such port.
    """
    if not _is_pair(address):
        raise TypeError(f"{address!r} is no address; give (host, port), such as ('127.0.0.1', 9000)")
    host, port = address
    if not 0 <= int(port) <= HIGHEST_PORT:
        raise ValueError(f"port {port} of {host!r} does not exist; choose from 0 to {HIGHEST_PORT}")


def _is_pair(address: object) -> bool:
    return isinstance(address, tuple | list) and len(cast("tuple[object, ...]", address)) == 2
