"""aioquic: messages on a stream, which is reliable and ordered too; without coroutines, straight from its events.

That is its cheapest way: what is sent while a datagram is looked at leaves at the end of it, so messages share packets.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.asyncio import serve as serve_quic
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.udp.load import HOST, MESSAGE, PIECE, WINDOW, loop_factory

ALPN = ["bench"]


class Asking(QuicConnectionProtocol):
    """The client's side."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.left = self.due = 0  # messages to be sent, bytes to come
        self.stream = -1
        self.done: asyncio.Future[None]

    async def echo(self, count: int) -> None:
        if self.stream < 0:
            self.stream = self._quic.get_next_available_stream_id()
        self.done = asyncio.get_running_loop().create_future()
        self.left, self.due = count - WINDOW, count * len(MESSAGE)
        self._send(WINDOW)
        self.transmit()
        await self.done

    def _send(self, count: int) -> None:
        for _ in range(count):
            self._quic.send_stream_data(self.stream, MESSAGE)

    async def bulk(self, pieces: int) -> None:
        stream = self._quic.get_next_available_stream_id()
        self.done = asyncio.get_running_loop().create_future()
        for _ in range(pieces):
            self._quic.send_stream_data(stream, PIECE)
        self._quic.send_stream_data(stream, b"", end_stream=True)
        self.transmit()
        await self.done

    def quic_event_received(self, event: QuicEvent) -> None:
        if not isinstance(event, StreamDataReceived):
            return
        if event.stream_id == self.stream:
            self.due -= len(event.data)
            under_way = -(-self.due // len(MESSAGE)) - self.left  # what came in part is still under way
            more = min(self.left, WINDOW - under_way)
            self._send(more)
            self.left -= more
        if (event.end_stream or self.due == 0) and not self.done.done():
            self.done.set_result(None)


class Answering(QuicConnectionProtocol):
    """The server's side: what begins like an echo goes back, the rest is read."""

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            data = event.data if event.data[:1] == MESSAGE[:1] else b""
            if data or event.end_stream:
                self._quic.send_stream_data(event.stream_id, data, end_stream=event.end_stream)


class QuicClient:
    """A connection to one server."""

    def __init__(self, port: int, *, uvloop: bool) -> None:
        self.runner = asyncio.Runner(loop_factory=loop_factory(uvloop))
        configuration = QuicConfiguration(alpn_protocols=ALPN, verify_mode=ssl.CERT_NONE)
        self.opening = connect(HOST, port, configuration=configuration, create_protocol=Asking)
        self.protocol: Any = self.runner.run(self._connect())

    async def _connect(self) -> Any:
        return await self.opening.__aenter__()

    def echo(self, count: int) -> None:
        self.runner.run(self.protocol.echo(count))

    def bulk(self, pieces: int) -> None:
        self.runner.run(self.protocol.bulk(pieces))


def certified(folder: Path) -> QuicConfiguration:
    """A server's configuration, with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate").write_bytes(certificate.public_bytes(encoding))
    configuration = QuicConfiguration(is_client=False, alpn_protocols=ALPN)
    configuration.load_cert_chain(folder / "certificate", folder / "key")
    return configuration


def serve(announce: Callable[[int], None], *, uvloop: bool) -> None:
    async def main() -> None:
        with TemporaryDirectory(prefix="sleepy-quic-") as folder:
            configuration = certified(Path(folder))
        server: Any = await serve_quic(HOST, 0, configuration=configuration, create_protocol=Answering)
        announce(server._transport.get_extra_info("sockname")[1])  # noqa: SLF001  # it has no public way to tell
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=loop_factory(uvloop)) as runner:
        runner.run(main())
