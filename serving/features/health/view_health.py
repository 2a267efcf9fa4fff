"""What a sample of a view's rows tells, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.features.feast.hash_row import HashRow
from serving.features.feature_view import FeatureView
from serving.features.health.sample import Sample, ServerFacts
from serving.features.keys import values_of
from serving.features.packed import Row, RowLayout

_HOTTEST = 5
# Clocks that are kept by NTP differ by less.
_FUTURE_S = 60.0
_SKEW_S = 1.0
_MANY_STALE = 0.1
_MANY_MISSING = 0.5
_NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class ViewHealth:
    """Shares are of the sampled rows, those of `missing` of the ones that can be read; None: nothing to tell of.

    `memory_bytes` is estimated for all rows of the view, with their keys. `hottest` has entities and the server's
    counters.
    """

    view: str
    sampled: int
    complete: bool
    rows: int
    row_bytes: int
    unreadable: float | None
    stale: float | None
    future: float | None
    missing: dict[str, float]
    memory_bytes: int | None
    decode_us: float | None
    hottest: list[tuple[str, int]] | None


def health_of(
    view: FeatureView, sample: Sample, now_s: float, clock: Callable[[], float] = time.perf_counter
) -> ViewHealth:
    """Of a sample of the view; to decode Feast's rows is to make packed ones of them."""
    layout = RowLayout(view)
    took_s = 0.0
    if view.feast is not None:
        hash_row = HashRow(view, view.feast)
        began = clock()
        for values in sample.fields:
            hash_row.row(values)
        took_s = clock() - began
    began = clock()
    decoded = [layout.unpack(row) for row in sample.rows.values()]
    took_s += clock() - began
    rows = [row for row in decoded if row is not None]
    ages_s = [now_s - row.event_time_ms / 1000 for row in rows]
    count = len(decoded)
    return ViewHealth(
        view.name,
        count,
        sample.complete,
        sample.estimated_rows,
        layout.size,
        (count - len(rows)) / count if count else None,
        None if view.max_age_s is None else _share([age > view.max_age_s for age in ages_s]),
        _share([age < -_FUTURE_S for age in ages_s]),
        _missing(view, rows),
        None if sample.key_bytes is None else round(sample.key_bytes * sample.estimated_rows),
        took_s / count * 1e6 if count else None,
        _hottest(view, sample),
    )


def advice_for(health: ViewHealth, view: FeatureView) -> list[str]:
    """What to do, a sentence each; none where all is well."""
    if not health.sampled:
        if view.feast is not None:
            return [f"No row is stored; Feast writes them (`feast materialize`), as its view {view.feast.view!r}."]
        return [f"No row is stored; `sluice features load FILE --view {view.name}` writes them."]
    told = []
    if health.unreadable and view.feast is not None:
        told.append(
            f"{_percent(health.unreadable)} of what stands under Feast's keys are no hashes; defaults stand in."
        )
    elif health.unreadable:
        told.append(
            f"{_percent(health.unreadable)} of the rows were written for another form of the view, and defaults stand "
            "in: load them again; count `generation` up with the next change, and load before gateways use it."
        )
    if health.stale is not None and health.stale > _MANY_STALE:
        told.append(
            f"{_percent(health.stale)} of the rows are older than max_age, and defaults stand in: load newer facts, or "
            "let rows be older."
        )
        if view.feast is not None:
            told.append("Nothing ever takes old rows away unless Feast's online store has `key_ttl_seconds`.")
        elif view.expire_after_s is None:
            told.append("Nothing ever takes old rows away: `expire_after` has the server forget them.")
    if health.future:
        told.append(
            f"{_percent(health.future)} of the rows are of the future: the clock or the time zone of who writes them "
            "is wrong, and they grow stale too late."
        )
    scarce = [f"{name} ({_percent(share)})" for name, share in health.missing.items() if share > _MANY_MISSING]
    if scarce:
        told.append(f"Mostly without a value, so that the default is what models see: {', '.join(scarce)}.")
    return told


def server_advice(facts: ServerFacts, node: str = "") -> list[str]:
    """What to do about the server, or this node of a cluster, a sentence each; none where all is well."""
    told = []
    if facts.clock_ahead_s is not None and abs(facts.clock_ahead_s) > _SKEW_S:
        way = "ahead of" if facts.clock_ahead_s > 0 else "behind"
        clock = f"The clock of {node}" if node else "The server's clock"
        told.append(
            f"{clock} is {abs(facts.clock_ahead_s):.1f} s {way} this machine's: keep both by NTP, since "
            "ages are told by whoever writes and whoever reads."
        )
    if facts.limit_bytes and facts.used_bytes and facts.used_bytes > _NEARLY_FULL * facts.limit_bytes:
        then = "writes are refused" if facts.policy == "noeviction" else f"rows are forgotten ({facts.policy})"
        of = f"maxmemory of {node}" if node else "maxmemory"
        told.append(f"{_percent(facts.used_bytes / facts.limit_bytes)} of {of} is taken; when it is full, {then}.")
    return told


def _missing(view: FeatureView, rows: Sequence[Row]) -> dict[str, float]:
    if not rows:
        return {}
    names = [feature.name for feature in view.features]
    columns = zip(*(row.values for row in rows), strict=True)
    return {name: sum(v is None for v in column) / len(rows) for name, column in zip(names, columns, strict=True)}


def _hottest(view: FeatureView, sample: Sample) -> list[tuple[str, int]] | None:
    if sample.frequencies is None:
        return None
    first = sorted(sample.frequencies.items(), key=lambda one: -one[1])[:_HOTTEST]
    return [(_entity(view, key), count) for key, count in first]


def _entity(view: FeatureView, key: bytes) -> str:
    try:
        return " ".join(values_of(view, key))
    except ValueError:
        # Somebody else's key that begins like ours.
        return repr(key)


def _share(facts: Sequence[bool]) -> float | None:
    return sum(facts) / len(facts) if facts else None


def _percent(share: float) -> str:
    return f"{share:.1%}"
