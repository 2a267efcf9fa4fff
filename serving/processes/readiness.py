"""Ready means that a prediction works: a real request per model, made from its metadata, over the callers' port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal
from urllib.parse import quote

import orjson

_TIMEOUT_S = 10.0
_AGAIN_AFTER_S = 0.02
_SAY_EVERY_S = 5.0
_MAX_ANSWER = 64 * 1024 * 1024

Verdict = Literal["works", "answers", "not_yet"]


@dataclass(frozen=True, slots=True)
class Probe:
    """`works`: 200. `answers`: the model was reached and objects to the sample. `not_yet`: try again."""

    verdict: Verdict
    text: str = ""


@dataclass(frozen=True, slots=True)
class Prober:
    """Asks the gateway as a caller would; `samples` are bodies for models that zeros do not suit."""

    host: str
    port: int
    samples: Mapping[str, bytes]

    async def probe(self, model: str) -> Probe:
        """One prediction."""
        path = f"/v2/models/{quote(model, safe='')}"
        try:
            body = self.samples.get(model)
            if body is None:
                status, answer = await self._ask("GET", path, b"")
                if status != 200:  # noqa: PLR2004 - HTTP's word for done
                    return Probe("not_yet", _said(status, answer))
                body = sample_request(orjson.loads(answer))
            return verdict(*await self._ask("POST", f"{path}/infer", body))
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            return Probe("not_yet", f"{type(error).__name__} {error}".strip())

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(_reachable(self.host), self.port, limit=_MAX_ANSWER)
            with contextlib.closing(writer):
                head = f"{method} {path} HTTP/1.1\r\nhost: {self.host}\r\nconnection: close\r\n"
                kind = "content-type: application/json\r\n" if body else ""
                writer.write(f"{head}{kind}content-length: {len(body)}\r\n\r\n".encode() + body)
                return await _answer(reader)


async def proven(
    prober: Prober, model: str, waiting: Callable[[str], None], refused: Callable[[], bool]
) -> Probe | None:
    """Ask until the model is there, None once it is `refused`; `waiting` hears every five seconds why it is not."""
    says_at = time.monotonic() + _SAY_EVERY_S
    while (probe := await prober.probe(model)).verdict == "not_yet":
        if refused():
            return None
        if time.monotonic() >= says_at:
            waiting(probe.text)
            says_at += _SAY_EVERY_S
        await asyncio.sleep(_AGAIN_AFTER_S)
    return probe


def verdict(status: int, answer: bytes) -> Probe:
    """A model that is there and refuses zeros cannot be called broken; one that is not there yet can become ready."""
    if status == 200:  # noqa: PLR2004 - HTTP's word for done
        return Probe("works")
    if status in (404, 429, 502, 503, 504):
        return Probe("not_yet", _said(status, answer))
    return Probe("answers", _said(status, answer))


def sample_request(metadata: Mapping[str, Any]) -> bytes:
    """One row of zeros (empty strings, false) for each input of the model's metadata, open dimensions as 1."""
    inputs = [
        {
            "name": one["name"],
            "datatype": one["datatype"],
            "shape": (shape := [size if size > 0 else 1 for size in one["shape"]]),
            "data": [_zero(one["datatype"])] * prod(shape),
        }
        for one in metadata["inputs"]
    ]
    return orjson.dumps({"inputs": inputs})


def _zero(datatype: str) -> object:
    return {"BOOL": False, "BYTES": ""}.get(datatype, 0.0 if datatype.startswith(("FP", "BF")) else 0)


def _said(status: int, answer: bytes) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return f"{status}: {orjson.loads(answer)['error']}"
    return f"{status}: {answer[:200].decode(errors='replace')}"


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *headers = head.split("\r\n")
    length = _header(headers, "content-length")
    # The connection closes after the answer, so without a length it is what comes until then.
    body = await (reader.readexactly(int(length)) if length else reader.read())
    return int(status.split()[1]), body


def _header(headers: Sequence[str], name: str) -> str:
    return next((value.strip() for key, _, value in (h.partition(":") for h in headers) if key.lower() == name), "")


def _reachable(host: str) -> str:
    """The address to ask where the gateway listens on all."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
