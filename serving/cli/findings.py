"""What a check of a repository found, as rows of a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from serving.cli.feature_fit import misfits_of
from serving.config.settings import Settings
from serving.runtime.check import Finding


@dataclass(frozen=True, slots=True)
class Compared:
    """A finding, with what of its configured inputs does not fit the graph."""

    finding: Finding
    misfits: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, finding: Finding) -> Self:
        """The finding against what the configuration says of its model."""
        return cls(finding, tuple(misfits_of(settings, finding)))


def rows(compared: Compared) -> list[tuple[str, ...]]:
    """Model, version, verdict, what is wrong or how it will run, what to do; one row for each thing that is wrong."""
    finding = compared.finding
    named = finding.model, "" if finding.version is None else str(finding.version)
    if finding.hosted is None:
        return [(*named, "cannot be served", finding.what, finding.remedy)]
    remedy = f"change models.{finding.model} in the configuration; finished rows are answered all the same"
    if compared.misfits:
        return [(*named, "does not fit", problem, remedy) for problem in compared.misfits]
    hosted = finding.hosted
    how = "rows of several callers run together" if hosted.batchable else f"every request runs alone: {hosted.note}"
    return [(*named, "ok", f"{how}; one row takes {hosted.run_s * 1e6:.0f} us", "")]


def verdict(found: Sequence[Compared]) -> str:
    """How many are wrong, and how; empty where none is."""
    unservable = sum(not one.finding.ok for one in found)
    misfits = sum(bool(one.misfits) for one in found)
    counts = [f"{unservable} of {len(found)} cannot be served"] if unservable else []
    if misfits:
        verb = "does" if misfits == 1 else "do"
        counts.append(f"{misfits} of {len(found)} {verb} not fit the features that inputs are made of")
    return ", and ".join(counts)


def document(compared: Compared) -> dict[str, object]:
    """The same for programs."""
    finding = compared.finding
    hosted = finding.hosted
    return {
        "model": finding.model,
        "version": finding.version,
        "path": str(finding.path),
        "servable": finding.ok,
        "what": finding.what,
        "remedy": finding.remedy,
        "misfits": compared.misfits,
        "batchable": hosted.batchable if hosted else None,
        "note": hosted.note if hosted else "",
        "run_s": hosted.run_s if hosted else None,
    }
