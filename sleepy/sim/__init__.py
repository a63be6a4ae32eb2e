"""A network inside the process: ordinary asyncio programs on simulated hosts and links, under a clock that jumps."""

from sleepy.sim.clock import DeadlockError, RunawayError
from sleepy.sim.host import Host
from sleepy.sim.link import Arrival, Burst, Carrier, Link
from sleepy.sim.nat import Dependence, Nat
from sleepy.sim.network import Network
from sleepy.sim.runner import run

__all__ = [
    "Arrival",
    "Burst",
    "Carrier",
    "DeadlockError",
    "Dependence",
    "Host",
    "Link",
    "Nat",
    "Network",
    "RunawayError",
    "run",
]
