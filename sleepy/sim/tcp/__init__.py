"""TCP on simulated hosts.

From the bottom: `round_trip` and `congestion` keep the figures, `sender` and `receiver` make one direction reliable,
`connection` opens and closes, `stack` finds whom a segment is for, `transport` and `server` are what asyncio's programs
see. Up to `connection` all is decided without I/O: segments and ``now`` in, segments and events out.

What we left out: recovery without selective acks, for every stack of today offers them (so of RFC 6582 there is what it
says about the window and about when a recovery ends, while RFC 6675 and 8985 find the losses); keep-alives, urgent data,
timestamps, ECN, simultaneous open, and whatever defends against attackers, since there are none.
"""
