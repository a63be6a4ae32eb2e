"""What two captures, one on each side of a router, tell about what went on between the peers."""
