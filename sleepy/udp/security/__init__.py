"""Who a peer is, and what only the two of us can read: keys, handshake, protection."""
