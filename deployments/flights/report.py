"""What the models are worth on the test months: figures as JSON, and the same figures to read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

DECILES = 10
# A probability in the last float32 digit may differ between processors; the fifth decimal does not.
HASHED_DECIMALS = 5


@dataclass(frozen=True, slots=True)
class Decile:
    """A tenth of the flights, by predicted probability: what was predicted and what came."""

    flights: int
    predicted: float
    late: float


@dataclass(frozen=True, slots=True)
class VersionReport:
    """One version on the test flights; `sample_auc` on the committed 2,000 of them."""

    kind: str
    auc: float
    sample_auc: float
    log_loss: float
    brier: float
    calibration: tuple[Decile, ...]
    predictions_sha256: str


@dataclass(frozen=True, slots=True)
class Report:
    """Counts of flights, shares of late ones, and each version."""

    source: str
    flights: Mapping[str, int]
    late_rate: Mapping[str, float]
    versions: Mapping[str, VersionReport]
    packages: Mapping[str, str]


def assess(kind: str, score: np.ndarray, late: np.ndarray, sample: np.ndarray) -> VersionReport:
    """Judge scores float32 [flights] by outcomes 0/1 [flights]; `sample` holds the indexes of the committed flights."""
    exact = score.astype(np.float64)
    return VersionReport(
        kind=kind,
        auc=round(float(roc_auc_score(late, exact)), 4),
        sample_auc=round(float(roc_auc_score(late[sample], exact[sample])), 4),
        log_loss=round(float(log_loss(late, exact)), 4),
        brier=round(float(brier_score_loss(late, exact)), 4),
        calibration=calibration(exact, late),
        predictions_sha256=predictions_hash(exact),
    )


def calibration(score: np.ndarray, late: np.ndarray) -> tuple[Decile, ...]:
    """Tenths of the flights from the least to the most likely late one."""
    tenths = np.array_split(np.argsort(score, kind="stable"), DECILES)
    return tuple(
        Decile(len(tenth), round(float(score[tenth].mean()), 4), round(float(late[tenth].mean()), 4))
        for tenth in tenths
    )


def predictions_hash(score: np.ndarray) -> str:
    """SHA-256 of the probabilities as integers of their fifth decimal (little-endian int32), in test order."""
    return hashlib.sha256(np.rint(score * 10**HASHED_DECIMALS).astype("<i4").tobytes()).hexdigest()


def as_json(report: Report) -> dict[str, object]:
    """The report as plain values."""
    return asdict(report)


def as_markdown(report: Report) -> str:
    """The report as a page."""
    parts = ["# Flight delays: what the models are worth\n", counts_text(report), versions_text(report)]
    parts += [calibration_text(number, version) for number, version in report.versions.items()]
    return "\n".join(parts)


def counts_text(report: Report) -> str:
    """Which flights, and how many of them were late."""
    lines = [
        f"Source: {report.source}. Late: arrives more than 15 minutes after schedule.\n",
        "| flights | number | late |",
        "|---|---:|---:|",
    ]
    for name, count in report.flights.items():
        rate = f"{report.late_rate[name]:.1%}" if name in report.late_rate else ""
        lines.append(f"| {name} | {count:,} | {rate} |")
    return "\n".join(lines) + "\n"


def versions_text(report: Report) -> str:
    """The versions side by side."""
    lines = [
        "| version | model | AUC, test months | AUC, 2,000 test flights | log loss | Brier |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for number, version in report.versions.items():
        figures = (version.auc, version.sample_auc, version.log_loss, version.brier)
        lines.append(f"| {number} | {version.kind} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
    return "\n".join(lines) + "\n"


def calibration_text(number: str, version: VersionReport) -> str:
    """Predicted against observed, by tenths of the test flights."""
    lines = [
        f"Calibration of version {number}, by tenths of the test flights:\n",
        "| tenth | predicted | late |",
        "|---:|---:|---:|",
    ]
    for tenth, decile in enumerate(version.calibration, start=1):
        lines.append(f"| {tenth} | {decile.predicted:.1%} | {decile.late:.1%} |")
    lines.append(f"\nSHA-256 of the predictions: `{version.predictions_sha256}`")
    return "\n".join(lines) + "\n"
