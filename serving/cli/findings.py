"""What a check of a repository found, as a row of a table and as JSON."""

from __future__ import annotations

from serving.runtime.check import Finding


def row(finding: Finding) -> tuple[str, ...]:
    """Model, version, verdict, what is wrong or how it will run, what to do."""
    version = "" if finding.version is None else str(finding.version)
    if finding.hosted is None:
        return finding.model, version, "cannot be served", finding.what, finding.remedy
    hosted = finding.hosted
    how = "rows of several callers run together" if hosted.batchable else f"every request runs alone: {hosted.note}"
    return finding.model, version, "ok", f"{how}; one row takes {hosted.run_s * 1e6:.0f} us", ""


def document(finding: Finding) -> dict[str, object]:
    """The same for programs."""
    hosted = finding.hosted
    return {
        "model": finding.model,
        "version": finding.version,
        "path": str(finding.path),
        "servable": finding.ok,
        "what": finding.what,
        "remedy": finding.remedy,
        "batchable": hosted.batchable if hosted else None,
        "note": hosted.note if hosted else "",
        "run_s": hosted.run_s if hosted else None,
    }
