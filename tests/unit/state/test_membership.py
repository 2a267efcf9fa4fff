"""Who stays a member of a pool, for every way a listing can be wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.state.member import Member
from serving.state.membership import after_listing, missing

A = Member("a", "unix:/a")
B = Member("b", "unix:/b")
replicas = st.sets(st.sampled_from("abcdef"))


def listed(names: set[str]) -> dict[str, Member]:
    return {name: Member(name, f"unix:/{name}") for name in names}


def test_an_empty_listing_changes_nothing() -> None:
    assert after_listing({"a": A, "b": B}, {}, gone=(), failed=()) == {"a": A, "b": B}


def test_a_replica_that_said_goodbye_leaves() -> None:
    assert after_listing({"a": A, "b": B}, {"b": B}, gone={"a"}, failed=()) == {"b": B}


def test_an_unlisted_replica_whose_connection_failed_leaves() -> None:
    assert after_listing({"a": A, "b": B}, {"b": B}, gone=(), failed={"a"}) == {"b": B}


def test_a_listed_replica_whose_connection_failed_stays() -> None:
    assert after_listing({"a": A}, {"a": A}, gone=(), failed={"a"}) == {"a": A}


def test_a_new_record_replaces_the_one_that_was_known() -> None:
    draining = Member("a", "unix:/a", "draining")
    assert after_listing({"a": A}, {"a": draining}, gone=(), failed=()) == {"a": draining}


@given(known=replicas, listing=replicas, gone=replicas, failed=replicas)
def test_nobody_leaves_without_a_reason_of_its_own(
    known: set[str], listing: set[str], gone: set[str], failed: set[str]
) -> None:
    after = set(after_listing(listed(known), listed(listing), gone, failed))
    for name in known - after:
        assert name in gone or (name in failed and name not in listing)
    assert after == (known | listing) - gone - ((failed & known) - listing)


@given(known=replicas, listing=replicas)
def test_only_unlisted_replicas_are_looked_up_as_gone(known: set[str], listing: set[str]) -> None:
    assert set(missing(listed(known), listed(listing))) == known - listing
