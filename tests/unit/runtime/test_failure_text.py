"""ONNX Runtime's errors, as people are told of them."""

from __future__ import annotations

import pytest

from serving.runtime.failure_text import load_failure, run_failure

# As onnxruntime 1.32 wrote them.
SCHEMA = (
    "[ONNXRuntimeError] : 1 : FAIL : Load model from o.onnx failed:/onnxruntime_src/onnxruntime/core/graph/"
    "model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::"
    "__cxx11::basic_string<char>, int>&, const onnxruntime::logging::Logger&, bool, const std::string&, int) ONNX "
    "Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 99 is "
    "under development and support for this is limited. Current official support for domain ai.onnx.ml is till opset 5."
)
DIVISION = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Div node. Name:'' Status Message: "
    "element_wise_ops.cc:703 Compute Integer division by zero"
)
SHAPE = (
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices\n"
    " index: 1 Got: 5 Expected: 4\n Please fix either the inputs/outputs or the model."
)
OUTPUT = (
    "[ONNXRuntimeError] : 1 : FAIL : Load model from o.onnx failed:/onnxruntime_src/onnxruntime/core/graph/"
    "graph.cc:1617 void onnxruntime::Graph::InitializeStateFromModelFileGraphProto() This is an invalid model. "
    "Graph output (y) does not exist in the graph.\n"
)


def test_a_known_reason_is_told_with_what_to_do() -> None:
    assert load_failure(Exception(SCHEMA)) == (
        "it needs opset 99 of ai.onnx.ml, and the installed onnxruntime knows up to 5; "
        "export with opset 5 or lower, or install a newer onnxruntime"
    )


def test_an_unknown_reason_is_passed_on_without_places_in_foreign_sources() -> None:
    assert load_failure(Exception(OUTPUT)) == (
        "onnxruntime cannot load it: This is an invalid model. Graph output (y) does not exist in the graph.; "
        "check the export with onnx.checker"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DIVISION, "Non-zero status code returned while running Div node. Status Message: Integer division by zero"),
        (
            SHAPE,
            " ".join(SHAPE.split()[6:]),
        ),
    ],
)
def test_what_happened_in_a_run_is_one_line(text: str, expected: str) -> None:
    assert run_failure(Exception(text)) == expected


def test_a_long_text_is_cut() -> None:
    assert len(run_failure(Exception("/onnxruntime_src/a.cc:1 " + "f(" * 100_000))) == 300
