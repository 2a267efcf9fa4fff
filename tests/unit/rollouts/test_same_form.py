"""What a caller of one version may meet in the other."""

from __future__ import annotations

from typing import Any

import pytest

from serving.rollouts.same_form import other_form


def spec(
    name: str, datatype: str = "FP32", shape: tuple[int, ...] = (-1, 4), *, optional: bool = False
) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape), "optional": optional}


def version(number: int, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": number, "inputs": inputs, "outputs": outputs}


STABLE = version(1, [spec("x")], [spec("y", shape=(-1, 2)), spec("label", "INT64", (1,))])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (STABLE["inputs"], STABLE["outputs"]),
        ([spec("x", shape=(-1, -1))], STABLE["outputs"]),
        ([spec("x"), spec("more", optional=True)], STABLE["outputs"]),
        ([spec("x")], [*STABLE["outputs"], spec("z")]),
        ([spec("x")], [spec("y", shape=(-1, -1)), spec("label", "INT64", (-1,))]),
        ([spec("x")], [spec("y", shape=()), spec("label", "INT64", ())]),
    ],
)
def test_whoever_can_ask_one_can_ask_the_other(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
    assert other_form(STABLE, version(2, inputs, outputs)) == ""


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([spec("row")], STABLE["outputs"], "version 2 has no input 'x', which version 1 has"),
        ([spec("x"), spec("z")], STABLE["outputs"], "version 2 needs input 'z', which version 1 does not have"),
        (
            [spec("x", shape=(-1, 5))],
            STABLE["outputs"],
            "input 'x' of version 2 is FP32 [-1, 5], of version 1 FP32 [-1, 4]",
        ),
        ([spec("x", "FP64")], STABLE["outputs"], "input 'x' of version 2 is FP64 [-1, 4], of version 1 FP32 [-1, 4]"),
        (
            [spec("x", shape=(1, 4))],
            STABLE["outputs"],
            "input 'x' of version 2 is FP32 [1, 4], of version 1 FP32 [-1, 4]",
        ),
        ([spec("x")], STABLE["outputs"][:1], "version 2 has no output 'label', which version 1 has"),
        (
            [spec("x")],
            [spec("y", shape=(-1, 3)), STABLE["outputs"][1]],
            "output 'y' of version 2 is FP32 [-1, 3], of version 1 FP32 [-1, 2]",
        ),
        (
            [spec("x")],
            [spec("y", "FP64", (-1, 2)), STABLE["outputs"][1]],
            "output 'y' of version 2 is FP64 [-1, 2], of version 1 FP32 [-1, 2]",
        ),
    ],
)
def test_what_a_caller_would_trip_over_is_said(
    inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], words: str
) -> None:
    assert other_form(STABLE, version(2, inputs, outputs)) == words
