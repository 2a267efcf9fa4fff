"""Versions 3 to 6 of the flights model, which rollouts are tried with: version 1 with one thing changed in its graph.

`python -m deployments.flights.trial_versions` writes them from the committed version 1, as `build` does after training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deployments.flights.columns import FEATURES
from deployments.flights.sample import HERE, MODEL, MODELS, TRIAL_MODELS

# What version 5 adds to the log-odds: a chance of 20 % becomes one of 29 %.
SHIFT = 0.5
# Some milliseconds for version 4, where all the rest of the graph takes a hundredth of one.
_ROUNDS = 4_000
_WIDTH = 16
_WEEKDAYS_KNOWN = 6


def raises_on_sundays(model: onnx.ModelProto) -> None:
    """A table of weekdays that is one entry short: the look-up of the seventh raises."""
    _before_the_softmax(
        model,
        [
            _column("request.weekday", "weekday"),
            helper.make_node("Cast", ["weekday"], ["day"], to=TensorProto.INT64),
            helper.make_node("Gather", ["of_days", "day"], ["of_day"]),
            helper.make_node("Unsqueeze", ["of_day", "last_axis"], ["extra"]),
        ],
        {_place("request.weekday"): _index("request.weekday"), "of_days": np.zeros(_WEEKDAYS_KNOWN, np.float32)},
    )


def slow_in_rain(model: onnx.ModelProto) -> None:
    """Where it rains at the origin it goes round and round, and comes to the same answer."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "identity"], ["product"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [_WIDTH, _WIDTH]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("product", TensorProto.FLOAT, [_WIDTH, _WIDTH]),
        ],
    )
    _before_the_softmax(
        model,
        [
            _column("request.precip", "rain"),
            helper.make_node("ReduceMax", ["rain"], ["most_rain"], keepdims=0),
            helper.make_node("Greater", ["most_rain", "nothing"], ["rains"]),
            helper.make_node("Cast", ["rains"], ["one_if_it_rains"], to=TensorProto.INT64),
            helper.make_node("Mul", ["one_if_it_rains", "rounds"], ["rounds_now"]),
            helper.make_node("Loop", ["rounds_now", "yes", "identity"], ["end"], body=body),
            helper.make_node("ReduceSum", ["end"], ["whole"], keepdims=0),
            helper.make_node("Mul", ["whole", "nothing"], ["extra"]),
        ],
        {
            _place("request.precip"): _index("request.precip"),
            "identity": np.eye(_WIDTH, dtype=np.float32),
            "nothing": np.float32(0),
            "rounds": np.int64(_ROUNDS),
            "yes": np.array(1, np.bool_),
        },
    )


def shifted(model: onnx.ModelProto) -> None:
    """Every flight is given a higher chance of being late."""
    (bias,) = (one for one in model.graph.initializer if one.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(SHIFT), "bias"))


def the_same(_model: onnx.ModelProto) -> None:
    """Nothing is changed: what a rollout says of it, it says of chance."""


CHANGES: Mapping[int, Callable[[onnx.ModelProto], None]] = {
    3: raises_on_sundays,
    4: slow_in_rain,
    5: shifted,
    6: the_same,
}


def write_trial_versions(models: Path, out: Path) -> None:
    """Write versions 3 to 6 below `out`, made of version 1 in the repository `models`."""
    for version, change in CHANGES.items():
        model = onnx.load_model(models / MODEL / "1" / "model.onnx")
        change(model)
        onnx.checker.check_model(model, full_check=True)
        path = out / MODEL / str(version) / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString(deterministic=True))


def _column(feature: str, name: str) -> onnx.NodeProto:
    """One feature of every row, [rows]."""
    return helper.make_node("Gather", ["finished", _place(feature)], [name], axis=1)


def _place(feature: str) -> str:
    return f"place of {feature}"


def _index(feature: str) -> np.int64:
    return np.int64(FEATURES.index(feature))


def _before_the_softmax(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray | np.generic]
) -> None:
    """Add what `nodes` make as `extra` to the log-odds."""
    graph = model.graph
    place = next(number for number, node in enumerate(graph.node) if "log_odds" in node.input)
    graph.node[place].input[:] = [
        "log_odds_and_extra" if name == "log_odds" else name for name in graph.node[place].input
    ]
    added = [*nodes, helper.make_node("Add", ["log_odds", "extra"], ["log_odds_and_extra"])]
    for offset, node in enumerate(added):
        graph.node.insert(place + offset, node)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())


if __name__ == "__main__":
    write_trial_versions(MODELS, TRIAL_MODELS)
    print(f"wrote versions {', '.join(map(str, CHANGES))} below {TRIAL_MODELS.relative_to(HERE.parent.parent)}")
