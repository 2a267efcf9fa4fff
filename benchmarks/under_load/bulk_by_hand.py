"""A file of rows as people send one without a bulk lane: some threads, 64 rows a request, as fast as it goes."""

from __future__ import annotations

import argparse
import http.client
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.encodings import HEADER_LENGTH
from benchmarks.model import FEATURES, INPUT, NAME

_ROWS = 64


def main() -> int:
    """0, or 1 where any request failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--callers", type=int, default=4)
    given = parser.parse_args()
    with given.out.open("wb") as out:
        work = _Work(given.port, _parts(given.file), out)
        threads = [threading.Thread(target=work.caller) for _ in range(given.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return int(work.failed.is_set())


def _parts(file: Path) -> Iterator[NDArray[np.float32]]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(file).iter_batches(_ROWS, columns=[INPUT]):
        yield batch.column(0).flatten().to_numpy().reshape(-1, FEATURES)


class _Work:
    """What the callers share: one takes the next rows, or writes its answers, at a time."""

    def __init__(self, port: int, parts: Iterator[NDArray[np.float32]], out: BinaryIO) -> None:
        self._port = port
        self._parts = parts
        self._out = out
        self._lock = threading.Lock()
        self.failed = threading.Event()

    def caller(self) -> None:
        """Ask until all rows are gone, or any request failed."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self.failed.is_set():
            with self._lock:
                rows = next(self._parts, None)
            if rows is None:
                break
            connection.request("POST", f"/v2/models/{NAME}/infer", *_request(rows))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != HTTPStatus.OK:
                print(answer.status, body[:300], file=sys.stderr)
                self.failed.set()
            with self._lock:
                self._out.write(body[int(answer.headers.get(HEADER_LENGTH, 0)) :])
        connection.close()


def _request(rows: NDArray[np.float32]) -> tuple[bytes, dict[str, str]]:
    tensor = {"name": INPUT, "shape": list(rows.shape), "datatype": "FP32"}
    inputs = [{**tensor, "parameters": {"binary_data_size": rows.nbytes}}]
    head = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    return head + rows.tobytes(), {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}


if __name__ == "__main__":
    sys.exit(main())
