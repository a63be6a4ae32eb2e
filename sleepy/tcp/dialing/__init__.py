"""From an address to a connection: names, addresses, dials."""
