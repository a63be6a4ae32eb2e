"""Robust, fast peer-to-peer networking, and the source its lessons are cut from.

* `sleepy.tcp`: fasthttp's clients and server over HTTP/1.1 and over a peer's own frames.
* `sleepy.udp`: reliable.io's endpoint, and messages between peers above it.
* `sleepy.sim`: a deterministic network inside the process.
* `sleepy.trace`: one event schema for all of them.
"""

from sleepy.errors import SleepyError

__all__ = ["SleepyError"]
__version__ = "0.1.0"
