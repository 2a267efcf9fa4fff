"""What evidence costs: 20 gates over a rollout of two hours, all slices at once and one by one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from serving.rollouts.evidence import nothing, with_strata
from serving.rollouts.gate import Gate, GateSet, Kind
from serving.rollouts.stratum import Stratum, StratumCounts, per_request

SLICES = 1_440
_WEIGHTS = (100, 500, 1_000, 2_500, 5_000)
_REPEATS = 7


def twenty_gates() -> GateSet:
    """Two models' worth: errors, 14 bounds of latency, 10 bins of scores and the split, twice, and 12 flags."""
    gates = []
    for name in ("first", "second"):
        gates += [
            Gate(f"{name} errors", Kind.RATE, 0.01),
            Gate(f"{name} latency", Kind.LATENCY, 0.01, bins=14, phi0=1.25),
            Gate(f"{name} scores", Kind.DRIFT, 0.01, bins=10),
            Gate(f"{name} split", Kind.SPLIT, 0.001),
        ]
    return GateSet(gates + [Gate(f"flag {place}", Kind.RATE, 0.001) for place in range(12)])


def strata(gates: GateSet) -> Iterator[StratumCounts]:
    """Two hours of 1,000 requests a minute through five weights."""
    draw = np.random.default_rng(1)
    for time_slice in range(SLICES):
        step = time_slice * len(_WEIGHTS) // SLICES
        share = _WEIGHTS[step] / 10_000
        canary, stable = (draw.poisson(8 * part, gates.columns) for part in (share, 1 - share))
        for gate in gates.gates:
            runs = list(gates.runs_of(gate))
            # Of these some were slow, and most were not.
            canary[runs], stable[runs] = draw.poisson(40 * share, len(runs)), draw.poisson(40 * (1 - share), len(runs))
        yield per_request(
            Stratum(time_slice, step, step, _WEIGHTS[step]), draw.poisson([83 * share, 83]), canary, stable
        )


def main() -> int:
    """Print both figures, the best of several."""
    gates = twenty_gates()
    seen = list(strata(gates))

    def one_by_one() -> None:
        evidence = nothing(gates)
        for counts in seen:
            evidence = with_strata(gates, evidence, [counts])

    at_once = _best_s(lambda: with_strata(gates, nothing(gates), seen))
    print(f"20 gates, {SLICES} slices at once: {1e3 * at_once:.1f} ms of processor time")
    print(f"one slice more: {1e6 * _best_s(one_by_one) / SLICES:.0f} us")
    return 0


def _best_s(action: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
