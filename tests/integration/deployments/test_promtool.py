"""Prometheus's own tool reads the rules, tries each alert, and parses what every panel asks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deployments.monitoring.panels import DASHBOARDS

MONITORING = Path(__file__).parents[3] / "deployments" / "monitoring"
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of Debian's package prometheus")


def promtool(*arguments: str | Path) -> str:
    ended = subprocess.run(
        [str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_configuration_and_its_rules_are_read() -> None:
    assert "SUCCESS" in promtool("check", "config", MONITORING / "prometheus.yml")


def test_those_of_the_compose_file_are_read_where_they_are_mounted(tmp_path: Path) -> None:
    compose = MONITORING.parent / "docker" / "compose.yaml"
    mounted = yaml.safe_load(compose.read_text())["services"]["prometheus"]["volumes"]
    for source, place, _ in (volume.split(":") for volume in mounted):
        shutil.copy(compose.parent / source, tmp_path / Path(place).name)
    assert "1 rule files found" in promtool("check", "config", tmp_path / "prometheus.yml")


def test_each_alert_fires_when_it_should_and_clears() -> None:
    assert "SUCCESS" in promtool("test", "rules", *sorted(MONITORING.glob("rules*_test.yaml")))


def test_what_panels_ask_is_understood(tmp_path: Path) -> None:
    asked = [
        {"record": f"panel:{board.uid.replace('-', '_')}:{place}_{number}", "expr": as_asked(expression)}
        for board in DASHBOARDS
        for place, panel in enumerate(board.panels)
        for number, (expression, _) in enumerate(panel.shown)
    ]
    rules = tmp_path / "panels.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", rules)


def as_asked(expression: str) -> str:
    """As Grafana asks it of Prometheus."""
    return expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
