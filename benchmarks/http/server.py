"""Compiles and runs ``server.c``; and what its processes and the clients' have in common."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit
from tempfile import TemporaryDirectory

SERVER_CPU, CLIENT_CPU = 0, 1


class NoCompiler(Exception):
    """The server cannot be compiled here; the text says why."""


def prepare(cpu: int, pid: int = 0) -> None:
    """Keep a process on one CPU, so that client and server do not take turns on one, and let it open many sockets."""
    if cpu in os.sched_getaffinity(pid):
        os.sched_setaffinity(pid, {cpu})
    _, most = prlimit(pid, RLIMIT_NOFILE)
    prlimit(pid, RLIMIT_NOFILE, (most, most))


@contextmanager
def compiled() -> Iterator[Path]:
    """The program, while this is entered.

    Raises:
        NoCompiler: There is no C compiler, or it refuses.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompiler(
            "the server of this benchmark is C, and there is no cc here: install one (Debian: apt install gcc)"
        )
    with TemporaryDirectory(prefix="sleepy-http-") as folder:
        program = Path(folder) / "server"
        source = Path(__file__).with_name("server.c")
        built = subprocess.run([compiler, "-O2", "-o", program, source], capture_output=True, text=True, check=False)
        if built.returncode:
            raise NoCompiler(f"cc cannot compile {source.name}:\n{built.stderr}")
        yield program


@contextmanager
def running(program: Path) -> Iterator[int]:
    """The server, while this is entered; gives its port."""
    pipe = subprocess.PIPE
    with subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True) as server:
        prepare(SERVER_CPU, server.pid)
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()  # it ends by this
