"""The example of the UDP half runs, and says so."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "udp_endpoints.py"


def test_two_endpoints_over_real_sockets_get_everything_across() -> None:
    done = subprocess.run([sys.executable, EXAMPLE], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True)
    assert "20 of 20 messages arrived and were acked" in done.stdout
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40
