"""One socket and many peers, on asyncio: nodes, peers, streams."""
