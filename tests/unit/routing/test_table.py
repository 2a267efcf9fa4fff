"""Routing tables as they are published: what is read, what is refused, and what the first release wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import ConfigInvalid
from serving.routing.table import Route, RouteTable, Served, Shadow, Split, Trial, dump, load

RECORDED = Path(__file__).parents[2] / "fixtures" / "table" / "v1" / "table.json"
TABLE = RouteTable(
    7,
    {
        "flight-delay": Route(
            "flight-delay",
            "rollout-12",
            (Split("stable", 1, 9_500), Split("canary", 2, 500)),
            (Served(1, "default", 1_000, 64, 4_096, 64), Served(2, "trial", 500, 32, 1_024, 16)),
        )
    },
)


def test_a_table_survives_being_published() -> None:
    assert load(dump(TABLE)) == TABLE


def test_a_trial_survives_being_published() -> None:
    trial = Trial("r-1", 7, 2, 500, True, 1_000.5, 1_030.5, (250, 500), "score", 1, (0.25, 0.5), 1 << 31, 20_000)
    route = replace(TABLE.routes["flight-delay"], trial=trial)
    table = RouteTable(8, {route.model: route})
    assert load(dump(table)) == table


@pytest.mark.parametrize("threshold", [0.5, None])
def test_a_shadow_survives_being_published_and_a_trial_of_before_has_none(threshold: float | None) -> None:
    shadow = Shadow(2, 1_000, (0.01, 0.1), threshold, show_inputs=True)
    trial = Trial("r-1", 7, 0, 0, sticky=False, began_s=1.0, count_from_s=2.0, shadow=shadow)
    table = RouteTable(8, {"flight-delay": replace(TABLE.routes["flight-delay"], trial=trial)})
    assert load(dump(table)) == table
    document = json.loads(dump(table))
    for later in ("shadow", "goal_us"):
        del document["routes"][0]["trial"][later]
    route = load(json.dumps(document)).routes["flight-delay"]
    assert route.trial == replace(trial, shadow=None)


def test_a_trial_that_is_none_is_refused_by_name() -> None:
    document = json.loads(dump(TABLE))
    document["routes"][0]["trial"] = {"rollout": "r-1"}
    with pytest.raises(ConfigInvalid, match="generation"):
        load(json.dumps(document))


def test_the_table_that_the_first_release_wrote_is_read() -> None:
    assert load(RECORDED.read_bytes()) == TABLE


def test_this_release_still_writes_what_the_first_one_reads() -> None:
    """Fields that came later stand beside them, and are left alone there."""
    written, recorded = json.loads(dump(TABLE)), json.loads(RECORDED.read_bytes())
    (route,), (first,) = written["routes"], recorded["routes"]
    route["served"] = [{name: one[name] for name in first["served"][0]} for one in route["served"]]
    assert written == recorded


def test_fields_of_a_later_release_are_left_alone() -> None:
    document = json.loads(dump(TABLE))
    document["later"] = True
    document["routes"][0]["served"][0]["later"] = 1
    assert load(json.dumps(document)) == TABLE


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no routing table"),
        (b"[]", "no routing table"),
        (b"{}", "no routing table"),
        (b"\xff", "no routing table"),
        (b'{"format": 2, "epoch": 1, "routes": []}', "format 2"),
    ],
)
def test_what_is_no_table_is_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        load(data)


def test_splits_must_add_up_and_lead_to_served_versions() -> None:
    document = json.loads(dump(TABLE))
    document["routes"][0]["splits"][0]["weight_bp"] = 9_000
    with pytest.raises(ConfigInvalid, match="9500 basis points"):
        load(json.dumps(document))
    document["routes"][0]["splits"][0] = {"variant": "stable", "version": 3, "weight_bp": 9_500}
    with pytest.raises(ConfigInvalid, match=r"\[3\]"):
        load(json.dumps(document))


@pytest.mark.parametrize(
    ("field", "value"), [("max_rows", 0), ("max_rows", None), ("deadline_ms", "100"), ("queue_mb", True), ("pool", 7)]
)
def test_limits_that_are_none_are_refused_by_name(field: str, value: object) -> None:
    document = json.loads(dump(TABLE))
    document["routes"][0]["served"][0][field] = value
    with pytest.raises(ConfigInvalid, match=f"{field} {value!r}"):
        load(json.dumps(document))
