"""Run the campaign at large: ``python -m tests.sleepy.udp.campaign --seeds 1-10000 --jobs 2``."""

import sys

from tests.sleepy.campaigns import main
from tests.sleepy.udp.campaign.run import run_seed

if __name__ == "__main__":
    titles = ("world", "what came of it", "fault")
    sys.exit(main("tests.sleepy.udp.campaign", run_seed, things="messages", titles=titles))
