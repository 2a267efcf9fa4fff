"""Evidence that may be looked at at any time: an e-process, mixed over what may be wrong and since when.

A fault that begins after hours of health would have to make good what the good hours spoke for the canary. So the
fault's start is one of the things that are not known: with weight `w_j = T(j) - T(j+1)`, `T(j) = 1 / (1 + ln(1+j))`,
it begins with slice `j`, and before it nothing is bet. With `r_j` the factor of slice `j`
(`Alternatives.log_growth`), all starts together obey, for each alternative, the exact recursion

    A_j = r_j (A_{j-1} + w_j)        E_j = mean over alternatives of A_j, + T(j+1)

so old slices need not be kept. A convex mixture of e-processes is one (Vovk and Wang, "E-values: calibration,
combination and applications", Annals of Statistics 2021), and by Ville's inequality (Ville, "Etude critique de la
notion de collectif", 1939) a canary that is as allowed has `E >= 1/alpha` at any time with probability `alpha` at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from serving.rollouts.alternatives import Alternatives
from serving.rollouts.stratum import Floats

# Numbers that doubles hold with room for another factor. What is cut off was evidence against the canary, so a cut
# process is never above the true one, and the guarantee stays; any verdict has long been taken at 1e100.
_MOST = 1e150
_MOST_LOG_FACTOR = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class EProcess:
    """`a` of each alternative after all slices before `next_slice`."""

    next_slice: int
    a: Floats


def begin(alternatives: Alternatives) -> EProcess:
    """Before the first slice: evidence of 1."""
    return EProcess(0, np.zeros(alternatives.size))


def folded(process: EProcess, log_growth: Floats, slices: Sequence[int]) -> EProcess:
    """With more strata, one by one: `log_growth` is strata by alternatives, `slices` are their slices.

    Slices that were left out saw nothing: faults that began in them have the same factor as one that begins now. A
    stratum whose slice is over already (a second table within a slice, late counts) brings no new starts.
    """
    factors = np.exp(np.minimum(log_growth, _MOST_LOG_FACTOR))
    a, following = process.a.copy(), process.next_slice
    for factor, time_slice in zip(factors, slices, strict=True):
        if time_slice >= following:
            a += not_begun(following) - not_begun(time_slice + 1)
            following = time_slice + 1
        a *= factor
        np.minimum(a, _MOST, out=a)
    return EProcess(following, a)


def evidence(alternatives: Alternatives, process: EProcess) -> Floats:
    """Each gate's evidence against the canary."""
    return alternatives.by_gate(process.a) + not_begun(process.next_slice)


def not_begun(time_slice: int) -> float:
    """`T(j)`: the weight of all faults that begin with this slice or later."""
    return 1.0 / (1.0 + log(1.0 + time_slice))


def mixture(alternatives: Alternatives, log_values: Floats) -> Floats:
    """Each gate's evidence where there is one start, from the logarithms of its alternatives' likelihood ratios."""
    return alternatives.by_gate(np.exp(np.clip(log_values, -_MOST_LOG_FACTOR, _MOST_LOG_FACTOR)))
