"""From an address to a connection.

A peer may have several addresses. Each dial starts with the one after that which the dial before it started with, so that
connections spread over them; if it does not answer the next is tried, until all have been. One deadline stands over all of
it: looking up the name, connecting, and the TLS handshake, which a silent peer could otherwise draw out for ever. Each
address may use its share of the time that is left, so that a silent one does not keep the others from being tried.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import TypeVar

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[0-9A-Za-z._-]+)):(?P<port>[0-9]{1,5})")

P = TypeVar("P", bound=asyncio.Protocol)


class Dialer:
    """Dials the addresses of one peer in turn.

    Args:
        addr: ``host:port``, or several with commas between (fasthttp: Addr). IPv6 in brackets: ``[::1]:8000``.
        tls: Speak TLS, with this context; None for plain TCP (TLSConfig).
        timeout: How long one dial may take over all addresses, in seconds (DialTimeout).

    Raises:
        ValueError: An address without host or port.
    """

    def __init__(self, addr: str, *, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._addresses = [split_address(part.strip()) for part in addr.split(",")]
        self._tls = tls
        self._timeout = timeout
        self._next = 0

    async def dial(self, factory: Callable[[], P]) -> P:
        """Connect, and give the protocol that ``factory`` made.

        Raises:
            OSError: No address answered; the message names each with its reason. A `TimeoutError` (which is one) if one of
                them was silent.
        """
        start = self._next
        self._next = (start + 1) % len(self._addresses)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        kind: type[OSError] = ConnectionError
        failures: list[str] = []
        for tried, (host, port) in enumerate(self._addresses[start:] + self._addresses[:start]):
            share = (deadline - loop.time()) / (len(self._addresses) - tried)
            try:
                async with asyncio.timeout(share):
                    _, protocol = await loop.create_connection(factory, host, port, ssl=self._tls)
            except TimeoutError as error:
                kind = TimeoutError
                failures.append(f"{host}:{port}: {str(error) or f'silent for {share:.3g} s'}")
            except OSError as error:
                failures.append(f"{host}:{port}: {error}")
            else:
                return protocol
        raise kind(f"cannot connect: {'; '.join(failures)}")


def split_address(address: str) -> tuple[str, int]:
    """Take ``host:port`` apart.

    Raises:
        ValueError: It is not of that form.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ValueError(f"{address!r} is not host:port (IPv6 in brackets, names in ASCII)")
    return match["v6"] or match["host"], int(match["port"])
