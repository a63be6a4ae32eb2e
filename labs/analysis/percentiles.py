"""Percentiles by nearest rank: always a value that was measured, never one between two."""

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed; 0 if there are none.

    Args:
        ordered: The values, the smallest first.
        share: From 0 to 1; the median is 0.5.
    """
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else 0.0
