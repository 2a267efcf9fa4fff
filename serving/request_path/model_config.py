"""A version's configuration as the protocol's model_configuration extension names things (Triton's ModelConfig).

Told as plain values in the extension's JSON form, so that every edge tells the same. What we do not have is told as the
empty value that the extension defines for it.
"""

from __future__ import annotations

from typing import Any

from serving.inference import TensorSpec
from serving.request_path.predictions import Description, RunFacts


def model_config(described: Description) -> dict[str, Any]:
    """`max_batch_size` is 0 for a version whose rows do not run together; dims then tell the first dimension too."""
    signature, runs = described.signature, described.runs
    config: dict[str, Any] = {
        "name": described.model,
        "platform": described.platform,
        "backend": "onnxruntime",
        "runtime": "",
        "version_policy": {"specific": {"versions": list(described.versions)}},
        "max_batch_size": runs.max_rows if runs.batchable else 0,
        "input": [_input(spec, batchable=runs.batchable) for spec in signature.all_inputs],
        "output": [_output(spec, batchable=runs.batchable) for spec in signature.outputs],
        "batch_input": [],
        "batch_output": [],
        "instance_group": [
            {"name": described.model, "kind": "KIND_CPU", "count": max(1, runs.at_once), "gpus": [], "profile": []}
        ],
        "default_model_filename": "model.onnx",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {},
        "model_warmup": [],
        "model_transaction_policy": {"decoupled": False},
    }
    if runs.batchable:
        config["dynamic_batching"] = _dynamic_batching(runs)
    return config


def _dynamic_batching(runs: RunFacts) -> dict[str, Any]:
    return {
        "preferred_batch_size": [],
        # Take-when-free: no batch ever waits for more rows.
        "max_queue_delay_microseconds": 0,
        "preserve_ordering": False,
        "priority_levels": runs.priority_levels,
        "default_priority_level": runs.default_priority,
        "default_queue_policy": {
            "timeout_action": "REJECT",
            "default_timeout_microseconds": round(runs.deadline_s * 1e6),
            "allow_timeout_override": True,
            "max_queue_size": runs.queue_rows,
        },
        "priority_queue_policy": {},
    }


def _input(spec: TensorSpec, *, batchable: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "data_type": data_type(spec.datatype),
        "format": "FORMAT_NONE",
        "dims": _dims(spec, batchable=batchable),
        "is_shape_tensor": False,
        "allow_ragged_batch": False,
        "optional": spec.optional,
    }


def _output(spec: TensorSpec, *, batchable: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "data_type": data_type(spec.datatype),
        "dims": _dims(spec, batchable=batchable),
        "label_filename": "",
        "is_shape_tensor": False,
    }


def data_type(datatype: str) -> str:
    """The extension's own names: TYPE_STRING for BYTES."""
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


def _dims(spec: TensorSpec, *, batchable: bool) -> list[int]:
    # An optional input is no part of a batch: who gives it runs alone.
    return list(spec.trailing if batchable and not spec.optional else spec.shape)
