"""Servers that others have written, each in a process of its own, with the same few pages.

    python -m tests.sleepy.tcp.real_peers http.server

The address is on the first line of its output. It ends when its input does, so that it never outlives the test.
"""

import asyncio
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from labs.ports import reserve_port
from tests.sleepy.tcp.helpers import PATIENCE

ROOT = Path(__file__).parents[3]
LARGE = bytes(range(256)) * 32768  # 8 MiB
PIECES = (b"first ", b"second ", b"last")
IDLE = 0.5  # seconds after which a peer closes an idle connection


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE

    def _answer(self, status: int, body: bytes | None, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path in {"/204", "/304"}:
            self._answer(int(self.path[1:]), None)
        elif self.path == "/chunked":
            self._answer(200, None, ("Transfer-Encoding", "chunked"))
            for piece in (*PIECES, b""):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        elif self.path == "/until-close":
            self.close_connection = True
            self._answer(200, None)
            self.wfile.write(b"".join(PIECES))
        else:
            self._answer(200, LARGE if self.path == "/large" else str(self.client_address[1]).encode())

    do_HEAD = do_GET  # noqa: N815 -- the name is the base class's

    def do_POST(self) -> None:
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"])))


def serve_http_server(sock: socket.socket) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    server.serve_forever()


def serve_aiohttp(sock: socket.socket) -> None:
    web = import_module("aiohttp.web")

    async def get(request: Any) -> Any:
        path = request.path
        if path in {"/204", "/304"}:
            return web.Response(status=int(path[1:]))
        if path == "/chunked":
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            for piece in PIECES:
                await response.write(piece)
            return response
        return web.Response(body=LARGE if path == "/large" else str(request.transport.get_extra_info("peername")[1]))

    async def post(request: Any) -> Any:
        return web.Response(body=await request.read())

    application = web.Application(client_max_size=64 << 20)
    application.router.add_get("/{path:.*}", get)
    application.router.add_post("/{path:.*}", post)
    web.run_app(application, sock=sock, print=None, keepalive_timeout=IDLE)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The pages as ASGI."""
    path, status, pieces = scope["path"], 200, (str(scope["client"][1]).encode(),)
    fields: list[tuple[bytes, bytes]] = []
    if scope["method"] == "POST":
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]
        pieces = (body,)
    elif path in {"/204", "/304"}:
        status, pieces = int(path[1:]), (b"",)
    elif path == "/chunked":
        pieces = PIECES  # type: ignore[assignment]
    elif path == "/large":
        pieces = (LARGE,)
    if status == 200 and len(pieces) == 1:
        fields.append((b"content-length", str(len(pieces[0])).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})


def serve_uvicorn(sock: socket.socket, parser: str) -> None:
    uvicorn = import_module("uvicorn")
    options = {"http": parser, "lifespan": "off", "log_level": "warning", "timeout_keep_alive": 1, "loop": "asyncio"}
    asyncio.run(uvicorn.Server(uvicorn.Config(application, **options)).serve(sockets=[sock]))


SERVERS: dict[str, tuple[str, Callable[[socket.socket], None]]] = {  # and what must be there
    "http.server": ("http.server", serve_http_server),
    "aiohttp": ("aiohttp", serve_aiohttp),
    "uvicorn-h11": ("uvicorn", lambda sock: serve_uvicorn(sock, "h11")),
    "uvicorn-httptools": ("uvicorn", lambda sock: serve_uvicorn(sock, "httptools")),
}


def main() -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=128)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it only on sockets that it has made
    print("{}:{}".format(*sock.getsockname()), flush=True)  # noqa: T201 -- for the test
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    SERVERS[sys.argv[1]][1](sock)


@contextmanager
def running(name: str, folder: Path) -> Iterator[str]:
    """One of `SERVERS`; its address. What it logs is shown if the test fails."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "tests.sleepy.tcp.real_peers", name]
    pipe = subprocess.PIPE
    with (
        log.open("wb") as stderr,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=stderr) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().decode().strip()
            assert address, f"{name} did not start: {log.read_text()}"
            yield address
        finally:
            process.kill()
            process.wait(20)
            print(log.read_text()[-5000:])  # noqa: T201 -- pytest shows it if the test failed


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type text/plain; ssi_types text/plain;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  keepalive_requests {keepalive_requests}; keepalive_timeout {keepalive_timeout};
  client_max_body_size 64m;
  server {{
    listen {address}; listen {tls_address} ssl; listen unix:{folder}/socket;
    ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key;
    root {folder}/www;
    location / {{ return 200 "$connection"; }}
    location = /204 {{ return 204; }}
    location = /304 {{ return 304; }}
    location = /large {{ }}
    location = /chunked {{ ssi on; }}
    location = /small {{ client_max_body_size 1k; dav_methods PUT; }}
    location = /put {{ dav_methods PUT; }}
  }}
}}
"""


@contextmanager
def nginx(
    program: str, folder: Path, certificate: Any, *, keepalive_requests: int = 1000, keepalive_timeout: str = "60s"
) -> Iterator[tuple[str, str]]:
    """nginx; its address, and that for TLS. It also listens at ``socket`` in the folder."""
    (folder / "www").mkdir()
    (folder / "www" / "large").write_bytes(LARGE)
    (folder / "www" / "chunked").write_bytes(b"".join(PIECES))
    certificate.private_key_pem.write_to_path(folder / "key")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "certificate", append=True)
    address, tls_address = (f"127.0.0.1:{reserve_port()}" for _ in range(2))
    config = NGINX.format(
        folder=folder,
        address=address,
        tls_address=tls_address,
        keepalive_requests=keepalive_requests,
        keepalive_timeout=keepalive_timeout,
    )
    (folder / "nginx.conf").write_text(config)
    log = folder / "log"
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            until_it_listens(process, folder / "socket")  # the last of the three
            yield address, tls_address
        finally:
            process.kill()
            process.wait(20)
            print(log.read_text()[-5000:])  # noqa: T201 -- pytest shows it if the test failed


def until_it_listens(process: subprocess.Popen[bytes], path: Path) -> None:
    """Try until somebody answers: nobody tells."""
    end = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_UNIX) as sock:
        while sock.connect_ex(str(path)):
            assert process.poll() is None, "nginx has ended"
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.01)


if __name__ == "__main__":
    main()
