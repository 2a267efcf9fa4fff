"""ONNX's own tests of its operators give the expected values through JSON, binary HTTP and gRPC."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from tests.e2e.clients.drivers.questions import WAYS, Way
from tests.e2e.clients.node_run import AS_ONNX_EXPECTS, PAGE, NodeRun, run_node_tests

# The first one starts a session of 1,600 models, which takes its time on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# What a release of `onnx` or `onnxruntime` may take away is little; a server that lost a datatype loses more.
FEWEST = 1450
# Some operators ask for a locale or depend on the processor.
OF_A_MACHINE = 20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> NodeRun:
    """All cases that the protocol can carry, served and asked once."""
    return run_node_tests(tmp_path_factory.mktemp("nodes"))


@pytest.mark.parametrize("way", WAYS)
def test_every_operator_answers_as_onnx_expects_or_as_onnxruntime_does(run: NodeRun, way: Way) -> None:
    wrong = [one for one in run.verdicts if one.way == way and one.wrong]
    assert not wrong
    assert run.count(way, AS_ONNX_EXPECTS) >= FEWEST


def test_the_page_has_the_counts_and_the_reasons_of_what_could_not_be_asked(
    run: NodeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{run.page}")
    published, found = _rows(PAGE.read_text()), _rows(run.page)
    assert set(published) == set(found), "write it anew: python -m tests.e2e.clients.node_run"
    for label, counts in found.items():
        assert np.allclose(counts, published[label], rtol=0, atol=OF_A_MACHINE), f"{label}: write it anew"


def _rows(page: str) -> dict[str, list[int]]:
    """The counts of each row of a page, by what stands before them."""
    rows = [line.strip("|").split("|") for line in page.splitlines() if re.search(r"\| *\d", line)]
    return {label.strip(): [int(count) for count in counts if count.strip()] for label, *counts in rows}
