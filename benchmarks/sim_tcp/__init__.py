"""Simulated TCP against the kernel's: how long transfers take, median against median, over the same link.

    python -m benchmarks.sim_tcp

plays the same transfers in network namespaces (as root) and in the simulator, 10 KB, 100 KB and 1 MB at a round trip of
50 ms, with 0, 1 and 2 % loss, and prints a table in Markdown; it takes seven minutes. In both worlds the same client and
server run, and `sleepy.sim.Link` draws the losses.

With loss, times scatter widely, so several seeds are played, in the kernel's world all at the same time: each in namespaces
of its own, and hardly busy. A kernel's run proves nothing if the machine was too busy to keep its link up; the captures of
both sides of the router tell, and it is played again.
"""
