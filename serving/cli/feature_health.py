"""What `sluice features doctor` and `sluice features bench` print."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict

from rich.table import Table

from serving.cli.failure import not_reachable, wrong_usage
from serving.cli.feature_store import Where, store_of, url_of, view_of
from serving.cli.output import table
from serving.config.settings import Settings
from serving.errors import FeaturesAway
from serving.features.feature_view import FeatureView
from serving.features.health.read_bench import Reads, Timed, timed
from serving.features.health.sample import Sampler, ServerFacts
from serving.features.health.telling_bench import Telling, timed_telling
from serving.features.health.view_health import ViewHealth, advice_for, health_of, server_advice

ALL = "all"
# By the names of nodes; of "" where there is one server.
Facts = Mapping[str, ServerFacts]
ROWS = (1, 10, 100)
_KEYS = 10_000


def views_of(settings: Settings, name: str) -> list[FeatureView]:
    """The view of that name, or all.

    Raises:
        CommandFailed: there is none.
    """
    if name != ALL:
        return [view_of(settings, name)]
    views = [section.compiled(one) for one, section in settings.feature_views.items()]
    if not views:
        raise wrong_usage("no feature view is configured; name the file that has them with --config")
    return views


def examined(
    settings: Settings, where: Where, views: Sequence[FeatureView], most: int
) -> tuple[Facts, list[ViewHealth]]:
    """The server, or each node of a cluster, and each view, by samples of so many rows.

    Raises:
        CommandFailed: the server does not answer.
    """
    with _sampler(settings, where) as sampler:
        found = [health_of(view, sampler.sample(view, most), time.time()) for view in views]
        return sampler.facts(), found


def measured(
    settings: Settings, where: Where, views: Sequence[FeatureView], spend_s: float
) -> list[tuple[str, list[Timed]]]:
    """For each view that has rows, and for all of them together if there are more, reads of 1, 10 and 100 rows.

    Raises:
        CommandFailed: the server does not answer, or has no rows.
    """
    with _sampler(settings, where) as sampler:
        lots = {view.name: list(sampler.sample(view, _KEYS).rows) for view in views}
        lots = {name: keys for name, keys in lots.items() if keys}
        if not lots:
            raise wrong_usage("there is no row to read; `sluice features load` writes some")
        if len(lots) > 1:
            lots[f"{ALL} {len(lots)}"] = [key for keys in lots.values() for key in keys]
        return list(
            zip(lots, timed(url_of(settings, where), list(lots.values()), Reads(views, ROWS, spend_s)), strict=True)
        )


def health_table(found: Sequence[ViewHealth]) -> Table:
    """A line for each view."""
    columns = ["view", "rows", "sampled", "unreadable", "stale", "bytes a row", "memory", "decode"]
    lines = [
        [
            one.view,
            f"{one.rows:,}" if one.complete else f"about {one.rows:,}",
            f"{one.sampled:,}",
            _share(one.unreadable),
            _share(one.stale),
            one.row_bytes,
            "-" if one.memory_bytes is None else f"{one.memory_bytes / 1e6:,.1f} MB",
            "-" if one.decode_us is None else f"{one.decode_us:.2f} us",
        ]
        for one in found
    ]
    return table(columns, lines, right=columns[1:])


def node_table(facts: Facts) -> Table | None:
    """A line for each node of a cluster; a server that is alone has none."""
    if "" in facts:
        return None
    lines = [
        (
            node,
            "-" if one.clock_ahead_s is None else f"{one.clock_ahead_s:+.3f} s",
            _megabytes(one.used_bytes),
            _megabytes(one.limit_bytes),
            one.policy or "-",
        )
        for node, one in facts.items()
    ]
    return table(["node", "clock ahead", "memory", "of", "when full"], lines, right=["clock ahead", "memory", "of"])


def missing_table(found: Sequence[ViewHealth]) -> Table:
    """A line for each feature."""
    lines = [(one.view, name, _share(share)) for one in found for name, share in one.missing.items()]
    return table(["view", "feature", "missing"], lines, right=["missing"])


def sentences(facts: Facts, found: Sequence[ViewHealth], views: Sequence[FeatureView]) -> list[str]:
    """What is worth saying, and what to do."""
    told = [sentence for node, one in facts.items() for sentence in server_advice(one, node)]
    for one, view in zip(found, views, strict=True):
        told += [f"{view.name}: {sentence}" for sentence in advice_for(one, view)]
    return told or ["Nothing to do."]


def hottest_lines(found: Sequence[ViewHealth]) -> list[str]:
    """The most used entities among the sampled ones."""
    known = [one for one in found if one.hottest]
    if not known:
        return ["Hottest keys: the server counts uses only with maxmemory-policy allkeys-lfu or volatile-lfu."]
    return [f"Hottest of {one.view}: {', '.join(f'{e} ({n})' for e, n in one.hottest or ())}" for one in known]


def health_document(facts: Facts, found: Sequence[ViewHealth], views: Sequence[FeatureView]) -> dict[str, object]:
    """The same for programs; `nodes` are those of a cluster, and `server` a server that is alone."""
    return {
        "server": asdict(facts.get("", ServerFacts())),
        "nodes": {node: asdict(one) for node, one in facts.items() if node},
        "views": [asdict(one) for one in found],
        "advice": sentences(facts, found, views),
    }


def bench_table(found: Sequence[tuple[str, list[Timed]]]) -> Table:
    """A line for each view and number of rows."""
    columns = ["view", "rows a read", "p50", "p99", "rows/s", "reads"]
    lines = [
        (name, one.rows, f"{one.p50_ms:.3f} ms", f"{one.p99_ms:.3f} ms", f"{one.rows_per_s:,.0f}", f"{one.reads:,}")
        for name, some in found
        for one in some
    ]
    return table(columns, lines, right=columns[1:])


def telling_of(settings: Settings, where: Where, spend_s: float) -> Telling:
    """How soon writes are told."""
    return timed_telling(url_of(settings, where), spend_s)


def telling_line(telling: Telling) -> str:
    """How soon a near cache forgets what was written."""
    if telling.why_not:
        return f"Writes told to near caches: not measured ({telling.why_not})."
    return (
        f"A write is told to near caches within {telling.p50_ms:.3f} ms (p50), {telling.p99_ms:.3f} ms (p99); "
        f"{telling.writes:,} writes."
    )


@contextmanager
def _sampler(settings: Settings, where: Where) -> Iterator[Sampler]:
    # Whoever writes rows tells best why there is no way to them.
    with store_of(settings, where):
        pass
    try:
        with closing(Sampler(url_of(settings, where))) as sampler:
            yield sampler
    except FeaturesAway as away:
        raise not_reachable(away.message) from away


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:,.1f} MB"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
