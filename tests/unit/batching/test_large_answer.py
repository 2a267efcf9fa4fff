"""Large answers: joined in any order, refused where spans differ in shape."""

from __future__ import annotations

from itertools import permutations

from serving.batching.large_answer import LargeAnswer, LargeAnswers
from serving.errors import ModelFailed, ServingError
from serving.inference import Answer, Outputs, Request, Tensor, VersionKey


def span(rows: int, width: int, value: int) -> Answer:
    tensor = Tensor("y", "UINT8", (rows, width), bytes([value]) * rows * width)
    return Answer(Outputs((tensor,)), 0, rows, False, VersionKey("m", 1), "stable", 0.0, 0.001)


def test_spans_are_joined_in_the_order_of_rows_whatever_their_order_of_arrival() -> None:
    for order in permutations([(0, 2), (2, 2), (4, 1)]):
        large = LargeAnswer(5)
        *early, last = [large.add(start, span(rows, 3, start)) for start, rows in order]
        assert early == [None, None]
        assert isinstance(last, Answer)
        (tensor,) = last.tensors()
        assert tensor.shape == (5, 3)
        assert tensor.data == bytes([0] * 6 + [2] * 6 + [4] * 3)


def test_spans_whose_rows_have_other_shapes_are_an_error_and_no_garbage() -> None:
    large = LargeAnswer(4)
    assert large.add(0, span(2, 3, 0)) is None
    error = large.add(2, span(2, 4, 0))
    assert isinstance(error, ModelFailed)
    assert "'y'" in error.message


class Flight:
    def __init__(self) -> None:
        self.told: list[Request] = []

    def released(self, request: Request) -> None:
        self.told.append(request)


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


def test_batches_that_still_fly_hear_of_a_request_that_leaves_and_those_that_landed_do_not() -> None:
    answers, landed, flying = LargeAnswers(), Flight(), Flight()
    request = Request("m", [], Nobody(), 0.0)
    request.holders = (answers,)
    answers.boards(request, landed)
    answers.boards(request, flying)
    answers.landed(request, landed)
    request.leave()
    assert landed.told == []
    assert flying.told == [request]
    answers.released(request)
    assert flying.told == [request]
