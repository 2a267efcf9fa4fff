"""What is asked as something grows: the tiny model's rows, over so many models, so many in one request."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from benchmarks import model
from benchmarks.encodings import JsonTensors, Reply, Values
from benchmarks.workload import Workload, mlp


@dataclass(frozen=True, slots=True)
class ManyRows:
    """The Open Inference Protocol in JSON; a row of the workload is the rows of one request, end to end."""

    rows: int

    def headers(self, workload: Workload) -> Mapping[str, str]:
        """JSON."""
        return JsonTensors().headers(workload)

    def path(self, workload: Workload) -> str:
        """Infer."""
        return JsonTensors().path(workload)

    def body(self, workload: Workload, row: int) -> bytes:
        """Rounded, as single rows are."""
        values = [round(float(value), 6) for value in workload.rows[row].ravel()]
        shape = [self.rows, len(values) // self.rows]
        tensor = {"name": workload.input_name, "shape": shape, "datatype": "FP32", "data": values}
        return orjson.dumps({"inputs": [tensor]})

    def given(self, workload: Workload, reply: Reply) -> Values:
        """The outputs' data."""
        return JsonTensors().given(workload, reply)


def many_rows(repository: Path, rows: int, requests: int = 40) -> Workload:
    """The tiny model asked for so many rows at once."""
    single = mlp(repository, rows * requests)
    together = single.rows.reshape(requests, -1)
    expected = tuple(values.reshape(requests, -1) for values in single.expected)
    return replace(single, name=f"rows-{rows}", rows=together, expected=expected, encoding=ManyRows(rows))


def copies(repository: Path, count: int) -> list[str]:
    """The tiny model under so many names, its own the first."""
    first = model.build(repository).parent.parent
    names = [model.NAME, *(f"{model.NAME}-{number:02d}" for number in range(2, count + 1))]
    for name in names[1:]:
        shutil.copytree(first, repository / name, dirs_exist_ok=True)
    return names


def over_models(asked: Workload, names: Sequence[str], path: Path) -> None:
    """Write wrk's file: each line goes to the next model, so that the queues of all of them fill at once."""
    body = asked.body(0)
    if len(names) == 1:
        # For a single line wrk would not ask its script what to send, which costs the client less than with many.
        names = [*names, *names]
    path.write_bytes(b"\n".join(f"/v2/models/{name}/infer\t".encode() + body for name in names))
