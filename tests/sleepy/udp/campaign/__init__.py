"""A fault campaign: thousands of seeded worlds in which two peers talk while everything goes wrong that can.

There are two kinds of worlds. In the one, two *nodes* on simulated hosts dial, are started anew, pause, move, and are cut
off from each other. In the other, two *connections* send each other blocks, which a node's programs do not see. Messages go
over all kinds of channels in both. What must hold, whatever happens, is listed in `ledger`. The parts:

- `ledger`: what was said, and the judge of what was heard;
- `limits`: how large each buffer may be;
- `chatter`: what programs say and hear: messages, blocks and streams, in a node's world;
- `weather`: links, and what befalls them;
- `nodes`: a world of two nodes;
- `pairs`: a world of two connections;
- `run`: one world, from a seed.

    python -m tests.sleepy.udp.campaign --seeds 1-10000 --jobs 2
    python -m tests.sleepy.udp.campaign --seed 17 --trace
"""
