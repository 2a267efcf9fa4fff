"""The models whose run takes a chosen time."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from benchmarks.under_load.models import work


@pytest.mark.parametrize("per_row", [True, False])
def test_an_answer_can_be_told_from_its_row_however_many_run_together(per_row: bool) -> None:
    session = onnxruntime.InferenceSession(work(2, per_row=per_row).SerializeToString())
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(session.run(None, {"x": rows})[0], rows * 2)


def test_rounds_are_counted_by_row_or_by_run() -> None:
    for per_row, trips in ((True, "rows"), (False, "rounds")):
        nodes = {node.op_type: node for node in work(7, per_row=per_row).graph.node}
        assert nodes["Loop"].input[0] == "trips"
        made = next(node for node in work(7, per_row=per_row).graph.node if "trips" in node.output)
        assert trips in made.input
