"""When an answer counts as right."""

from __future__ import annotations

import numpy as np
import orjson

from benchmarks.check import difference_from
from benchmarks.encodings import Reply
from benchmarks.workload import Workload

EXPECTED = np.array([[0.5, -1.25], [2.0, 3.0]], dtype=np.float32)
LABELS = np.array([1, 0])
WORKLOAD = Workload("w", "m", 1, "x", np.zeros((2, 3), dtype=np.float32), (EXPECTED, LABELS), ("p", "label"))


def answer(*outputs: list[float]) -> Reply:
    return json(orjson.dumps({"outputs": [{"data": values} for values in outputs]}))


def json(body: bytes) -> Reply:
    return Reply(200, {}, body)


def test_the_row_s_own_values_are_right() -> None:
    assert difference_from(WORKLOAD, 0, answer([0.5, -1.25], [1])) == 0
    assert difference_from(WORKLOAD, 0, answer([0.500001, -1.25], [1])) <= 1


def test_another_row_s_values_are_wrong() -> None:
    assert difference_from(WORKLOAD, 0, answer([2.0, 3.0], [0])) > 1


def test_another_form_is_wrong() -> None:
    replies = [json(b""), json(b"{}"), json(b'{"outputs":3}')]
    replies += [answer([0.5, -1.25]), answer([0.5], [1]), answer([0.5, -1.25, 0], [1])]
    for reply in replies:
        assert difference_from(WORKLOAD, 0, reply) == float("inf")


def test_a_value_that_is_no_number_is_wrong() -> None:
    for value in (b"NaN", b"null", b'"a"'):
        body = b'{"outputs":[{"data":[%b,1]},{"data":[1]}]}' % value
        assert difference_from(WORKLOAD, 0, json(body)) == float("inf")


def test_the_static_answer_is_a_right_one() -> None:
    assert difference_from(WORKLOAD, 1, json(WORKLOAD.answer(1))) == 0
