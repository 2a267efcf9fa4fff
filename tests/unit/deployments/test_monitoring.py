"""Rules and dashboards ask for nothing that the gateway does not tell, and each alert has its page and its test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.monitoring import dashboards
from deployments.monitoring.panels import DASHBOARDS
from serving.edge.http.status import STATUS
from tests.e2e import alerts_confined, alerts_on_ray
from tests.e2e.provocation import Provocation
from tests.e2e.test_alerts import REST, SHORT
from tests.unit.deployments.promql import ADDED, grouped, labels_of, named

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deployments" / "monitoring"
GROUPS: list[dict[str, Any]] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
SHOWN = [
    pytest.param(expression, id=f"{board.uid} {panel.title} {number}")
    for board in DASHBOARDS
    for panel in board.panels
    for number, (expression, _) in enumerate(panel.shown)
]
EXPRESSIONS = [pytest.param(rule["expr"], id=rule.get("alert") or rule["record"]) for rule in RULES] + SHOWN


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_metrics_and_labels_that_there_are(expression: str) -> None:
    known: set[str] = set(ADDED)
    names = list(named(expression))
    assert names
    for name, selected in names:
        if ":" in name:
            assert name in RECORDED, f"no rule records {name}"
            known |= {"model", "view", "le"}
            continue
        labels = labels_of(name)
        assert labels is not None, f"the catalogue has no {name}"
        assert selected <= labels | ADDED, f"{name} has no {selected - labels - ADDED}"
        known |= labels
    assert grouped(expression) <= known


def test_callers_mistakes_are_left_out_of_failures_and_nothing_else_is() -> None:
    mistakes = {kind.reason for kind, status in STATUS.items() if status < 500}
    for rule in RULES:
        for left_out in re.findall(r'outcome!~"([^"]+)"', rule["expr"]):
            assert set(left_out.split("|")) - {"ok"} == mistakes


@pytest.mark.parametrize("recorded", ["sluice_requests:rate", "sluice_failures:ratio_rate", "sluice_late:ratio_rate"])
def test_rates_over_all_windows_are_the_same_rate(recorded: str) -> None:
    expressions = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
    first = expressions[f"model:{recorded}5m"]
    for window in WINDOWS:
        expected = first.replace("[5m]", f"[{window}]").replace("rate5m", f"rate{window}")
        assert expressions[f"model:{recorded}{window}"] == expected


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_severity_and_a_page_that_says_what_to_do_and_how_to_provoke_it(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    page = (ROOT / rule["annotations"]["runbook"]).read_text()
    assert f"`{name}`" in page
    headings = re.findall(r"^## (.+)", page, re.MULTILINE)
    assert headings == ["What it means", "What to look at", "What to do", "How to provoke it"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_to_fire_and_to_be_silent(name: str) -> None:
    tests = [test for file in MONITORING.glob("rules*_test.yaml") for test in yaml.safe_load(file.read_text())["tests"]]
    cases = [case for test in tests for case in test.get("alert_rule_test", []) if case["alertname"] == name]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


def test_it_is_said_of_each_alert_how_it_was_provoked_and_after_which_time_it_fired_and_cleared() -> None:
    page = (ROOT / "docs" / "operations" / "monitoring.md").read_text()
    told = re.findall(r"^\| `(Sluice\w+)` \| .+ \| \d+ \| \d+ s \| \d+ s \|$", page, re.MULTILINE)
    assert told == list(ALERTS)


def test_it_is_said_of_each_alert_which_run_of_the_tests_provokes_it() -> None:
    page = (ROOT / "docs" / "operations" / "monitoring.md").read_text()
    rows = page.partition("| run | what is shown |\n|---|---|\n")[2].splitlines()[:4]
    told = [re.findall(r"`(Sluice\w+)`", row) for row in rows]
    on_ray = ["SluiceNotReady", *alerts_on_ray.NO_REPLICA.alerts]
    provoked = [_alerts(SHORT), _alerts(REST), list(alerts_confined.ALERTS), on_ray]
    assert [sorted(names) for names in told] == [sorted(names) for names in provoked]
    assert sorted(name for names in told for name in names) == sorted(ALERTS)


def _alerts(provocations: Sequence[Provocation]) -> list[str]:
    return [name for one in provocations for name in one.alerts]


def test_every_page_belongs_to_an_alert() -> None:
    pages = {path.name for path in (ROOT / "docs" / "operations" / "runbooks").glob("*.md")} - {"README.md"}
    assert pages == {Path(rule["annotations"]["runbook"]).name for rule in ALERTS.values()}


def test_dashboards_are_written_from_their_panels() -> None:
    written = {path.name: path.read_text() for path in dashboards.FOLDER.iterdir()}
    assert written == dict(dashboards.files()), "run `python -m deployments.monitoring.dashboards`"
