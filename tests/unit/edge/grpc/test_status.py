"""The table from errors to gRPC statuses."""

from __future__ import annotations

import pytest

from serving.edge.grpc.status import STATUS, Code, code_of
from serving.errors import Overloaded, ServingError


def tree(kind: type[ServingError]) -> list[type[ServingError]]:
    return [kind, *(leaf for below in kind.__subclasses__() for leaf in tree(below))]


@pytest.mark.parametrize("kind", [kind for kind in tree(ServingError) if kind.__module__ == "serving.errors"])
def test_every_error_of_the_tree_has_an_entry(kind: type[ServingError]) -> None:
    assert kind in STATUS
    assert STATUS[kind] is not Code.OK


def test_an_error_without_an_entry_has_the_status_of_its_nearest_ancestor() -> None:
    stranger = type("Stranger", (Overloaded,), {})
    assert code_of(stranger("full")) is Code.UNAVAILABLE
