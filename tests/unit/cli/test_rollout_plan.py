"""What a plan is tried at has bounds: numbers that no model has are wrong usage, not an error deep within."""

from __future__ import annotations

import sys

import pytest

from serving.cli.main import main


@pytest.mark.parametrize(
    "typed",
    [
        "simulate --requests-per-min inf",
        "simulate --requests-per-min 1e15",
        "simulate --score-shift nan",
        "simulate --score-shift 1e9",
        "simulate --keys 100000000",
        "simulate --from inf",
        "plan --requests-per-min inf",
        "plan --requests-per-min 1e300",
    ],
)
def test_numbers_that_no_model_has_are_wrong_usage(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sluice", "rollout", *typed.split()])
    with pytest.raises(SystemExit) as ending:
        main()
    told = capsys.readouterr().err
    assert ending.value.code == 2, told
    assert "Input should be less than or equal to " in told
    assert told.count("\n") == 1
