"""What can be granted of a model configuration, and that everything else is refused by name."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, UnknownModel
from serving.processes.model_wishes import ModelWishes, wishes_of


def wished(**config: object) -> ModelWishes:
    return wishes_of("m", json.dumps(config))


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ({"latest": {"num_versions": 2}}, [5, 3]),
        ({"latest": {}}, [5]),
        ({"specific": {"versions": [1, 3, 3]}}, [3, 1]),
        ({"all": {}}, [5, 3, 1]),
    ],
)
def test_a_policy_chooses_versions_the_highest_first(policy: dict[str, object], versions: list[int]) -> None:
    wishes = wished(version_policy=policy)
    assert wishes.names_versions
    assert wishes.versions_of("m", [1, 3, 5]) == versions


def test_without_a_policy_it_is_the_highest_and_the_others_stay() -> None:
    assert wishes_of("m", "").versions_of("m", [1, 3, 5]) == [5]
    assert not wishes_of("m", "").names_versions
    assert not wished(max_batch_size=4).names_versions


def test_a_version_that_is_not_there_is_told() -> None:
    with pytest.raises(UnknownModel, match=r"no version 2 of 'm'; it has \[1, 3\]"):
        wished(version_policy={"specific": {"versions": [2]}}).versions_of("m", [3, 1])


def test_limits_are_those_that_were_said() -> None:
    assert wished().limits() == {}
    assert wished(max_batch_size=0).limits() == {"max_rows": 1}
    batching = {"priority_levels": 5, "default_priority_level": 3, "preserve_ordering": False}
    assert wished(max_batch_size=16, dynamic_batching=batching).limits() == {
        "max_rows": 16,
        "priority_levels": 5,
        "default_priority": 3,
    }


def test_what_is_left_at_its_empty_value_says_nothing() -> None:
    assert (
        wished(name="m", platform="onnxruntime_onnx", backend="", input=[], parameters={}, runtime="") == ModelWishes()
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"max_batch_size"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"name": "other"}', "'m' is to be loaded"),
        ('{"platform": "tensorrt_plan"}', "models here are onnxruntime_onnx"),
        ('{"instance_group": [{"count": 2}]}', "instance_group cannot be set"),
        ('{"dynamic_batching": {"max_queue_delay_microseconds": 100}}', "max_queue_delay_microseconds cannot be set"),
        ('{"dynamic_batching": 1}', "must be an object"),
        ('{"max_batch_size": -1}', "max_batch_size must be a whole number"),
        ('{"max_batch_size": true}', "max_batch_size must be a whole number"),
        ('{"version_policy": {}}', "one of latest, specific and all"),
        ('{"version_policy": 1}', "one of latest, specific and all"),
        ('{"version_policy": {"oldest": {}}}', "'oldest'"),
        ('{"version_policy": {"latest": 1}}', "must be an object"),
        ('{"version_policy": {"latest": {"num_versions": 0}}}', "num_versions must be a whole number"),
        ('{"version_policy": {"specific": {"versions": []}}}', "needs versions"),
        ('{"version_policy": {"specific": {"versions": ["1"]}}}', "a version must be a whole number"),
    ],
)
def test_everything_else_is_refused_by_name(config: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        wishes_of("m", config)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = st.sampled_from(["name", "platform", "backend", "version_policy", "max_batch_size", "dynamic_batching", "x"])
INNER = st.dictionaries(st.sampled_from(["latest", "specific", "versions", "priority_levels"]), JSON, max_size=2)


@given(st.dictionaries(KEYS, JSON | INNER, max_size=3))
def test_any_configuration_is_understood_or_refused(config: dict[str, object]) -> None:
    with contextlib.suppress(BadRequest):
        assert wishes_of("m", json.dumps(config)).limits() is not None
