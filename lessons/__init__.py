"""The lessons, and the tools that keep them true."""
