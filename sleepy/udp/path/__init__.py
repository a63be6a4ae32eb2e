"""The way to a peer and back: what was lost, how fast to send, how large a packet may be."""
