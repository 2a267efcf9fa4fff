"""Plans as people write them: defaults that fit the traffic, and a sentence for everything that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import ConfigInvalid
from serving.rollouts.hook import Event, Hook, SecretAt, SecretPlace
from serving.rollouts.plan import DEFAULT_GATES, Otherwise, ShadowStage, Step
from serving.rollouts.plan_file import parse


def problems(document: Any) -> str:
    with pytest.raises(ConfigInvalid) as refused:
        parse(document)
    return refused.value.message


def test_an_empty_plan_fits_the_traffic() -> None:
    weights = [step.weight_bp for step in parse({}).steps]
    assert weights == [100, 500, 1_000, 2_500, 5_000]
    assert parse({}).steps[0] == Step(100, 300, 3_600)
    assert parse({}).steps[-1] == Step(5_000, 600, 7_200)
    assert parse({}, 6_000).steps[-1] == Step(5_000, 180, 3_600)
    assert [step.weight_bp for step in parse({}, 50).steps] == [1_000, 2_500, 5_000]
    assert parse({}, 50).steps[-1].most_s == 16 * 3_600


def test_the_chances_of_stopping_a_harmless_canary_add_up_to_less_than_a_twentieth() -> None:
    assert sum(gate.alpha for gate in DEFAULT_GATES.values()) < 0.05


def test_what_a_plan_says_is_taken() -> None:
    plan = parse(
        {
            "steps": [
                {"weight": 0.5, "duration": "90s"},
                {"weight": "20%", "duration": "5m", "max_duration": "2h", "approval": True},
            ],
            "gates": {
                "errors": {"margin": 1.5, "excess": 0.01, "alpha": 0.01},
                "scores": False,
                "latency": {"allowed": 1.5, "p90": {"margin": 2.5}, "p99": {"excess": 0.02}},
            },
            "shadow": {"percent": 10, "duration": "10m"},
            "min_requests": 100,
            "on_inconclusive": "abort",
            "expect_drift": True,
            "webhooks": "https://example.org/hook",
        }
    )
    assert plan.steps == (Step(50, 90, 1_080), Step(2_000, 300, 7_200, approval=True))
    assert plan.gates["errors"].margins == ((1.5, 0.01),)
    assert "scores" not in plan.gates
    assert plan.gates["latency"].allowed == 1.5
    assert plan.gates["latency"].margins == ((2.5, 0.03), (2.0, 0.02))
    assert plan.shadow == ShadowStage(10, 600)
    assert (plan.min_requests, plan.min_events) == (100, 5)
    assert plan.on_inconclusive is Otherwise.ABORT
    assert plan.on_no_data is Otherwise.PAUSE
    assert plan.webhooks == (Hook("https://example.org/hook"),)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"steps": [{"weight": 10}, {"weight": 5}]}, "steps[1].weight: 5 % follows 10 %; weights must grow"),
        ({"steps": [{"weight": 10}, {"weight": 10}]}, "weights must grow"),
        ({"steps": [{"weight": 100}]}, "steps[0].weight: 100 is no weight"),
        ({"steps": [{"weight": True}]}, "True is no weight"),
        ({"steps": [{}]}, "None is no weight"),
        ({"steps": [{"weight": 0.001}]}, "finer than a hundredth"),
        ({"steps": []}, "steps: is no list of steps"),
        ({"steps": [{"weight": percent / 2} for percent in range(1, 102)]}, "steps: 101 of them; at most 100"),
        ({"steps": [5]}, "steps[0]: is no step"),
        ({"steps": [{"weight": 5, "duration": "5 minutes"}]}, "steps[0].duration: '5 minutes' is no duration"),
        ({"steps": [{"weight": 5, "duration": "0s"}]}, "is no duration"),
        ({"steps": [{"weight": 5, "duration": "5m", "max_duration": "1m"}]}, "is shorter than duration"),
        ({"steps": [{"weight": 5, "approval": "yes"}]}, "steps[0].approval: 'yes' is not permitted"),
        ({"steps": [{"weight": 5, "pause": 1}]}, "steps[0]: unknown key 'pause'; there are weight, duration"),
        ({"gates": {"vibes": {}}}, "gates.vibes: no such gate; there are errors, latency"),
        ({"gates": {"errors": {"margin": 1}}}, "gates.errors.margin: 1 is not permitted; a number above 1"),
        ({"gates": {"errors": {"margin": 1.5, "allowed": 2}}}, "1.5 is not above allowed, 2"),
        ({"gates": {"errors": {"alpha": 0}}}, "gates.errors.alpha: 0 is not permitted"),
        ({"gates": {"errors": {"alpha": 0.2}}}, "gates: alphas add up to"),
        ({"gates": {"errors": False}}, "gates.errors: is no mapping"),
        ({"gates": {"latency": {"margin": 2}}}, "unknown key 'margin'; there are alpha, allowed, p90, p99"),
        ({"gates": {"latency": {"p90": 2}}}, "gates.latency.p90: is no mapping with any of the keys margin, excess"),
        ({"gates": {"latency": {"p90": {"margni": 2}}}}, "gates.latency.p90: unknown key 'margni'; there are margin"),
        ({"gates": {"latency": {"p99": {"margin": 1.2}}}}, "gates.latency.p99.margin: 1.2 is not above allowed, 1.25"),
        ({"gates": {"scores": {"excess": 0.1}}}, "gates.scores: unknown key 'excess'; there are alpha, allowed"),
        ({"gates": []}, "gates: is no mapping"),
        ({"gates": {"errors": {"alhpa": 0.1}}}, "gates.errors: unknown key 'alhpa'"),
        ({"shadow": {"percent": 0}}, "shadow.percent: 0 is not permitted"),
        ({"shadow": 5}, "shadow: is no stage"),
        ({"shadow": {"percent": 0.001}}, "shadow.percent: 0.001 is not permitted; a number from 0.01 and up to 100"),
        ({"shadow": {"duration": "5m", "max_duration": "1m"}}, "shadow.max_duration: is shorter than duration"),
        ({"shadow": {"gates": {"vibes": {}}}}, "shadow.gates.vibes: no such gate; there are flips, deltas, errors"),
        ({"shadow": {"gates": {"flips": {}}}}, "shadow.gates.flips: is no gate such as {largest: 0.01}"),
        ({"shadow": {"gates": {"flips": {"largest": 1}}}}, "shadow.gates.flips.largest: 1 is not permitted"),
        ({"shadow": {"gates": {"flips": {"largest": 0.1, "margin": 1}}}}, "shadow.gates.flips: unknown key 'margin'"),
        ({"shadow": {"gates": {"deltas": {"largest": 0.1, "margin": 0}}}}, "deltas.margin: 0 is not permitted"),
        ({"shadow": {"gates": {"flips": {"largest": 0.1, "alpha": 0.1}}}}, "shadow.gates: alphas add up to"),
        ({"shadow": {"gates": []}}, "shadow.gates: is no mapping"),
        ({"shadow": {"show_features": 1}}, "shadow.show_features: 1 is not permitted; true or false"),
        ({"min_requests": 0}, "min_requests: 0 is not permitted"),
        ({"min_events": True}, "min_events: True is not permitted"),
        ({"on_no_data": "promote"}, "on_no_data: 'promote' is not permitted; one of pause, abort, advance"),
        ({"webhooks": ["ftp://x"]}, "webhooks[0]: 'ftp://x' is no address"),
        ({"webhooks": ["http://x:y/"]}, "webhooks[0]: 'http://x:y/' is no address"),
        ({"webhooks": ["http://x/\r\na: b"]}, "is no address"),
        ({"webhooks": [{}]}, "webhooks[0].url: None is no address"),
        ({"webhooks": ["http://a:b@x"]}, "webhooks[0]: has a name or password in it"),
        ({"webhooks": ["http://x"] * 9}, "webhooks: 9 of them; at most 8"),
        ({"webhooks": [{"url": "http://x", "events": ["start"]}]}, "a list of any of step, verdict, end"),
        ({"webhooks": [{"url": "http://x", "secret": "abc"}]}, "webhooks[0].secret: says where the secret is"),
        ({"webhooks": [{"url": "http://x", "secret": {"file": "key"}}]}, "or {file: /path} from the root on"),
        ({"webhooks": [{"url": "http://x", "timeout": "5m"}]}, "webhooks[0].timeout: 300 s is not permitted"),
        ({"webhooks": [{"url": "http://x", "wait": "5m"}]}, "it needs confirm: true"),
        ({"webhooks": [{"url": "http://x", "confirm": "yes"}]}, "'yes' is not permitted; true or false"),
        ({"guardrail": {"allowed": 1}}, "guardrail.allowed: 1 is not permitted; a number above 1"),
        ({"guardrail": True}, "guardrail: is no mapping with any of the keys allowed, alpha"),
        ({"step": []}, "plan: unknown key 'step'"),
        ([], "a plan is a mapping"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(document: Any, sentence: str) -> None:
    assert sentence in problems(document)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(problems({"steps": [{"weight": 0}], "min_requests": 0, "gates": {"vibes": {}}}).splitlines()) == 3


def test_webhooks_are_told_of_everything_unless_they_are_asked_or_say_otherwise() -> None:
    plan = parse(
        {
            "webhooks": [
                {"url": "https://a.example/x", "events": ["end"], "secret": {"env": "KEY"}, "timeout": "2s"},
                {"url": "http://b.example", "confirm": True, "wait": "30m", "secret": {"file": "/run/key"}},
            ]
        }
    )
    told, asked = plan.webhooks
    assert told == Hook("https://a.example/x", (Event.END,), SecretAt(SecretPlace.ENV, "KEY"), 2)
    assert asked == Hook("http://b.example", (), SecretAt(SecretPlace.FILE, "/run/key"), confirm=True, wait_s=1_800)


def test_a_secret_that_is_written_into_a_plan_is_not_repeated() -> None:
    assert "hunter2" not in problems({"webhooks": [{"url": "http://x", "secret": "hunter2"}]})
    assert "hunter2" not in problems({"webhooks": [{"url": "http://x", "secret": {"value": "hunter2"}}]})
    assert "hunter2" not in problems({"webhooks": ["http://a:hunter2@x"]})
