"""Suspects: one crash isolates a row, two refuse it, an answer or a minute clears it."""

from __future__ import annotations

import pytest

from serving.errors import Poisonous, ServingError
from serving.inference import Answer, Request, Tensor, VersionKey
from serving.request_path.suspects import Suspects, fingerprint

KEY = VersionKey("m", 1)


class Nobody:
    def answered(self, request: Request, outcome: Answer | ServingError) -> None:
        """Drop it."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def request(data: bytes) -> Request:
    return Request("m", [Tensor("x", "UINT8", (len(data),), data)], Nobody(), 0.0)


def test_one_crash_isolates_and_two_refuse() -> None:
    suspects = Suspects(Clock())
    asked = request(b"abc")
    mark = fingerprint(KEY, asked)
    assert not suspects.crashed_with(mark)
    suspects.examine(KEY, asked)
    assert asked.alone
    assert suspects.crashed_with(mark)
    with pytest.raises(Poisonous, match="two replicas"):
        suspects.examine(KEY, request(b"abc"))


def test_other_bytes_and_other_versions_are_not_suspected() -> None:
    suspects = Suspects(Clock())
    suspects.crashed_with(fingerprint(KEY, request(b"abc")))
    for key, data in ((KEY, b"abd"), (VersionKey("m", 2), b"abc")):
        asked = request(data)
        suspects.examine(key, asked)
        assert not asked.alone


def test_an_answer_clears_it() -> None:
    suspects = Suspects(Clock())
    mark = fingerprint(KEY, request(b"abc"))
    suspects.crashed_with(mark)
    suspects.answered(mark)
    assert not suspects


def test_a_minute_clears_it() -> None:
    clock = Clock()
    suspects = Suspects(clock)
    mark = fingerprint(KEY, request(b"abc"))
    suspects.crashed_with(mark)
    suspects.crashed_with(mark)
    clock.now = 61.0
    asked = request(b"abc")
    suspects.examine(KEY, asked)
    assert not asked.alone
    assert not suspects.crashed_with(mark)


def test_those_that_never_come_again_are_forgotten_too() -> None:
    clock = Clock()
    suspects = Suspects(clock)
    for data in (b"abc", b"abd"):
        suspects.crashed_with(fingerprint(KEY, request(data)))
    clock.now = 61.0
    suspects.examine(KEY, request(b"xyz"))
    assert not suspects


def test_no_more_than_its_bound_are_remembered() -> None:
    suspects = Suspects(Clock(), most=10)
    for number in range(1_000):
        suspects.crashed_with(number.to_bytes(2, "big"))
    assert len(suspects._crashes) == 10


def test_what_is_to_blame_is_told_and_refused_by_who_hears_it_for_the_rest_of_the_minute() -> None:
    clock = Clock()
    finder, other = Suspects(clock), Suspects(clock)
    finder.on_condemned(lambda mark: other.condemn(mark, 50.0))
    mark = fingerprint(KEY, request(b"abc"))
    finder.crashed_with(mark)
    other.examine(KEY, request(b"abc"))
    finder.crashed_with(mark)
    with pytest.raises(Poisonous):
        other.examine(KEY, request(b"abc"))
    clock.now = 51.0
    other.examine(KEY, request(b"abc"))
