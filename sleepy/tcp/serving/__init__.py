"""The other end: a server, and what it does on each connection."""
