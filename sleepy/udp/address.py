"""Where a peer is."""

from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
"""Host and port, as sockets give them; of IPv6's four items the first two."""


def in_words(address: Address) -> str:
    """``host:port``; an IPv6 host stands in brackets, since it has colons of its own (RFC 3986, section 3.2.2)."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
