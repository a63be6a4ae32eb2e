"""Where a peer is."""

from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
"""Host and port, as sockets give them; of IPv6's four items the first two."""
