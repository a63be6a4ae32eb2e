"""Simulated TCP against the kernel's: how long transfers take, median against median, over the same link.

    python -m benchmarks.sim_tcp --congestion reno

plays the same transfers in network namespaces and in the simulator, 10 KB, 100 KB and 1 MB at a round trip of 50 ms, with
0, 1 and 2 % loss, and prints a table in Markdown. In both worlds the same client and server run, and `sleepy.sim.Link`
draws the losses.
"""
