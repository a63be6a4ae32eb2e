"""Run the campaign at large: ``python -m tests.sleepy.tcp.campaign --seeds 1-5000 --jobs 2``."""

import sys

from tests.sleepy.campaigns import main
from tests.sleepy.tcp.campaign.run import run_seed

if __name__ == "__main__":
    titles = ("client", "end of a request", "fault")
    sys.exit(main("tests.sleepy.tcp.campaign", run_seed, things="requests", titles=titles))
