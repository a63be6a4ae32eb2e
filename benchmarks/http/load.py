"""What a client is asked to do."""

import json
from dataclasses import asdict, dataclass, replace

BODY = b"Hello, World!"
TIMEOUT = 2.0  # seconds; every client that can have a deadline has this one


@dataclass(frozen=True)
class Load:
    """Where a client finds its servers, and what it may use.

    Attributes:
        port: The servers' port.
        hosts: Their addresses.
        connections: How many connections may be busy at once.
        idle: How many more stand idle.
    """

    port: int = 0
    hosts: tuple[str, ...] = ("127.0.0.1",)
    connections: int = 64
    idle: int = 0

    def at(self, port: int) -> "Load":
        """The same at another port."""
        return replace(self, port=port)

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> "Load":
        values = json.loads(text)
        return cls(**values | {"hosts": tuple(values["hosts"])})


def addresses(count: int) -> tuple[str, ...]:
    """So many addresses of this machine."""
    return tuple(f"127.0.{number // 250}.{number % 250 + 1}" for number in range(count))
