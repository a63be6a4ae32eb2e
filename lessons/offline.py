"""Shows the site in the folder beside this file, to this machine only.

    python3 serve.py

Needs Python 3 and nothing else. A page opened from the disk may not start a worker, so its diagrams would not run; from here
they do. Ctrl-C ends it.
"""

import sys
from argparse import ArgumentParser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Files, with the types that browsers insist on, whatever this system's table says."""

    extensions_map = {  # noqa: RUF012  the base class's name and kind
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".svg": "image/svg+xml",
    }

    def list_directory(self, path: object) -> None:  # noqa: ARG002  the base class's name
        """A folder without a page is no page."""
        self.send_error(404)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing of what goes well."""


def main() -> int:
    """Serve until Ctrl-C."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8800, help="8800 unless given; 0: any that is free")
    port: int = parser.parse_args().port
    site = Path(__file__).resolve().parent / "site"
    if not (site / "index.html").is_file():
        print(f"there is no site in {site}: unpack the whole zip, and keep this file beside it", file=sys.stderr)
        return 2
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(site)))
    except OSError as error:
        print(f"port {port} cannot be had ({error}): choose another with --port", file=sys.stderr)
        return 2
    with server:
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
