"""What every backend promises to the request path, wherever its models run."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence

import numpy as np
import pytest

from serving.backends.backend import Backend
from serving.errors import ModelFailed, NotReady
from serving.inference import Batch, Outputs, Stacked, VersionKey
from tests.contract.conftest import BROKEN, HOSTED

DOUBLER = VersionKey("doubler", 1)


def floats(model: str, rows: Sequence[Sequence[float]], *, alone: bool = False) -> Batch:
    """A batch of rows for a model with one FP32 input, each row a part of its own."""
    parts = [struct.pack(f"<{len(row)}f", *row) for row in rows]
    x = Stacked("x", "FP32", (len(rows), len(rows[0])), list(parts))
    return Batch(VersionKey(model, 1), (x,), len(rows), time.monotonic() + 30, alone=alone)


def four(value: float) -> list[float]:
    return [value, value + 0.25, value + 0.5, value + 0.75]


def values(outputs: Outputs) -> list[list[float]]:
    (tensor,) = outputs.tensors
    array = np.frombuffer(tensor.data, "<f4").reshape(tensor.shape)
    return [[float(value) for value in row] for row in array]


def test_what_is_loaded_is_hosted_with_its_signature_and_the_rest_is_refused_with_a_reason(backend: Backend) -> None:
    assert {key.model for key in backend.hosted()} == set(HOSTED)
    doubler = backend.hosted()[DOUBLER]
    assert doubler.batchable
    assert [(spec.name, spec.datatype, spec.shape) for spec in doubler.signature.inputs] == [("x", "FP32", (-1, 4))]
    assert not backend.hosted()[VersionKey("fixed-batch", 1)].batchable
    assert list(backend.refused()) == [VersionKey(BROKEN, 1)]
    assert "model.onnx" in backend.refused()[VersionKey(BROKEN, 1)]


def test_there_are_slots_for_exactly_what_is_hosted(backend: Backend) -> None:
    assert backend.slots(DOUBLER) >= 1
    assert backend.slots(VersionKey(BROKEN, 1)) == 0
    assert backend.slots(VersionKey("unheard-of", 1)) == 0


async def test_every_row_gets_its_own_answer(backend: Backend) -> None:
    outputs = await backend.run(floats("doubler", [four(row) for row in range(64)]))
    assert values(outputs) == [[2 * value for value in four(row)] for row in range(64)]


async def test_batches_in_flight_together_do_not_mix(backend: Backend) -> None:
    asked = [[four(100 * number + row) for row in range(1 + number % 7)] for number in range(40)]
    answers = await asyncio.gather(*(backend.run(floats("doubler", rows)) for rows in asked))
    assert [values(answer) for answer in answers] == [[[2 * v for v in row] for row in rows] for rows in asked]


async def test_several_inputs_and_outputs_keep_the_signatures_order(backend: Backend) -> None:
    inputs = (
        Stacked("a", "FP32", (2, 2), [struct.pack("<2f", 1, 2), struct.pack("<2f", 3, 4)]),
        Stacked("b", "FP64", (2, 3), [struct.pack("<6d", 1, 2, 3, 4, 5, 6)]),
        Stacked("keep", "BOOL", (2,), [b"\1", b"\0"]),
        Stacked("i", "INT32", (2,), [struct.pack("<2i", 41, -1)]),
    )
    outputs = await backend.run(Batch(VersionKey("several", 1), inputs, 2, time.monotonic() + 30))
    total, kept, following = outputs.tensors
    assert (total.name, struct.unpack("<2d", total.data)) == ("sum", (9.0, 22.0))
    assert (kept.name, kept.datatype, bytes(kept.data)) == ("kept", "BOOL", b"\0\1")
    assert (following.name, struct.unpack("<2i", following.data)) == ("next", (42, 0))


async def test_text_goes_and_comes(backend: Backend) -> None:
    words = [b"\x03\x00\x00\x00LGA", b"\x05\x00\x00\x00\xc3\x9cber", b"\x00\x00\x00\x00"]
    batch = Batch(
        VersionKey("word-lookup", 1), (Stacked("word", "BYTES", (3, 1), list(words)),), 3, time.monotonic() + 30
    )
    number, back = (await backend.run(batch)).tensors
    assert struct.unpack("<3q", number.data) == (2, -1, -1)
    assert bytes(back.data) == b"\x03\x00\x00\x00LGA" + b"\x01\x00\x00\x00?" * 2


@pytest.mark.parametrize("rows", [1, 3])
async def test_a_version_that_is_not_batchable_gets_its_request_as_it_is(backend: Backend, rows: int) -> None:
    scalar = Batch(
        VersionKey("scalar", 1), (Stacked("x", "FP32", (), [struct.pack("<f", rows)]),), 0, time.monotonic() + 30
    )
    (answer,) = (await backend.run(scalar)).tensors
    assert (answer.shape, struct.unpack("<f", answer.data)) == ((), (rows + 1.0,))


async def test_a_version_that_is_not_hosted_is_not_ready(backend: Backend) -> None:
    for model in (BROKEN, "unheard-of"):
        with pytest.raises(NotReady):
            await backend.run(floats(model, [[1.0]]))


async def test_a_batch_that_fails_harms_no_other(backend: Backend) -> None:
    asked = [[[1.0]], [[13.0], [2.0]], [[3.0]]]
    one, bad, three = await asyncio.gather(
        *(backend.run(floats("raises-on-13", rows)) for rows in asked), return_exceptions=True
    )
    assert isinstance(one, Outputs)
    assert isinstance(three, Outputs)
    assert (values(one), values(three)) == ([[1.0]], [[3.0]])
    assert isinstance(bad, ModelFailed)


async def test_an_answer_with_fewer_rows_fails_its_batch(backend: Backend) -> None:
    with pytest.raises(ModelFailed):
        await backend.run(floats("short-answer", [[1.0, 1.0], [1e6, 1.0], [3.0, 3.0]]))
    assert values(await backend.run(floats("short-answer", [[1.0, 1.0]]))) == [[1.0, 1.0]]


async def test_a_shape_that_the_model_refuses_fails_its_batch(backend: Backend) -> None:
    with pytest.raises(ModelFailed):
        await backend.run(floats("doubler", [[1.0, 2.0, 3.0]]))
    assert values(await backend.run(floats("doubler", [four(1)]))) == [[2 * value for value in four(1)]]


async def test_who_is_cancelled_harms_no_other(backend: Backend) -> None:
    leaving = [asyncio.create_task(backend.run(floats("slow", [four(row)]))) for row in range(6)]
    staying = [asyncio.create_task(backend.run(floats("slow", [four(row)]))) for row in range(3)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    for row, task in enumerate(staying):
        assert values(await task) == [[2 * value for value in four(row)]]
    # Whoever had not been answered yet was really cancelled.
    for outcome in await asyncio.gather(*leaving, return_exceptions=True):
        assert isinstance(outcome, Outputs | asyncio.CancelledError)


async def test_a_suspect_is_answered_beside_others(backend: Backend) -> None:
    batches = [floats("doubler", [four(row)], alone=row % 4 == 0) for row in range(12)]
    answers = await asyncio.gather(*(backend.run(batch) for batch in batches))
    assert [values(answer) for answer in answers] == [[[2 * value for value in four(row)]] for row in range(12)]


async def test_after_stopping_nothing_runs_and_nobody_hangs(backend: Backend) -> None:
    tasks = [asyncio.create_task(backend.run(floats("slow", [four(row)]))) for row in range(4)]
    await asyncio.sleep(0)
    await backend.stop()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, Outputs | NotReady) for outcome in outcomes)
    with pytest.raises(NotReady):
        await backend.run(floats("doubler", [four(1)]))
    assert backend.slots(DOUBLER) == 0
    assert not backend.settled()


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({}, [[2, 4, 6, 8]]),
        ({"factor": 3}, [[3, 6, 9, 12]]),
        ({"offset": (10, 20, 30, 40)}, [[12, 24, 36, 48]]),
        ({"factor": -1, "offset": (10, 20, 30, 40)}, [[9, 18, 27, 36]]),
    ],
)
async def test_optional_inputs_are_the_callers_or_the_models_own(
    backend: Backend, given: dict[str, object], answer: list[list[float]]
) -> None:
    signature = backend.hosted()[VersionKey("with-default", 1)].signature
    assert [(spec.name, spec.shape, spec.optional) for spec in signature.all_inputs] == [
        ("x", (-1, 4), False),
        ("factor", (), True),
        ("offset", (4,), True),
    ]
    outputs = await backend.run(whole((1, 4), [1, 2, 3, 4], given))
    assert values(outputs) == answer


async def test_tensors_without_elements_come_and_go(backend: Backend) -> None:
    (y,) = (await backend.run(whole((0, 4), [], {"factor": 3}))).tensors
    assert (y.shape, bytes(y.data)) == ((0, 4), b"")


def whole(shape: tuple[int, ...], x: Sequence[float], given: dict[str, object]) -> Batch:
    """One request to with-default, as it is."""
    inputs = [Stacked("x", "FP32", shape, [struct.pack(f"<{len(x)}f", *x)])]
    for name, value in given.items():
        array = np.asarray(value, "<f4")
        inputs.append(Stacked(name, "FP32", array.shape, [array.tobytes()]))
    bits = sum(1 << place for place, name in enumerate(("factor", "offset")) if name in given)
    return Batch(VersionKey("with-default", 1), tuple(inputs), 0, time.monotonic() + 30, given=bits)
