"""Figures on a command line that mean something: of no rounds nothing can be said, and a median of nothing is none."""

from argparse import ArgumentTypeError
from math import inf


def count(text: str) -> int:
    """How many: 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


def duration(text: str) -> float:
    """How long, in seconds: more than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < inf:
        raise ArgumentTypeError(f"{text!r} is no time in seconds, more than 0")
    return value
