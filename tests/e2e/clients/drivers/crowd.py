"""Many tritonclients on one loop, each request with numbers of its own, a tenth of them given up on the way.

`python -m tests.e2e.clients.drivers.crowd EACH HTTP GRPC`: says that it is ready, begins when it is sent a line, and
tells as JSON how many were asked and given up, and what was wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import tritonclient.grpc.aio as over_grpc
import tritonclient.http.aio as over_http

from tests.e2e.clients.drivers import tritonclient_grpc, tritonclient_http
from tests.e2e.clients.drivers.samples import Array, agree, of_several, several

HTTP, UNARY, STREAMS = 8, 8, 4
LEAVES = 0.1
_SLOW = 0.15


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    answered: int = 0
    left: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case:
    """A request and its only right answer."""

    model: str
    inputs: dict[str, Array]
    right: dict[str, Array]


def case(random: np.random.Generator) -> Case:
    """Random numbers of one of three models; `slow` is there for those who leave while it runs."""
    if random.random() < 1 / 3:
        inputs = several(int(random.integers(1, 4)), int(random.integers(2**32)))
        return Case("several", inputs, of_several(inputs))
    row = random.integers(-(2**22), 2**22, (1, 4)).astype(np.float32)
    return Case("slow" if random.random() < _SLOW else "doubler", {"x": row}, {"y": 2 * row})


async def main(each: int, http: str, grpc: str) -> None:
    """All clients at once, each with `each` requests one after another."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    async with asyncio.TaskGroup() as group:
        for seed in range(HTTP):
            group.create_task(_http(tally, each, http, np.random.default_rng([1, seed])))
        for seed in range(UNARY):
            group.create_task(_unary(tally, each, grpc, np.random.default_rng([2, seed])))
        for seed in range(STREAMS):
            group.create_task(_stream(tally, each, grpc, np.random.default_rng([3, seed])))
    print(json.dumps({"answered": tally.answered, "left": tally.left, "wrong": tally.wrong}))


async def _http(tally: Tally, each: int, address: str, random: np.random.Generator) -> None:
    async with over_http.InferenceServerClient(address) as client:

        async def ask(one: Case) -> dict[str, Array | None]:
            binary = bool(random.integers(2))
            return tritonclient_http.answered(
                await client.infer(one.model, tritonclient_http.tensors(one.inputs, binary=binary))
            )

        for _ in range(each):
            await _one(tally, random, ask)


async def _unary(tally: Tally, each: int, address: str, random: np.random.Generator) -> None:
    async with over_grpc.InferenceServerClient(address) as client:

        async def ask(one: Case) -> dict[str, Array | None]:
            return tritonclient_grpc.answered(await client.infer(one.model, tritonclient_grpc.tensors(one.inputs)))

        for _ in range(each):
            await _one(tally, random, ask)


async def _one(
    tally: Tally, random: np.random.Generator, ask: Callable[[Case], Awaitable[dict[str, Array | None]]]
) -> None:
    one = case(random)
    task = asyncio.ensure_future(ask(one))
    if random.random() < LEAVES:
        # Now and then before it is sent, mostly while it waits or runs.
        await asyncio.sleep(random.random() * 0.004)
        if task.cancel():
            tally.left += 1
            await asyncio.wait([task])
            return
    try:
        _compare(tally, one, await task)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what the test tells
        tally.wrong.append(f"{one.model}: {error!r}")


async def _stream(tally: Tally, each: int, address: str, random: np.random.Generator) -> None:
    """Streams of ten requests, all in flight at once; of some the rest is given up after the first answer."""
    async with over_grpc.InferenceServerClient(address) as client:
        for _ in range(each // 10):
            cases = [case(random) for _ in range(10)]
            stream = client.stream_infer(_requests(cases))
            leaves = random.random() < LEAVES * 2
            try:
                for place in range(10):
                    result, error = await anext(aiter(stream))
                    if error is not None:
                        tally.wrong.append(f"stream: {error}")
                        continue
                    one = cases[int(result.get_response().id)]
                    _compare(tally, one, tritonclient_grpc.answered(result))
                    if leaves:
                        tally.left += 9 - place
                        stream.cancel()
                        break
            except Exception as error:  # noqa: BLE001 - see above
                tally.wrong.append(f"stream: {error!r}")


async def _requests(cases: list[Case]) -> AsyncIterator[dict[str, object]]:
    for number, one in enumerate(cases):
        yield {"model_name": one.model, "inputs": tritonclient_grpc.tensors(one.inputs), "request_id": str(number)}


def _compare(tally: Tally, one: Case, answer: dict[str, Array | None]) -> None:
    try:
        agree(answer, one.right)
        tally.answered += 1
    except AssertionError as error:
        tally.wrong.append(f"{one.model} {one.inputs}: {error!r}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
