"""What a version takes, and what a caller is told who sends something else."""

from __future__ import annotations

from math import prod

import pytest

from serving.errors import BadRequest, ServingError
from serving.inference import Answer, Hosted, Request, Signature, Tensor, TensorSpec, VersionKey
from serving.request_path.intake import Given, Intake

TWO = Signature(
    (TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT64", (-1, -1))), (TensorSpec("y", "FP32", (-1,)),)
)
ONE = Signature((TensorSpec("a", "FP32", (-1, 2)),), TWO.outputs)


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


def intake(signature: Signature, *, batchable: bool = True) -> Intake:
    return Intake(Hosted(VersionKey("m", 1), signature, batchable))


def request(*tensors: tuple[str, str, tuple[int, ...]]) -> Request:
    size = {"FP32": 4, "INT64": 8, "FP64": 8}
    made = [Tensor(name, kind, shape, bytes(size[kind] * prod(shape))) for name, kind, shape in tensors]
    return Request("m", made, Nobody(), 0.0)


def test_inputs_come_out_in_the_signatures_order() -> None:
    asked = request(("b", "INT64", (3, 4)), ("a", "FP32", (3, 2)))
    intake(TWO).check(asked)
    assert [tensor.name for tensor in asked.inputs] == ["a", "b"]
    assert (asked.rows, asked.size) == (3, 3 * 2 * 4 + 3 * 4 * 8)


def test_only_equal_trailing_shapes_share_a_group() -> None:
    checked = []
    for columns in (4, 4, 5):
        asked = request(("a", "FP32", (1, 2)), ("b", "INT64", (1, columns)))
        intake(TWO).check(asked)
        checked.append(asked.group)
    assert checked[0] == checked[1] != checked[2]


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ([("c", "FP32", (1, 2))], r"no input 'c'; its inputs are \['a'\]"),
        ([], r"input 'a' .* is missing; its inputs are \['a'\]"),
        ([("a", "FP64", (1, 2))], r"datatype FP64; model 'm' takes FP32"),
        ([("a", "FP32", (1, 3))], r"shape \[1, 3\]; model 'm' takes \[-1, 2\]"),
        ([("a", "FP32", (2,))], r"shape \[2\]; model 'm' takes \[-1, 2\]"),
        ([("a", "FP32", ())], r"shape \[\]"),
        ([("a", "FP32", (0, 2))], r"no rows"),
        ([("a", "FP32", (1, 2)), ("a", "FP32", (1, 2))], r"given twice"),
        ([("a", "FP32", (1, 2)), ("b", "FP32", (1, 2))], r"no input 'b'"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(tensors: list[tuple[str, str, tuple[int, ...]]], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        intake(ONE).check(request(*tensors))


def test_inputs_of_unequal_row_counts_are_refused() -> None:
    with pytest.raises(BadRequest, match="same number of rows"):
        intake(TWO).check(request(("a", "FP32", (2, 2)), ("b", "INT64", (3, 2))))


def test_a_version_that_cannot_batch_takes_the_request_as_it_is() -> None:
    fixed = Signature((TensorSpec("a", "FP32", (4, 2)),), TWO.outputs)
    asked = request(("a", "FP32", (4, 2)))
    intake(fixed, batchable=False).check(asked)
    assert asked.rows == 1
    with pytest.raises(BadRequest, match=r"takes \[4, 2\]"):
        intake(fixed, batchable=False).check(request(("a", "FP32", (3, 2))))


def test_a_scalar_input_is_taken_by_a_version_that_declares_one() -> None:
    scalar = Signature((TensorSpec("a", "FP32", ()),), TWO.outputs)
    asked = request(("a", "FP32", ()))
    intake(scalar, batchable=False).check(asked)
    assert asked.rows == 1


OPTIONAL = Signature(
    ONE.inputs, ONE.outputs, (TensorSpec("k", "FP32", (), optional=True), TensorSpec("o", "FP32", (2,), optional=True))
)


def test_a_request_that_leaves_optional_inputs_out_is_as_any_other() -> None:
    asked = request(("a", "FP32", (3, 2)))
    intake(OPTIONAL).check(asked)
    assert (asked.rows, asked.group) == (3, None)


def test_a_request_that_gives_optional_inputs_shares_a_batch_with_nobody() -> None:
    groups = []
    for tensors, bits in (
        ((("o", "FP32", (2,)), ("a", "FP32", (3, 2))), 2),
        ((("k", "FP32", ()), ("a", "FP32", (3, 2))), 1),
        ((("k", "FP32", ()), ("a", "FP32", (3, 2)), ("o", "FP32", (2,))), 3),
        ((("k", "FP32", ()), ("a", "FP32", (3, 2)), ("o", "FP32", (2,))), 3),
    ):
        asked = request(*tensors)
        intake(OPTIONAL).check(asked)
        assert isinstance(asked.group, Given)
        assert (asked.group.bits, asked.rows) == (bits, 1)
        assert [tensor.name for tensor in asked.inputs] == [spec.name for spec in OPTIONAL.given(bits)]
        groups.append(asked.group)
    assert len(set(groups)) == len(groups)


def test_an_optional_input_is_checked_like_the_others() -> None:
    with pytest.raises(BadRequest, match=r"'o' has shape \[3\]; model 'm' takes \[2\]"):
        intake(OPTIONAL).check(request(("a", "FP32", (1, 2)), ("o", "FP32", (3,))))
    with pytest.raises(BadRequest, match=r"no input 'z'; its inputs are \['a', 'k', 'o'\]"):
        intake(OPTIONAL).check(request(("a", "FP32", (1, 2)), ("z", "FP32", (3,))))
    with pytest.raises(BadRequest, match=r"'a' .* is missing"):
        intake(OPTIONAL).check(request(("o", "FP32", (2,))))


def test_zero_sizes_pass_where_no_rows_are_counted() -> None:
    open_ended = Signature((TensorSpec("a", "FP32", (-1, -1)),), ONE.outputs)
    asked = request(("a", "FP32", (0, 3)))
    intake(open_ended, batchable=False).check(asked)
    assert (asked.rows, asked.size) == (1, 0)
    asked = request(("a", "FP32", (2, 0)))
    intake(open_ended).check(asked)
    assert (asked.rows, asked.size) == (2, 0)
    with pytest.raises(BadRequest, match="no rows"):
        intake(open_ended).check(request(("a", "FP32", (0, 3))))
