"""What a request says beside its tensors: what is understood, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from serving.edge.http.request_options import Options, options_of
from serving.errors import BadRequest


def test_everything_may_be_left_out() -> None:
    assert options_of({"inputs": []}, 5) == Options()
    assert options_of({"parameters": {}, "outputs": [], "id": ""}, 5) == Options()


def test_outputs_asked_for_alike_need_one_flag() -> None:
    both = [{"name": "a", "parameters": {"binary_data": True}}, {"name": "b", "parameters": {"binary_data": True}}]
    assert options_of({"outputs": both}, 5).binary is True
    assert options_of({"outputs": [both[0], {"name": "b"}]}, 5).binary == (True, False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parameters": []}, "`parameters` must be an object"),
        ({"parameters": {"sequence_id": 1}}, "'sequence_id' is not served"),
        ({"parameters": {"sequence_start": True}}, "'sequence_start' is not served"),
        ({"parameters": {"triton_enable_empty_final_response": True}}, "begin with triton_"),
        ({"parameters": {"timeout": -1}}, "'timeout' must be a whole number"),
        ({"parameters": {"timeout": "5"}}, "'timeout' must be a whole number"),
        ({"parameters": {"timeout": 1.5}}, "microseconds"),
        ({"parameters": {"timeout": True}}, "'timeout' must be a whole number"),
        ({"parameters": {"priority": -1}}, "1 the highest"),
        ({"parameters": {"priority": None}}, "'priority' must be"),
        ({"parameters": {"binary_data_output": 1}}, "must be true or false, got 1"),
        ({"outputs": [{"name": "a", "parameters": {"binary_data": "yes"}}]}, "'binary_data' must be true or false"),
        ({"outputs": [{"name": "a", "parameters": {"classification": 3}}]}, "classification is not served"),
        ({"outputs": [{"name": "a", "parameters": {"shared_memory_region": "r"}}]}, "shared memory is not served"),
        ({"outputs": [{"name": "a", "parameters": 1}]}, "must be an object"),
        ({"outputs": [{"name": "a", "binary_data": True}]}, "unknown field 'binary_data'"),
    ],
)
def test_what_is_not_served_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        options_of(fields, 5)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_outputs_named_have_a_limit(over: int) -> None:
    wanted = {"outputs": [{"name": str(i)} for i in range(5 + over)]}
    if over <= 0:
        assert options_of(wanted, 5).outputs
    else:
        with pytest.raises(BadRequest, match=r"http\.max_tensors"):
            options_of(wanted, 5)
