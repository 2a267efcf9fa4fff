"""`sluice predict` asks MLServer and KServe's Python server, as they come from PyPI, like it asks Sluice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.peers.running_peer import PEERS, running_peer
from tests.integration.cli.sluice_command import Ended, sluice
from tests.integration.redis_process import free_ports


@pytest.fixture(scope="module", params=list(PEERS))
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of each peer in turn."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with running_peer(request.param, folder, free_ports(1)[0]) as url:
        yield url


def outputs(ended: Ended) -> dict[str, tuple[str, list[int], list[Any]]]:
    """Datatype, shape and values of each output, by name."""
    assert (ended.code, ended.err) == (0, "")
    answer = json.loads(ended.out)["answer"]
    return {one["name"]: (one["datatype"], one["shape"], one["data"]) for one in answer["outputs"]}


def test_rows_go_to_the_only_input_in_its_datatype(peer: str) -> None:
    ended = sluice("predict", "doubler", "--row", "1,2,3,4", "--row", "5,6,7,8.5", "--json", "--url", peer)
    assert outputs(ended) == {"y": ("FP32", [2, 4], [2, 4, 6, 8, 10, 12, 14, 17])}


def test_several_inputs_are_named_and_each_has_its_datatype(peer: str) -> None:
    given = ("--input", "a=[[1, 2], [3, 4]]", "--input", "weight=[1, 10]")
    found = outputs(sluice("predict", "weighted", *given, "--json", "--url", peer))
    assert found == {"total": ("FP64", [2], [3, 70]), "heavy": ("BOOL", [2], [False, True])}


def test_text_goes_there_and_comes_back(peer: str) -> None:
    ended = sluice("predict", "loud", "--input", 'word=["flight", "Größe"]', "--json", "--url", peer)
    assert outputs(ended) == {"loud": ("BYTES", [2], ["FLIGHT", "GRÖSSE"])}


def test_where_metadata_tells_no_inputs_what_is_typed_decides(peer: str) -> None:
    ended = sluice("predict", "untold", "--input", "x=[[1.5, 2, 3, 4]]", "--json", "--url", peer)
    assert outputs(ended)["y"][1:] == ([1, 4], [3, 4, 6, 8])


def test_people_read_a_line_for_each_output(peer: str) -> None:
    ended = sluice("predict", "doubler", "--row", "1,2,3,4", "--url", peer)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("doubler  version ")
    assert "2 4 6 8" in ended.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody", "--row", "1"), "nobody"),
        (("untold", "--input", "z=[[1.5, 2, 3, 4]]"), "the inputs are x"),
    ],
)
def test_what_the_peer_refuses_is_told_in_its_words(peer: str, arguments: tuple[str, ...], says: str) -> None:
    ended = sluice("predict", *arguments, "--url", peer)
    assert ended.code == 1
    assert ended.err.startswith(f"sluice: {peer} answered ")
    assert says in ended.err


def test_what_metadata_rules_out_is_wrong_usage(peer: str) -> None:
    ended = sluice("predict", "doubler", "--input", "z=[1]", "--url", peer)
    assert (ended.code, "its inputs: x" in ended.err) == (2, True)
