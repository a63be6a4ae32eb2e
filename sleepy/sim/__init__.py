"""A network inside the process: ordinary asyncio programs on simulated hosts and links, under a clock that jumps."""

from sleepy.sim.link import Arrival, Burst, Carrier, Link

__all__ = ["Arrival", "Burst", "Carrier", "Link"]
