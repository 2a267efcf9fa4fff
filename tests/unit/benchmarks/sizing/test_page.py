"""The page on sizing quotes what the program prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sizing.__main__ import answer_bytes, by_stage, checks
from benchmarks.sizing.costs import POOL, Costs, costs, read
from benchmarks.sizing.fleet import Fleet, Load
from benchmarks.sizing.links import http, links, redis, stream
from benchmarks.sizing.page import check_table, costs_table, links_table, plans_table, stages_table
from benchmarks.sizing.plan import RATE, Plan, plans, simulated

PAGE = Path("docs/operations/sizing.md")


def test_the_page_quotes_the_tables_that_follow_from_the_results() -> None:
    text, peers = PAGE.read_text(), read(POOL)
    known = costs(peers)
    assert costs_table(known) in text
    assert stages_table(by_stage(peers, read("encodings.json"))) in text
    assert check_table(checks(peers, known)) in text
    assert links_table(links(peers["workloads"]["mlp"]["body_bytes"], answer_bytes(peers)), RATE) in text


def test_the_page_has_a_line_for_each_fleet_that_is_simulated() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if " / " in line]
    for plan in plans(costs(read(POOL)), 10.0, 1_000.0):
        begins = f"| {plan.title} | {plan.fleet.workers} | {plan.fleet.replicas} |"
        assert sum(line.startswith(begins) for line in lines) == 1, begins


def test_a_line_tells_both_sides_of_the_truth() -> None:
    fleet = Fleet(Costs(7.0, 6.0, 60.0, 70.0, 0.5), workers=1, replicas=1)
    row = plans_table([simulated(Plan("few", fleet, Load(100.0, requests=500)))]).splitlines()[-1]
    assert row.startswith("| few | 1 | 1 | 9")
    assert row.count(" / ") == 6


def test_bytes_are_those_of_the_frames() -> None:
    assert http(246, 307).there == pytest.approx(246 + 81, abs=1)
    assert stream(64).there == pytest.approx(128, abs=2)
    assert stream(1).there > stream(64).there
    assert redis().back == 4 * (len("$50\r\n\r\n") + 50)
