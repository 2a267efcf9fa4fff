"""A percentile of what is seen one value at a time, without keeping any of them."""

from __future__ import annotations


def followed(value: float, seen: float, share_above: float, step: float) -> float:
    """`value` moved towards that which `share_above` of what is seen exceed.

    Up by `step` (0.05 is 5 %) where it is exceeded, down by so much less that both cancel out at that share. Only the
    order matters, so that one huge value moves it no further than any other.
    """
    if seen > value:
        return value * (1.0 + step)
    return value * (1.0 - step * share_above / (1.0 - share_above))
