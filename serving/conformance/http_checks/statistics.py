"""The statistics extension: what is counted moves by what was sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from serving.conformance.check import Check, Failed, Severity, Try, expect
from serving.conformance.http_checks.sources import STATISTICS
from serving.conformance.infer_message import json_body
from serving.conformance.served_model import ServedModel
from serving.conformance.server import Server, path_of

_EXTENSION = "statistics"
_PARTS = (
    "success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss",
)  # fmt: skip
_CLIENT_ERROR = 400
_ROWS, _REQUESTS = 3, 4
# Servers of several processes may gather what was counted a little later.
_GATHERED_WITHIN_S, _LOOKS = 3.0, 30


def _form(server: Server) -> None:
    for stat in _stats(server, f"{path_of(server.any_model().name)}/stats"):
        for field in ("name", "last_inference", "inference_count", "execution_count", "inference_stats", "batch_stats"):
            expect(field in stat, f"`{field}` is missing")
        for field in ("last_inference", "inference_count", "execution_count"):
            expect(_whole(stat[field]), f"`{field}` must be an integer, got {stat[field]!r}")
        expect(isinstance(stat["batch_stats"], list), "`batch_stats` must be an array")


def _durations(server: Server) -> None:
    for stat in _stats(server, f"{path_of(server.any_model().name)}/stats"):
        inference = stat.get("inference_stats") or {}
        for part in _PARTS:
            leaf = inference.get(part)
            right = isinstance(leaf, dict) and _whole(leaf.get("count")) and _whole(leaf.get("ns"))
            expect(right, f"`inference_stats.{part}` must be an object of count and ns, got {leaf!r}")


def _all_models(server: Server) -> None:
    named = {stat.get("name") for stat in _stats(server, "/v2/models/stats")}
    missing = [one.name for one in server.models if one.name not in named]
    expect(not missing, f"/v2/models/stats leaves out {missing}")


def _one_model(server: Server) -> None:
    model = server.any_model()
    names = {stat.get("name") for stat in _stats(server, f"{path_of(model.name)}/stats")}
    expect(names == {model.name}, f"statistics of {model.name} are of {sorted(map(str, names))}")


def _versioned(server: Server) -> None:
    model, version = server.versioned_model()
    stats = _stats(server, f"{path_of(model.name, version)}/stats")
    got = [stat.get("version") for stat in stats]
    expect(got == [version], f"statistics of version {version} are of {got}")


def _unknown(server: Server) -> None:
    answer = server.get(f"{path_of('oip-no-such-model')}/stats")
    expect(answer.status >= _CLIENT_ERROR, f"a model that is not there has statistics: {answer.status}")


def _rows(server: Server) -> None:
    model = server.row_model()
    before = _sum(_counts(server, model), "inference_count")
    _send(server, model)
    moved = _moved(server, model, "inference_count", before, _ROWS * _REQUESTS)
    expect(moved == _ROWS * _REQUESTS, f"{_REQUESTS} requests of {_ROWS} rows moved inference_count by {moved}")


def _executions(server: Server) -> None:
    model = server.row_model()
    before = _sum(_counts(server, model), "execution_count")
    _send(server, model)
    # One after the other, so that no two can share an execution.
    moved = _moved(server, model, "execution_count", before, _REQUESTS)
    expect(moved == _REQUESTS, f"{_REQUESTS} requests one after the other moved execution_count by {moved}")


def _success(server: Server) -> None:
    model = server.row_model()
    before = _successes(_counts(server, model))
    _send(server, model)
    moved = 0
    for _ in range(_LOOKS):
        moved = _successes(_counts(server, model)) - before
        if moved >= _REQUESTS:
            break
        time.sleep(_GATHERED_WITHIN_S / _LOOKS)
    expect(moved == _REQUESTS, f"{_REQUESTS} requests moved inference_stats.success.count by {moved}")


def _batches(server: Server) -> None:
    model = server.row_model()
    before = _of_size(_counts(server, model), _ROWS)
    _send(server, model)
    moved = 0
    for _ in range(_LOOKS):
        moved = _of_size(_counts(server, model), _ROWS) - before
        if moved >= _REQUESTS:
            break
        time.sleep(_GATHERED_WITHIN_S / _LOOKS)
    expect(moved == _REQUESTS, f"{_REQUESTS} executions of {_ROWS} rows moved batch_stats of that size by {moved}")


def _send(server: Server, model: ServedModel) -> None:
    for turn in range(_REQUESTS):
        answer = server.infer(model, json_body(model.telling_inputs(rows=_ROWS, start=turn)))
        expect(answer.status == 200, f"answered {answer.status}")  # noqa: PLR2004 - OK


def _moved(server: Server, model: ServedModel, field: str, before: int, wanted: int) -> int:
    moved = 0
    for _ in range(_LOOKS):
        moved = _sum(_counts(server, model), field) - before
        if moved >= wanted:
            break
        time.sleep(_GATHERED_WITHIN_S / _LOOKS)
    return moved


def _counts(server: Server, model: ServedModel) -> list[dict[str, Any]]:
    return _stats(server, f"{path_of(model.name)}/stats")


def _sum(stats: list[dict[str, Any]], field: str) -> int:
    return sum(int(stat.get(field) or 0) for stat in stats)


def _successes(stats: list[dict[str, Any]]) -> int:
    return sum(_leaf_count((stat.get("inference_stats") or {}).get("success")) for stat in stats)


def _of_size(stats: list[dict[str, Any]], rows: int) -> int:
    sizes = [entry for stat in stats for entry in stat.get("batch_stats") or [] if isinstance(entry, dict)]
    return sum(_leaf_count(entry.get("compute_infer")) for entry in sizes if entry.get("batch_size") == rows)


def _leaf_count(leaf: object) -> int:
    return int(leaf.get("count") or 0) if isinstance(leaf, Mapping) else 0


def _stats(server: Server, path: str) -> list[dict[str, Any]]:
    stats = server.good(path).object().get("model_stats")
    if not isinstance(stats, list) or not all(isinstance(stat, dict) for stat in stats):
        raise Failed(f"`model_stats` must be an array of objects, got {stats!r:.100}")
    return stats


def _whole(value: object) -> bool:
    return type(value) is int


def _check(name: str, promise: str, run: Try, severity: Severity = Severity.EXTENSION) -> Check:
    return Check(f"http.statistics.{name}", promise, STATISTICS, run, severity, _EXTENSION)


CHECKS = (
    _check("form", "Statistics of a model have the documented fields.", _form),
    _check("durations", "Every part of inference_stats is an object of count and ns.", _durations),
    _check("all", "GET /v2/models/stats has every model.", _all_models),
    _check("one", "GET /v2/models/{model}/stats has that model alone.", _one_model),
    _check("versioned", "A version's statistics are that version's.", _versioned),
    _check("unknown", "A model that is not there has none.", _unknown),
    _check("rows", "inference_count moves by the rows that were sent.", _rows),
    _check("executions", "execution_count moves by the executions.", _executions),
    _check("success", "inference_stats.success.count moves by the requests.", _success),
    _check("batches", "batch_stats has the executions by their size.", _batches),
)
