"""A rollout in text, as commands print it: where it stands, its steps, its gates in sentences."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

Seen = Mapping[str, Any]
# Of those that differ most; the others are in the API.
_MOST_DIFFERENCES = 5
COLUMNS = ("rollout", "model", "versions", "phase", "canary's share", "why")


def row(seen: Seen) -> tuple[str, ...]:
    """Of the table of rollouts, in the order of `COLUMNS`."""
    versions = f"{seen['stable']} to {seen['canary']}"
    return seen["id"], seen["model"], versions, _phase(seen), f"{seen['weight_percent']:g} %", seen["sentence"]


def in_short(seen: Seen) -> str:
    """One line for who waits: where it stands, and what was said last."""
    return (
        f"{seen['id']}: {_phase(seen)}, {seen['weight_percent']:g} % to the canary: {seen['said'] or seen['sentence']}"
    )


def tree(seen: Seen, now_s: float | None = None, *, judged_by: bool = True) -> Iterator[str]:
    """One rollout with everything that is known of it, line by line; `judged_by` never changes, and takes room."""
    now_s = time.time() if now_s is None else now_s
    yield f"{seen['id']}: {seen['model']}, version {seen['stable']} to {seen['canary']}"
    yield f"├─ {_phase(seen)} for {_long(now_s - seen['since_s'])}, {seen['weight_percent']:g} % to the canary"
    yield f"│  {seen['sentence']}"
    if seen["said"] not in ("", seen["sentence"]) and not seen["over"]:
        yield f"│  now: {seen['said']}"
    if seen["runs"]:
        yield f"├─ the canary runs {seen['runs']}"
    yield f"├─ steps: {_steps(seen)}"
    on = seen["requests"]
    late = f", {seen['late_requests']:,} told too late" if seen["late_requests"] else ""
    yield (
        f"├─ requests: {on['canary']:,} on the canary, {on['stable']:,} on the stable version, counted by "
        f"{seen['counted_by']}{_sampled(seen)}{late}"
    )
    if seen.get("shadow"):
        yield from _shadow(seen["shadow"])
    yield "└─ gates" if seen["gates"] else "└─ gates: none before the stable version is measured"
    for sentence in explained(seen, judged_by=judged_by):
        yield f"   {sentence}"


def explained(seen: Seen, *, judged_by: bool = False) -> Iterator[str]:
    """Every gate in one sentence with its numbers, and what a promotion still lacks.

    With `judged_by` what each is judged by follows, where the control app is of this release.
    """
    for gate in (seen.get("shadow") or {"gates": ()})["gates"]:
        yield f"shadow {gate['name']}: {gate['sentence']}"
    # A control app of the release before has no guardrail.
    guards = [("guardrail", guard) for guard in seen.get("guardrail", ())]
    for name, gate in (*((gate["name"], gate) for gate in seen["gates"]), *guards):
        yield f"{name}: {gate['sentence']}"
        if judged_by and "judged_by" in gate:
            yield f"   by {gate['judged_by']['sentence']}"
    for sentence in seen["lacking"]:
        yield f"to promote: {sentence}"


def _sampled(seen: Seen) -> str:
    share = seen.get("key_sample") or 1.0
    return f" of a sample of {100 * share:.3g} % of them" if share < 1 and seen["counted_by"] == "key" else ""


def _shadow(seen: Seen) -> Iterator[str]:
    """What copies came to, how the pairs differ, and those that differ most."""
    copies, decisions = seen["copies"], seen["decisions"]
    yield (
        f"├─ shadow: copies of {seen['percent']:g} % of the requests: {copies['ok']:,} ran, "
        f"{copies['failed']:,} failed, {copies['dropped']:,} dropped"
    )
    if decisions["same"] or decisions["otherwise"]:
        yield f"│  decisions: {decisions['otherwise']:,} otherwise, {decisions['same']:,} the same"
    if seen["deltas"]:
        yield f"│  scores apart: {', '.join(_delta(one) for one in seen['deltas'])}"
    for side in ("stable", "shadow"):
        if seen["runs"][side]:
            yield f"│  runs on {side}: {', '.join(_quantile(*one) for one in seen['runs'][side].items())}"
    for one in seen["differences"][:_MOST_DIFFERENCES]:
        yield f"│  {_difference(one)}"


def _delta(one: Seen) -> str:
    return f"{one['pairs']:,} beyond" if one["up_to"] is None else f"{one['pairs']:,} up to {one['up_to']:g}"


def _quantile(name: str, bound_us: int | None) -> str:
    quantile = name.removesuffix("_us")
    return f"{quantile} beyond all bounds" if bound_us is None else f"{quantile} up to {bound_us / 1000:g} ms"


def _difference(one: Seen) -> str:
    ours, theirs = (_score(one[side]["score"]) for side in ("stable", "shadow"))
    # As JSON, in which a caller's text cannot steer the terminal.
    which = f"request {json.dumps(one['request_id'])}" if one["request_id"] else "a request without an id"
    inputs = f", inputs {json.dumps(one['inputs'])}" if one.get("inputs") else ""
    return f"{which}: {ours} on stable, {theirs} on the shadow{', decided otherwise' if one['flipped'] else ''}{inputs}"


def _score(score: float | None) -> str:
    return "no number" if score is None else f"{score:.4g}"


def history_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """When, who, what and why."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["at_s"]))
    return at, entry["who"], entry["what"].replace("_", " "), str(entry["step"] + 1), entry["why"]


def _phase(seen: Seen) -> str:
    words = str(seen["phase"]).replace("_", " ")
    return f"{words}, frozen" if seen["frozen"] else words


def _steps(seen: Seen) -> str:
    # Before it begins, the steps are those of a usual traffic, unless the plan names them.
    before = seen["phase"] == "measuring"
    marks = []
    for place, step in enumerate(seen["steps"]):
        here = place == seen["step"] and not before and not seen["over"]
        marks.append(f"[{step['weight_percent']:g} %]" if here else f"{step['weight_percent']:g} %")
    return ", ".join([*marks, "100 %"])


def _long(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
