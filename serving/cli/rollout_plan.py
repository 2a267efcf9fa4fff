"""`sluice rollout plan | simulate`: what a plan comes to, and the rule that ships against a described world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.config import AsJson
from serving.cli.failure import wrong_usage
from serving.cli.models import ControlUrl, HttpPort, TokenFile

if TYPE_CHECKING:
    from serving.cli.rollout_load import Tried
    from serving.rollouts.estimate import Traffic
    from serving.rollouts.plan import Plan, ShadowStage, Step
    from serving.rollouts.world import World

PlanFile = Annotated[Path | None, typer.Option("--plan", help="The plan, as YAML; without it one that fits the load.")]
# As in a file that describes a world.
_MOST_PER_MIN, _MOST_KEYS, _MOST_SHIFT, _LONGEST_S = 1e7, 1_000_000, 10.0, 7 * 86_400
_MOST_WORKERS = 1_000
PerMinute = Annotated[
    float, typer.Option("--requests-per-min", help="Requests a minute of the model.", min=0.1, max=_MOST_PER_MIN)
]
ErrorRate = Annotated[float, typer.Option("--error-rate", help="Of the stable version.", min=0, max=1)]
# What is tried where nothing else is said: enough to tell a rule that works from one that does not.
_RUNS = 10
_HOUR_S = 3_600
_WHOLE_FROM = 10
_AT_RISK = "at risk are so many of a month's errors at 99.9 % if all answers of the canary in that time were errors"


def read_plan(file: Path | None, option: str = "--plan") -> dict[str, Any]:
    """The plan as it is written; nothing where there is no file.

    Raises:
        CommandFailed: the file cannot be read.
        ConfigInvalid: it is no YAML.
    """
    from serving.config.document import read_yaml

    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise wrong_usage(f"{option} {file}: it cannot be read: {why}") from error
    return read_yaml(text, str(file)).values


def _parsed(file: Path | None, requests_per_min: float) -> Plan:
    from serving.errors import ConfigInvalid
    from serving.rollouts.plan_file import parse

    document = read_plan(file)
    try:
        return parse(document, requests_per_min)
    except ConfigInvalid as error:
        raise wrong_usage(f"--plan {file}: {'; '.join(error.message.splitlines())}") from error


def plan(
    model: Annotated[str | None, typer.Argument(help="Its traffic is measured.", show_default=False)] = None,
    file: PlanFile = None,
    requests_per_min: Annotated[
        float | None,
        typer.Option(
            "--requests-per-min", help="Instead of measuring; without a model 1000.", min=0.1, max=_MOST_PER_MIN
        ),
    ] = None,
    error_rate: Annotated[
        float | None, typer.Option("--error-rate", help="Instead of measuring; without a model 0.01.", min=0, max=1)
    ] = None,
    runs_per_request: Annotated[
        float | None,
        typer.Option(
            "--runs-per-request",
            help="Instead of measuring: below 1 where requests run together; without a model 1.",
            min=0.001,
            max=1_000,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Gateway workers, instead of those that the session has; without a model 1.",
            min=1,
            max=_MOST_WORKERS,
        ),
    ] = None,
    measure_s: Annotated[float, typer.Option("--measure", help="Seconds.", min=1, max=600)] = 10.0,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Check a plan and show what it comes to: its steps, and how long each gate will need to see which change.

    With a model it is held against the traffic that its session has now; without one nothing is asked of a session.
    `sluice rollout start --dry-run` asks whether it could begin there.
    """
    from serving.cli.control_client import control_client
    from serving.cli.output import console, print_json
    from serving.cli.rollout_load import Load, measured_of, told, tried
    from serving.cli.spinner import spinner

    options, measured, said = Load(requests_per_min, error_rate, runs_per_request, workers), Load(), ""
    if model is not None and None in options:
        client = control_client(http_port, control_url, token_file)
        with spinner(f"measuring {model} for {measure_s:g} s", silent=as_json):
            measured, said = measured_of(client, model, measure_s, known=requests_per_min is not None)
    load = tried(options, measured)
    found = _parsed(file, load.requests_per_min)
    foretold = _foretold(found, load)
    if as_json:
        print_json(load._asdict() | foretold)
        return
    out = console()
    out.print("\n".join(filter(None, (said, told(load)))), "", sep="\n", markup=False)
    _show(found, load, foretold)


def _foretold(plan: Plan, load: Tried) -> dict[str, Any]:
    """What the plan comes to at this load, as programs are told it."""
    from serving.rollouts.estimate import Traffic, budget_share, forecasts, proof_minutes, shadow_minutes

    traffic = Traffic(
        load.requests_per_min, load.error_rate, runs_per_request=load.runs_per_request, workers=load.workers
    )
    proof_min = proof_minutes(plan, traffic)
    return {
        "steps": [_step(step, traffic) for step in plan.steps],
        "gates": [
            one._asdict() | {"budget_share": budget_share(one.excess, traffic)} for one in forecasts(plan, traffic)
        ],
        "proof_minutes": proof_min if proof_min < inf else None,
        "shadow": [
            {"gate": name, "pairs": count, "minutes": takes} for name, count, takes in shadow_minutes(plan, traffic)
        ],
    }


def _step(step: Step, traffic: Traffic) -> dict[str, Any]:
    """`budget_share`: of a month's errors, if all that the canary answers in the step's least time were errors."""
    from serving.rollouts.estimate import budget_share

    canary = traffic.requests_per_min * step.least_s / 60 * step.weight_bp / 10_000
    return {
        "weight_percent": step.weight_bp / 100,
        "least_s": step.least_s,
        "most_s": step.most_s,
        "approval": step.approval,
        "canary_requests": round(canary),
        "budget_share": budget_share(canary, traffic),
    }


def _show(plan: Plan, load: Tried, foretold: Mapping[str, Any]) -> None:
    from serving.cli.output import console, table

    columns = ["step", "canary's share", "at least", "at most", "requests of the canary", "at risk", "approval"]
    rows = [
        (
            str(place),
            f"{step['weight_percent']:g} %",
            f"{step['least_s'] / 60:g} min",
            f"{step['most_s'] / 60:g} min",
            f"{step['canary_requests']:,}",
            _percent(step["budget_share"]),
            "yes" if step["approval"] else "",
        )
        for place, step in enumerate(foretold["steps"], start=1)
    ]
    out = console()
    out.print(table(columns, rows, right=columns[:6]))
    least_s = sum(step.least_s for step in plan.steps)
    if plan.shadow is not None:
        least_s += plan.shadow.duration_s
        out.print(_shadow_text(plan.shadow, load.requests_per_min, foretold["shadow"]), markup=False)
    out.print(f"\n100 % follows after {least_s / _HOUR_S:.1f} h at the earliest; {_AT_RISK}\n", markup=False)
    shown = [
        (
            gate["gate"],
            gate["change"],
            "not at all" if gate["step"] is None else f"{gate['minutes']:.1f} min",
            "" if gate["step"] is None else str(gate["step"] + 1),
            _percent(gate["budget_share"]) if gate["excess"] else "",
        )
        for gate in foretold["gates"]
    ]
    names = ["gate", "a change", "is seen after", "in step", "of a month's errors at 99.9 %"]
    out.print(table(names, shown, right=names[2:]))
    out.print(f"\n{_proof_text(foretold['proof_minutes'])}", markup=False)


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:,.0f} %" if percent >= _WHOLE_FROM else f"{percent:.2g} %"


def _proof_text(minutes: float | None) -> str:
    if minutes is None:
        return "the last step shows within no week that an equal canary is no worse"
    return f"the last step needs about {minutes:.0f} min to show that an equal canary is no worse"


def _world(file: Path, flags: World) -> World:
    """That of the file, which says all or nothing."""
    from serving.errors import ConfigInvalid
    from serving.rollouts import world_file
    from serving.rollouts.world import World

    if flags != World():
        raise wrong_usage("--world says what the world is like; what options say of it belongs into the file")
    try:
        return world_file.parse(read_plan(file, "--world"))
    except ConfigInvalid as error:
        raise wrong_usage(f"--world {file}: {'; '.join(error.message.splitlines())}") from error


def _shadow_text(stage: ShadowStage, requests_per_min: float, gates: list[dict[str, Any]]) -> str:
    per_min = requests_per_min * stage.percent / 100
    shown = (f"{one['gate']} by {one['pairs']:,} pairs ({one['minutes']:.1f} min)" for one in gates)
    return (
        f"\nbefore that copies of {stage.percent:g} % of the requests, {per_min:,.0f} a minute, go to the canary, "
        f"for {stage.duration_s / 60:g} min at least; that limits are kept is shown at best for {', for '.join(shown)}"
    )


def simulate(
    file: PlanFile = None,
    world_file: Annotated[
        Path | None, typer.Option("--world", help="The world, as YAML, instead of the options that describe one.")
    ] = None,
    requests_per_min: PerMinute = 1_000.0,
    error_rate: ErrorRate = 0.01,
    error_ratio: Annotated[
        float, typer.Option("--error-ratio", help="Errors of the canary: so many times as many.", min=0, max=1_000)
    ] = 1.0,
    latency_factor: Annotated[
        float, typer.Option("--latency-factor", help="The canary takes so many times as long.", min=0.01, max=100)
    ] = 1.0,
    score_shift: Annotated[
        float,
        typer.Option(
            "--score-shift",
            help="In standard deviations of the stable version's scores.",
            min=-_MOST_SHIFT,
            max=_MOST_SHIFT,
        ),
    ] = 0.0,
    from_s: Annotated[
        float, typer.Option("--from", help="Seconds after which this begins.", min=0, max=_LONGEST_S)
    ] = 0.0,
    keys: Annotated[
        int, typer.Option("--keys", help="Sticky users; 0: each request by itself.", min=0, max=_MOST_KEYS)
    ] = 0,
    runs: Annotated[int, typer.Option("--runs", help="How many rollouts.", min=1, max=1_000)] = _RUNS,
    as_json: AsJson = False,
) -> None:
    """Try the rule that judges rollouts in a described world, and count how rollouts ended and when."""
    from serving.cli.output import console, print_json, table
    from serving.cli.spinner import spinner
    from serving.rollouts.simulation import simulate as run
    from serving.rollouts.world import Fault, World

    fault = Fault(error_ratio, latency_factor, score_shift=score_shift, from_s=from_s)
    world = World(requests_per_min, error_rate, keys=keys, fault=fault)
    if world_file is not None:
        world = _world(world_file, world)
    found = _parsed(file, world.requests_per_min)
    results = []
    with spinner("simulating", silent=as_json) as tell:
        for seed in range(runs):
            results.append(run(world, found, seed))
            tell(f"simulating, {seed + 1} of {runs} rollouts done")
    ends = Counter((str(one.phase), one.reason) for one in results)
    rows: list[dict[str, Any]] = [
        {
            "phase": phase,
            "reason": reason,
            "rollouts": count,
            "median_s": sorted(one.at_s for one in results if (str(one.phase), one.reason) == (phase, reason))[
                count // 2
            ],
        }
        for (phase, reason), count in ends.most_common()
    ]
    if as_json:
        print_json({"runs": runs, "ends": rows})
        return
    shown = [
        (row["phase"].replace("_", " "), row["reason"], str(row["rollouts"]), f"{row['median_s'] / 60:.1f} min")
        for row in rows
    ]
    console().print(table(["ended", "reason", "rollouts", "median time"], shown, right=["rollouts", "median time"]))
