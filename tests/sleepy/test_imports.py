"""Who may import whom, and how long a module may grow."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sleepy", "labs", "lessons")
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
MODULES = {name: path for name, path in SOURCES.items() if name.split(".")[0] == "sleepy"}

# The modules that do I/O or keep time. A new module is held to the stricter rule until it is named here.
SHELLS = {
    "sleepy.integrations.httpx",
    "sleepy.integrations.opentelemetry",
    "sleepy.tcp.client",
    "sleepy.tcp.connection",
    "sleepy.tcp.dialing.dialer",
    "sleepy.tcp.dialing.handover",
    "sleepy.tcp.dialing.happy_eyeballs",
    "sleepy.tcp.dialing.dials",
    "sleepy.tcp.options",
    "sleepy.tcp.client_connection",
    "sleepy.tcp.exchange",
    "sleepy.tcp.host_client",
    "sleepy.tcp.lb_client",
    "sleepy.tcp.multiplex_client",
    "sleepy.tcp.serving.multiplex_session",
    "sleepy.tcp.peer_client",
    "sleepy.tcp.pipeline_client",
    "sleepy.tcp.dialing.resolver",
    "sleepy.tcp.serving.request_body",
    "sleepy.tcp.serving.server",
    "sleepy.tcp.serving.session",
    "sleepy.tcp.streams",
    "sleepy.tcp.traced_connection",
    "sleepy.tcp.serving.watch",
    "sleepy.udp.nodes.batch",
    "sleepy.udp.nodes.consent",
    "sleepy.udp.nodes.block_desk",
    "sleepy.udp.nodes.node",
    "sleepy.udp.nodes.peer",
    "sleepy.udp.nodes.peer_blocks",
    "sleepy.udp.nodes.plain_node",
    "sleepy.udp.nodes.secure_node",
    "sleepy.udp.nodes.streams",
    "sleepy.udp.nodes.turnstile",
    "sleepy.udp.rendezvous",
    "sleepy.udp.nat.reachable_node",
}
# The simulator is an event loop, so it is the other way round: these must also work without one.
SIMULATED = {
    "sleepy.sim.link",
    "sleepy.sim.nat",
    "sleepy.sim.tcp.congestion",
    "sleepy.sim.tcp.receiver",
    "sleepy.sim.tcp.round_trip",
    "sleepy.sim.tcp.sender",
}
SANS_IO = sorted(
    SIMULATED
    | {
        name
        for name, path in MODULES.items()
        if not name.startswith("sleepy.sim") and name not in SHELLS and path.name != "__init__.py"
    }
)
OUTSIDE = {"asyncio", "selectors", "socket", "ssl", "subprocess", "threading", "time", "datetime"}
# What only those import who use it, and have it.
GUESTS = {
    "sleepy.integrations.httpx": {"httpx"},
    "sleepy.integrations.opentelemetry": {"opentelemetry"},
    "sleepy.sim.pytest_plugin": {"pytest"},
    "sleepy.sim.testing": {"hypothesis"},
    "sleepy._mypyc": {"mypy_extensions"},  # for type checkers only
    "sleepy.udp.security.identity": {"cryptography"},
    "sleepy.udp.security.noise": {"cryptography"},
    "sleepy.udp.security.protection": {"cryptography"},
    "sleepy.udp.security.sealing": {"cryptography"},
}
MAX_LINES = 420  # "about 400"


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, anywhere in it; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def closure(name: str) -> set[str]:
    """All that a module of sleepy imports, by way of other modules of sleepy too."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for imported in imports(MODULES[waiting.pop()]):
            if imported not in found:
                found.add(imported)
                if imported in MODULES:
                    waiting.append(imported)
    return found


def test_the_named_modules_are_there() -> None:
    """A module that was renamed must not leave its permission or its duty behind."""
    assert set(MODULES) >= SHELLS | SIMULATED


@pytest.mark.parametrize("name", SANS_IO)
def test_decisions_know_no_io_and_no_clock(name: str) -> None:
    """Decisions take bytes and ``now``: they and all they import name neither loop nor socket nor clock."""
    assert not closure(name) & OUTSIDE


@pytest.mark.parametrize("name", sorted(MODULES))
def test_sleepy_imports_neither_labs_nor_lessons(name: str) -> None:
    """One direction: lessons and labs import sleepy."""
    tops = {imported.split(".")[0] for imported in imports(MODULES[name])}
    assert not tops & {"labs", "lessons", "tests"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_tcp_and_udp_are_strangers(name: str) -> None:
    """``sleepy.tcp`` and ``sleepy.udp`` stand on their own, and neither needs the simulator."""
    for one, others in (("sleepy.tcp", ("sleepy.udp", "sleepy.sim")), ("sleepy.udp", ("sleepy.tcp", "sleepy.sim"))):
        if name == one or name.startswith(f"{one}."):
            assert not [imported for imported in closure(name) if imported.startswith(others)]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_library_needs_nothing_but_python(name: str) -> None:
    """No module needs another package, but for the few that encrypt: those need ``cryptography``."""
    tops = {imported.split(".")[0] for imported in imports(MODULES[name])} - {"sleepy"}
    assert tops <= sys.stdlib_module_names | {"_typeshed", "typing_extensions"} | GUESTS.get(
        name, set()
    )  # the two for type checkers only


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_are_short(name: str) -> None:
    """A module is read in one sitting."""
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= MAX_LINES
