"""The list of contenders."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import CONTENDERS, earlier
from benchmarks.workload import WORKLOADS

PEERS = Path(__file__).parents[3] / "benchmarks" / "peers"


def test_names_are_unique() -> None:
    assert len({contender.name for contender in CONTENDERS}) == len(CONTENDERS)


def test_every_contender_has_a_program_and_asks_for_known_workloads() -> None:
    for contender in CONTENDERS:
        assert (PEERS / f"{contender.program}.py").is_file()
        assert set(contender.workloads) <= set(WORKLOADS)


def test_a_command_tells_the_program_where_everything_is() -> None:
    nginx = next(contender for contender in CONTENDERS if contender.name == "nginx")
    command = nginx.command((1234, 1236, 1235), Path("repository"), Path("scratch"))
    assert command[1:3] == ["-m", "benchmarks.peers.static_nginx"]
    assert command[command.index("--port") + 1] == "1234"
    assert command[command.index("--grpc-port") + 1] == "1236"
    assert command[command.index("--answer") + 1] == "repository/answer.json"


def test_an_earlier_commit_runs_its_own_program_by_its_own_python() -> None:
    checkout = Path("/somewhere/else")
    ray, in_process = earlier(checkout)
    assert (ray.name, in_process.name) == ("sluice-ray-earlier", "sluice-in-process-earlier")
    assert ray.root == in_process.root == checkout
    assert ray.command((1, 2, 3), Path("repository"), Path("scratch"))[0] == "/somewhere/else/.venv/bin/python"
