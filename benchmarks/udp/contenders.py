"""Who takes part, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.udp.load import Client


@dataclass(frozen=True)
class Contender:
    """How to make both ends.

    Attributes:
        module: Where they are; it is imported only by whoever makes one.
        client: What makes the client there, of a port.
        options: For the client and for ``serve``.
        needs: The modules that must be installed.
        streams: Whether it takes part in the bulk transfer.
        compiled: Whether it is our package compiled by mypyc.
    """

    module: str
    client: str
    options: dict[str, bool]
    needs: tuple[str, ...] = ()
    streams: bool = True
    compiled: bool = False

    def connect(self, port: int) -> Client:
        client: Client = getattr(self._module(), self.client)(port, **self.options)
        return client

    def serve(self, announce: Callable[[int], None]) -> None:
        partial(self._module().serve, announce, **self.options)()

    def _module(self) -> Any:
        return import_module(f"benchmarks.udp.{self.module}")


def _node(*, plain: bool, uvloop: bool, compiled: bool = False) -> Contender:
    options = {"plain": plain, "uvloop": uvloop}
    return Contender("nodes", "NodeClient", options, ("uvloop",) if uvloop else (), compiled=compiled)


CONTENDERS = {
    "sleepy": _node(plain=False, uvloop=False),
    "sleepy, uvloop": _node(plain=False, uvloop=True),
    "sleepy compiled": _node(plain=False, uvloop=False, compiled=True),
    "sleepy compiled, uvloop": _node(plain=False, uvloop=True, compiled=True),
    "sleepy plain": _node(plain=True, uvloop=False),
    "sleepy plain, uvloop": _node(plain=True, uvloop=True),
    "sleepy compiled plain": _node(plain=True, uvloop=False, compiled=True),
    "sleepy compiled plain, uvloop": _node(plain=True, uvloop=True, compiled=True),
    "aioquic stream": Contender("quic", "QuicClient", {"uvloop": False}, ("aioquic",)),
    "aioquic stream, uvloop": Contender("quic", "QuicClient", {"uvloop": True}, ("aioquic", "uvloop")),
    "ENet": Contender("enet_hosts", "EnetClient", {}, ("enet",), streams=False),
}
