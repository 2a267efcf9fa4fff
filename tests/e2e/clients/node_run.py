"""A session that serves ONNX's node tests, asked in every way, and what came of it: counts, and what went wrong.

`python -m tests.e2e.clients.node_run` writes the page with the counts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import onnx
import onnxruntime

from serving.runtime.failure_text import run_failure
from tests.e2e.clients.asked_every_way import ask_every_way
from tests.e2e.clients.drivers.questions import WAYS, Answer, Array, Question, Way, why_not_in_json
from tests.e2e.clients.node_cases import NodeCase, differs, node_cases, texts, without_kernels
from tests.e2e.sluice_up import ROOT, SluiceUp

PAGE = ROOT / "docs" / "onnx-node-tests.md"
READY_WITHIN_S = 200.0

AS_ONNX_EXPECTS = "the values that ONNX expects"
AS_ONNXRUNTIME = "onnxruntime's own values, which are not those that ONNX expects"
REFUSED_TOO = "refused with onnxruntime's own words, as onnxruntime refuses to run it"
RANDOM = "random values, whose shapes and datatypes are right"

# Made-up scales of these can take gigabytes: their owner knows what they are fed with.
_SCALES = ("test_resize_downsample_scales_nearest", "test_resize_upsample_scales_nearest", "test_upsample_nearest")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one case gave in one way: an outcome that is right, or else what is wrong."""

    case: str
    way: Way
    outcome: str
    wrong: str = ""


@dataclass(frozen=True)
class NodeRun:
    """`verdicts` of what was asked; `others`: names of cases that were not, by reason."""

    verdicts: Sequence[Verdict]
    others: Mapping[str, Sequence[str]]
    not_in_json: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def count(self, way: Way, outcome: str) -> int:
        """How many cases gave this in this way."""
        return sum(one.outcome == outcome for one in self.verdicts if one.way == way and not one.wrong)

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        return [f"{one.case} by {one.way}: {one.wrong}" for one in self.verdicts if one.wrong]

    @cached_property
    def page(self) -> str:
        """The counts, for people."""
        asked = len({one.case for one in self.verdicts})
        everything = asked + sum(map(len, self.others.values()))
        rows = [
            f"| {outcome} | " + " | ".join(str(self.count(way, outcome)) for way in WAYS) + " |\n"
            for outcome in (AS_ONNX_EXPECTS, AS_ONNXRUNTIME, RANDOM, REFUSED_TOO)
        ]
        rows += [f"| not asked: {why} | {len(names)} | | |\n" for why, names in sorted(self.not_in_json.items())]
        reasons = [f"| {why} | {len(names)} |\n" for why, names in sorted(self.others.items())]
        return _PAGE.format(
            onnx=onnx.__version__,
            onnxruntime=onnxruntime.__version__,
            everything=everything,
            asked=asked,
            rows="".join(rows),
            reasons="".join(reasons),
        )


def run_node_tests(folder: Path) -> NodeRun:
    """Serve every case that can be, ask all of them in every way, and judge the answers as ONNX's own runner does."""
    cases, others = node_cases()
    cases, refused = without_kernels(cases)
    others["an operator or a type of one that onnxruntime does not run on this machine"] = refused
    root = folder / "repository"
    for case in cases:
        case.save(root)
        if case.name in _SCALES:
            _give_samples(case, root)
    questions = [_question(case) for case in cases]
    session = SluiceUp("--models", str(root), engine="in-process")
    try:
        session.wait_until_ready(READY_WITHIN_S)
        answers = ask_every_way(session, questions, folder)
        session.close()
    finally:
        session.destroy()
    return _judged(cases, answers, others)


def _give_samples(case: NodeCase, root: Path) -> None:
    sample = {name: array.tolist() for name, array in case.inputs.items()}
    # JSON is YAML.
    (root / case.name / "model.yaml").write_text(json.dumps({"samples": [sample]}))


def _everything(case: NodeCase) -> dict[str, Array]:
    return {**case.inputs, **{f"{name} (output)": array for name, array in case.outputs.items()}}


def _question(case: NodeCase) -> Question:
    ways = tuple(way for way in WAYS if way != "json" or not why_not_in_json(_everything(case)))
    return Question(case.name, case.inputs, tuple(case.outputs), ways)


def _judged(
    cases: Sequence[NodeCase], answers: Sequence[Mapping[Way, Answer]], others: Mapping[str, Sequence[str]]
) -> NodeRun:
    verdicts, not_in_json = [], dict[str, list[str]]()
    for case, answered in zip(cases, answers, strict=True):
        verdicts += [_verdict(case, way, answer) for way, answer in answered.items()]
        if "json" not in answered:
            not_in_json.setdefault(why_not_in_json(_everything(case)), []).append(case.name)
    return NodeRun(verdicts, others, not_in_json)


def _verdict(case: NodeCase, way: Way, answer: Answer) -> Verdict:
    given = (
        answer
        if isinstance(answer, str)
        else {name: texts(array) for name, array in answer.items() if array is not None}
    )
    if not isinstance(given, str) and not differs(case, given, case.outputs):
        return Verdict(case.name, way, AS_ONNX_EXPECTS)
    try:
        own, *again = case.answers_of_onnxruntime()
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common class
        said = isinstance(given, str) and run_failure(error) in given
        return Verdict(case.name, way, REFUSED_TOO, "" if said else f"onnxruntime: {error}; answered: {given}")
    if isinstance(given, str):
        return Verdict(case.name, way, AS_ONNXRUNTIME, f"refused: {given}")
    if any(differs(case, another, own) for another in again):
        alike = {n: (a.shape, a.dtype) for n, a in given.items()} == {n: (a.shape, a.dtype) for n, a in own.items()}
        return Verdict(case.name, way, RANDOM, "" if alike else f"shapes or datatypes: {given}")
    return Verdict(case.name, way, AS_ONNXRUNTIME, differs(case, given, own))


_PAGE = """# ONNX's node tests through the Open Inference Protocol

ONNX tests its operators one by one: a graph of one operator, inputs, and the outputs that are expected. The package
`onnx` {onnx} makes {everything} of them. {asked} were served by Sluice's in-process engine with onnxruntime
{onnxruntime}, and asked by an unmodified tritonclient over HTTP with tensors as JSON, over HTTP with binary tensors,
and over gRPC. The tolerances are those of ONNX's own runner. `tests/e2e/clients/test_onnx_node_tests.py` repeats it in
every run of the tests, and `python -m tests.e2e.clients.node_run` writes this page.

| answered with | JSON | binary | gRPC |
|---|---|---|---|
{rows}
What could not be asked:

| reason | cases |
|---|---|
{reasons}"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = run_node_tests(Path(folder))
    PAGE.write_text(found.page)
    sys.exit("\n".join(found.wrong))
