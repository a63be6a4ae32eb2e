"""Counts up from b to a, and does not ask how far.

Misconception: on a circle everything else is ahead.
"""


def newer(a: int, b: int) -> bool:
    """Whether sequence ``a`` is newer than sequence ``b``; both in 0..65535."""
    return (a - b) & 0xFFFF > 0
