"""What the peers are told of the suite's models: metadata, which they do not read from the files themselves."""

from __future__ import annotations

import json
from pathlib import Path

from serving.conformance.known_models import KNOWN, KnownModel
from serving.conformance.onnx_file import Spec


def facts(repository: Path, without: frozenset[str] = frozenset()) -> dict[str, dict[str, object]]:
    """By model: its file, inputs and outputs; models of the datatypes in `without` are left out."""
    return {
        name: {
            "path": str(repository / name / "1" / "model.onnx"),
            "inputs": [_tensor(spec) for spec in model.graph.inputs],
            "outputs": [_tensor(spec) for spec in model.graph.outputs],
        }
        for name, model in KNOWN.items()
        if not without & _datatypes(model)
    }


def write_mlserver_settings(folder: Path, repository: Path, http_port: int, grpc_port: int) -> None:
    """`settings.json`, and a `model-settings.json` for each model."""
    settings = {
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": 0,
        "metrics_endpoint": None,
        "parallel_workers": 0,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    # Its enum of datatypes has no BF16.
    for name, told in facts(repository, frozenset({"BF16"})).items():
        model = folder / name
        model.mkdir(parents=True, exist_ok=True)
        document = {
            "name": name,
            "implementation": "mlserver_runtime.OnnxModel",
            "platform": "onnxruntime",
            "versions": ["1"],
            "inputs": told["inputs"],
            "outputs": told["outputs"],
            "parameters": {"uri": told["path"], "version": "1"},
        }
        (model / "model-settings.json").write_text(json.dumps(document))


def _tensor(spec: Spec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _datatypes(model: KnownModel) -> frozenset[str]:
    return frozenset(spec.datatype for spec in (*model.graph.inputs, *model.graph.outputs))
