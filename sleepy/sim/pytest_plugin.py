"""For pytest: a fixture ``network``, a new simulated network for each test.

    def test_my_protocol(network):
        network.link("client", "server", sim.Link(delay=0.05, loss=0.2))
        sim.run(main(network), network)

Each test gets a seed of its own, another one every time, so that a suite sees more of the bad luck there is with every run.
When a test fails its report names the seed, and ``--network-seed=SEED`` brings the very same network back.
"""

from collections.abc import Generator
from random import SystemRandom
from typing import Any

import pytest

from sleepy.sim.network import Network

_seed = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--network-seed``."""
    group = parser.getgroup("sleepy", "simulated networks")
    group.addoption(
        "--network-seed", type=int, metavar="SEED", help="seed of the fixture `network`, to replay a failure"
    )


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Network:
    """A simulated network without hosts; its seed is reported if the test fails."""
    chosen: int | None = request.config.getoption("--network-seed")
    seed = SystemRandom().getrandbits(32) if chosen is None else chosen
    request.node.stash[_seed] = seed
    return Network(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell the seed of a test that failed."""
    report: pytest.TestReport = yield
    if report.failed and _seed in item.stash:
        seed = item.stash[_seed]
        report.sections.append(("simulated network", f"seed {seed}; to replay: pytest --network-seed={seed}"))
    return report
