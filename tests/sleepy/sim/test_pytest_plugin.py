"""`sleepy.sim.pytest_plugin`: run by a pytest of its own, as its users run it."""

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio
from sleepy import sim
from sleepy.sim.network import Network

def test_good(network):
    assert isinstance(network, Network)

def test_luck(network):
    '''Fails for each seed, and says what it saw.'''
    network.link("a", "b", sim.Link(loss=0.5))
    carrier = network.wire("a", "b").carrier
    raise AssertionError("saw " + "".join(".X"[not carrier.carry(1, 0.0)] for _ in range(40)))
"""


def pytest_run(folder: Path, root: Path, *options: str) -> str:
    (folder / "test_users.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "pytest", "-p", "sleepy.sim.pytest_plugin", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        [*command, "test_users.py"],
        cwd=folder,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_a_failure_names_its_seed_and_the_seed_brings_it_back(tmp_path: Path, pytestconfig) -> None:
    first = pytest_run(tmp_path, pytestconfig.rootpath)
    seed = re.search(r"simulated network.*\nseed (\d+); to replay: pytest --network-seed=(\d+)", first)
    assert seed is not None
    assert seed[1] == seed[2]
    saw = re.search(r"saw ([.X]{40})", first)
    assert saw is not None
    again = pytest_run(tmp_path, pytestconfig.rootpath, f"--network-seed={seed[1]}")
    assert saw[0] in again
    other = pytest_run(tmp_path, pytestconfig.rootpath)
    assert saw[0] not in other  # another run, another seed: the odds of the same 40 fates are nil
