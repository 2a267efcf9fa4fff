"""What a run found, as one JSON document."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from serving.conformance.check import Outcome, Result
from serving.conformance.server import Server

# Rises when a field changes its meaning or goes away.
_FORM = 1


@dataclass(frozen=True, slots=True)
class Run:
    """`release` is the suite's; `took_s` the time of all checks together."""

    url: str
    results: Sequence[Result]
    release: str
    began: datetime
    took_s: float

    @property
    def conforms(self) -> bool:
        """No check that counts has failed."""
        return not any(result.counts for result in self.results)

    def counts(self) -> Mapping[str, int]:
        """How many checks ended how."""
        found = Counter(result.outcome for result in self.results)
        return {outcome.value: found[outcome] for outcome in Outcome}


def document(run: Run, server: Server) -> dict[str, object]:
    """The report for programs."""
    return {
        "form": _FORM,
        "suite": {"version": run.release, "python": platform.python_version()},
        "date": run.began.astimezone(UTC).isoformat(timespec="seconds"),
        "url": run.url,
        "grpc": server.grpc.target if server.grpc else None,
        "server": dict(server.identity),
        "models": [model.name for model in server.models],
        "known_models": [model.name for model in server.models if model.known],
        "conforms": run.conforms,
        "counts": run.counts(),
        "took_s": round(run.took_s, 3),
        "checks": [_check(result) for result in run.results],
    }


def _check(result: Result) -> dict[str, object]:
    check = result.check
    return {
        "id": check.id,
        "area": check.area,
        "promise": check.promise,
        "source": check.source,
        "severity": check.severity.value,
        "extension": check.extension or None,
        "outcome": result.outcome.value,
        "reason": result.reason or None,
        "evidence": list(result.evidence),
        "took_ms": round(result.took_s * 1000, 3),
    }
