"""A member's record as it travels between releases."""

from __future__ import annotations

import json

import pytest

from serving.errors import ConfigInvalid
from serving.state.member import Member, MemberVersion, dump, load

MEMBER = Member(
    "r1", "unix:/run/p.sock", versions=(MemberVersion("flights", 2, ready=True, batchable=False, note="one row"),)
)


def test_a_record_comes_back_as_it_was() -> None:
    assert load(dump(MEMBER)) == MEMBER


def test_the_record_of_the_first_release_is_read() -> None:
    recorded = (
        '{"format":1,"replica":"r1","address":"unix:/run/p.sock","state":"serving",'
        '"versions":[{"model":"flights","version":2,"ready":true,"batchable":false,"note":"one row"}]}'
    )
    assert load(recorded) == MEMBER


def test_fields_of_a_later_release_are_left_alone() -> None:
    document = json.loads(dump(MEMBER))
    document["zone"] = "b"
    document["versions"][0]["memory_mb"] = 12
    assert load(json.dumps(document)) == MEMBER


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"format":2}', '{"format":1,"replica":"r"}', "\xff"])
def test_what_is_no_record_is_refused(record: str) -> None:
    with pytest.raises(ConfigInvalid):
        load(record)
