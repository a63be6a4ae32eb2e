"""A fault campaign: thousands of seeded runs of the clients against peers and networks that do everything wrong.

One run is one client of a random kind with random options, a handful of callers, one to three peers, and bad weather: see
`tests.sleepy.tcp.campaign.run` for what must hold whatever happens. The parts:

- `ledger`: what really happened, and the judge of what callers were told;
- `dialects`: how requests and answers look on the wire, and how peers lie in each protocol;
- `peers`: the hosts that serve, honestly or not, go down and come back;
- `subjects`: the clients under test, with random options;
- `callers`: who asks, gives up, reads half of it;
- `run`: one run, from a seed.

    python -m tests.sleepy.tcp.campaign --seeds 1-5000 --jobs 2
    python -m tests.sleepy.tcp.campaign --seed 17 --trace
"""
