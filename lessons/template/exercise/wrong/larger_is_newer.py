"""Compares as if numbers had no end.

Misconception: sequence 0 is older than 65535.
"""


def newer(a: int, b: int) -> bool:
    """Whether sequence ``a`` is newer than sequence ``b``; both in 0..65535."""
    return a > b
