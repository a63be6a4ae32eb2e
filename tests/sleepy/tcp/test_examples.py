"""The examples of the TCP half run, and say so."""

import pytest

from tests.programs import ROOT, run_example

EXAMPLES = {
    "tcp_peer.py": "".join(f"{name}: a peer is both\n" for name in ("ann", "bob", "cid")),
    "tcp_workers.py": "several workers answered: True\nthey ended with: {0}\n",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_what_it_should_and_leaves_nothing_behind(name: str) -> None:
    assert run_example(name) == (0, EXAMPLES[name], "")


def test_a_peer_needs_fifty_lines() -> None:
    assert len((ROOT / "examples" / "tcp_peer.py").read_text(encoding="utf-8").splitlines()) <= 50
