"""Rules in a hurry are the same rules: nothing but lengths of time is another, and none too short for samples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deployments.monitoring.hastened import RULES, hastened, main, write

LENGTH = re.compile(r"(\[|for: )\d+[smhd]\b")


def test_windows_and_waits_are_divided() -> None:
    text = "expr: rate(a[1h]) > rate(b[3d])\nfor: 10m\n"
    assert hastened(text, 60) == "expr: rate(a[60s]) > rate(b[4320s])\nfor: 10s\n"
    assert hastened(text, 720) == "expr: rate(a[5s]) > rate(b[360s])\nfor: 2s\n"


def test_nothing_but_lengths_of_time_is_another() -> None:
    rules = RULES.read_text()
    assert LENGTH.sub("", hastened(rules)) == LENGTH.sub("", rules)


def test_by_one_it_is_what_production_has(tmp_path: Path) -> None:
    config = yaml.safe_load(write(tmp_path, "127.0.0.1:1", by=1).read_text())
    assert (tmp_path / "rules.yaml").read_text() == RULES.read_text()
    assert config["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s"}
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:1"]}]


def test_the_command_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["hastened", str(tmp_path / "new"), "--metrics", "127.0.0.1:9"])
    main()
    assert capsys.readouterr().out.startswith(f"prometheus --config.file={tmp_path}/new/prometheus.yml ")
    assert "127.0.0.1:9" in (tmp_path / "new" / "prometheus.yml").read_text()


def test_windows_do_not_become_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["hastened", str(tmp_path), "--by", "0.5"])
    with pytest.raises(SystemExit):
        main()
    assert "--by 0.5 would make windows longer; give 1 or more" in capsys.readouterr().err
