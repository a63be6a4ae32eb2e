"""From an address to a connection.

A peer may have several addresses. Each dial starts with the one after that which the dial before it started with, so that
connections spread over them; if it does not answer the next is tried, until all have been. One deadline stands over all of
it: looking up the name, connecting, and the TLS handshake, which a silent peer could otherwise draw out for ever.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

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
            OSError: No address answered; the message names each with its reason. A `TimeoutError` (which is one) if that
                took too long.
        """
        start = self._next
        self._next = (start + 1) % len(self._addresses)
        loop = asyncio.get_running_loop()
        failures: list[str] = []
        try:
            async with asyncio.timeout(self._timeout):
                for host, port in self._addresses[start:] + self._addresses[:start]:
                    try:
                        _, protocol = await loop.create_connection(factory, host, port, ssl=self._tls)
                    except OSError as error:
                        failures.append(f"{host}:{port}: {error}")
                    else:
                        return protocol
        except TimeoutError:
            failures.append(f"no answer within {self._timeout:g} s")
            raise TimeoutError(f"cannot connect: {'; '.join(failures)}") from None
        raise ConnectionError(f"cannot connect: {'; '.join(failures)}")


def split_address(address: str) -> tuple[str, int]:
    """Take ``host:port`` apart.

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
