"""Transforms as they are applied, again and again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from serving.features.transforms.transform import Lookup, OneHot


class Walked(tuple[Any, ...]):
    """A table that counts how often somebody went through all of it."""

    __slots__ = ()
    walks = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).walks += 1
        return super().__iter__()


@pytest.mark.parametrize(
    "transform",
    [
        lambda words: Lookup(("request.x",), Walked((word, (1.0,)) for word in words), (0.0,)),
        lambda words: OneHot(("request.x",), Walked(words)),
    ],
)
def test_a_table_is_gone_through_when_it_is_declared_and_not_for_each_request(transform: Any) -> None:
    made = transform([b"a", b"7"])
    Walked.walks = 0
    assert made.apply([["a", 7, "b"]])[0].tolist()[2] == 0.0
    assert made.apply([[7]])[-1].tolist() == [1.0]
    assert Walked.walks == 0


def test_a_transform_is_sent_to_another_process_as_it_is() -> None:
    made = Lookup(("request.x",), ((b"a", (1.0, 2.0)),), (0.0, 0.0))
    sent = pickle.loads(pickle.dumps(made))
    assert (sent, hash(sent)) == (made, hash(made))
    assert [column.tolist() for column in sent.apply([["a"]])] == [[1.0], [2.0]]
