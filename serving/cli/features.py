"""`sluice features`: rows of feature views in the features Redis, and the log of what was served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.config import AsJson, File
from serving.cli.failure import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.features.feature_view import FeatureView
    from serving.features.store.redis_store import StoredRow

RedisUrl = Annotated[
    str | None, typer.Option("--redis-url", help="The features Redis; by default the configured, or the session's own.")
]
HttpPort = Annotated[
    int | None, typer.Option("--http-port", min=1, max=65_535, help="Port of the session whose features are meant.")
]
ViewName = Annotated[str, typer.Argument(metavar="VIEW", help="Name of the feature view.")]
Entity = Annotated[
    list[str] | None, typer.Option("--entity", metavar="NAME=VALUE", help="What identifies the row; repeat for each.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(name="features", help="Read and write features.", no_args_is_help=True, rich_markup_mode=None)
    group.command(
        "load",
        short_help="A CSV, JSON Lines or Parquet file into a feature view.",
        epilog="Example: sluice features load plane.csv --config sluice.yaml",
    )(load)
    group.command(
        "get",
        short_help="One row, and how old it is.",
        epilog="Example: sluice features get plane --entity tailnum=N14228",
    )(get)
    group.command(
        "set",
        short_help="Values of one row.",
        epilog="Example: sluice features set plane --entity tailnum=N14228 --set seats=149",
    )(set_values)
    group.command(
        "import-feast",
        short_help="Feature views from a Feast repository.",
        epilog="Example: sluice features import-feast feature_repo --python feast-env/bin/python --output views.yaml",
    )(import_feast)
    group.command(
        "doctor",
        short_help="What is wrong with the rows of a view.",
        epilog="Example: sluice features doctor all --config sluice.yaml",
    )(doctor)
    group.command(
        "bench",
        short_help="How long reads of rows take.",
        epilog="Example: sluice features bench all --redis-url redis://features:6379/0",
    )(bench)
    group.command(
        "join-outcomes",
        short_help="The served-feature log with what became of its predictions.",
        epilog="Example: sluice features join-outcomes served --outcomes late.csv --on request_id --out joined.parquet",
    )(join_outcomes)
    app.add_typer(group)


def load(
    file: Annotated[Path, typer.Argument(help="CSV, .jsonl or .parquet, with the view's entity and features.")],
    view: Annotated[str | None, typer.Option("--view", help="The view; by default the file's name.")] = None,
    event_time: Annotated[
        str | None,
        typer.Option("--event-time", metavar="COLUMN", help="Column with the time of the facts; by default now."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where bad rows go; by default FILE.rejects.csv.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin at the first row, also where an interrupted load could go on.")
    ] = False,
    config: File = None,
    redis_url: RedisUrl = None,
    http_port: HttpPort = None,
    as_json: AsJson = False,
) -> None:
    """Load a table into a feature view, row by row replaced as a whole; exit code 1 when rows were rejected.

    The same command goes on where it was interrupted. A rejects file is loaded like any table once it is mended.
    """
    import time

    from serving.cli.feature_load import load_rows
    from serving.cli.feature_store import Where, store_of, writable_view_of
    from serving.cli.load_mark import LoadMark
    from serving.cli.output import note, print_json
    from serving.cli.overwriting import refuse_to_overwrite
    from serving.cli.rejects import Rejects
    from serving.features.tables.row_file import open_rows

    rejected = rejects or file.with_name(f"{file.name}.rejects.csv")
    refuse_to_overwrite("--rejects", rejected, file, config)
    where = Where(config, redis_url, http_port)
    settings = where.settings()
    target = writable_view_of(settings, view or file.stem)
    rows = open_rows(file, target, event_time, time.time())
    bad = Rejects(rejected, tuple(rows.columns))
    with store_of(settings, where) as store:
        mark = LoadMark(store, file, target, event_time)
        if restart:
            mark.drop()
        done = load_rows(rows, target, store, bad, mark)
    if done.before.taken:
        note(f"went on after row {done.before.taken:,}, where an interrupted load had come to; --restart begins anew")
    if done.evicted:
        note(
            f"the server was full and gave up {done.evicted:,} rows meanwhile, of this view or others, which are not "
            "found now: give it more memory (state.features_memory_mb for the session's own, else its maxmemory)"
        )
    if as_json:
        print_json(
            {
                "view": target.name,
                "loaded": done.rows,
                "rejected": done.rejected,
                "rejects": str(bad.path) if done.rejected else None,
                "resumed_after": done.before.taken,
                "evicted": done.evicted,
                "took_s": round(done.took_s, 3),
                "rows_per_s": done.rows_per_s,
            }
        )
    else:
        rows_read = "1 row" if done.rows == 1 else f"{done.rows:,} rows"
        typer.echo(f"loaded {rows_read} into {target.name} in {done.took_s:.2f} s ({done.rows_per_s:,} rows/s)")
    if done.first:
        verb, stand = ("was", "stands") if done.rejected == 1 else ("were", "stand")
        raise CommandFailed(
            f"{done.rejected:,} of {done.rows + done.rejected:,} rows {verb} rejected and {stand} in {bad.path}; "
            f"the first: {done.first}"
        )


def get(
    view: ViewName,
    entity: Entity = None,
    config: File = None,
    redis_url: RedisUrl = None,
    http_port: HttpPort = None,
    as_json: AsJson = False,
) -> None:
    """Show the row of one entity: values, when its facts held, whether gateways would use it."""
    import time

    from serving.cli.feature_fields import entity_of
    from serving.cli.feature_row import document, title, values
    from serving.cli.feature_store import Where, store_of, view_of
    from serving.cli.output import console, print_json, table

    where = Where(config, redis_url, http_port)
    settings = where.settings()
    target = view_of(settings, view)
    key = entity_of(target, entity or [])
    now_s = time.time()
    with store_of(settings, where) as store:
        stored = store.get(target, key, now_s)
    if as_json:
        print_json(document(target, key, stored, now_s))
    if stored.row is None:
        raise CommandFailed(_why_none(target, key, stored))
    if not as_json:
        out = console()
        out.print(title(target, key, stored, now_s), markup=False)
        out.print(table(["feature", "value", "dtype"], values(target, stored.row)))


def set_values(
    view: ViewName,
    entity: Entity = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A feature; an empty value takes it away; repeat."),
    ] = None,
    config: File = None,
    redis_url: RedisUrl = None,
    http_port: HttpPort = None,
) -> None:
    """Change values of one row, or begin one; its other values stay, and its facts hold from now."""
    import time

    from serving.cli.feature_fields import entity_of, values_of
    from serving.cli.feature_row import named, refreshed
    from serving.cli.feature_store import Where, store_of, writable_view_of
    from serving.cli.output import note

    where = Where(config, redis_url, http_port)
    settings = where.settings()
    target = writable_view_of(settings, view)
    key = entity_of(target, entity or [])
    changed = values_of(target, given or [])
    now_s = time.time()
    with store_of(settings, where) as store:
        before = store.change(target, key, changed, now_s)
    if warning := refreshed(target, before, changed, now_s):
        note(warning)
    begun = "" if before.row is not None else ", a new row"
    typer.echo(f"set {', '.join(changed)} of {named(target, key)}{begun}")


def import_feast(
    repo: Annotated[Path, typer.Argument(help="The folder with feature_store.yaml.")],
    python: Annotated[
        Path | None, typer.Option("--python", help="The Python that has Feast; by default the one that runs Sluice.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Where the YAML goes; by default standard output.")
    ] = None,
) -> None:
    """Write the `feature_views` that read what a Feast repository has applied; what cannot be read is told."""
    from serving.cli.feast_import import repository_of
    from serving.cli.overwriting import refuse_to_overwrite
    from serving.cli.spinner import spinner
    from serving.config.feast_views import feast_views
    from serving.errors import ConfigInvalid

    refuse_to_overwrite("--output", output, repo / "feature_store.yaml", python)
    with spinner(f"asking Feast what {repo} has"):
        repository = repository_of(repo, python)
    try:
        imported = feast_views(repository)
    except ConfigInvalid as refused:
        raise CommandFailed(f"{repo}: {refused.message}") from refused
    for line in imported.left_out:
        typer.echo(f"left out: {line}", err=True)
    if not imported.views:
        raise CommandFailed(f"{repo} has no feature view that can be read; has `feast apply` been run?")
    if output is None:
        typer.echo(imported.text, nl=False)
        return
    try:
        output.write_text(imported.text, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}") from error
    views = "1 view" if imported.views == 1 else f"{imported.views} views"
    typer.echo(f"{views} of project {repository['project']} in {output}")


def doctor(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="Name of the view; all by default.")] = "all",
    sample: Annotated[
        int, typer.Option("--sample", min=1, max=1_000_000, help="So many rows of each view are looked at.")
    ] = 10_000,
    config: File = None,
    redis_url: RedisUrl = None,
    http_port: HttpPort = None,
    as_json: AsJson = False,
) -> None:
    """Look at some rows of a view: what is missing, stale or unreadable, how large they are, and what to do."""
    from serving.cli import feature_health as health
    from serving.cli.feature_store import Where
    from serving.cli.output import console, print_json
    from serving.cli.spinner import spinner

    where = Where(config, redis_url, http_port)
    settings = where.settings()
    views = health.views_of(settings, view)
    with spinner(f"looking at rows of {_count(views)}", silent=as_json):
        facts, found = health.examined(settings, where, views, sample)
    if as_json:
        print_json(health.health_document(facts, found, views))
        return
    out = console()
    out.print(health.health_table(found))
    out.print(health.missing_table(found))
    if (nodes := health.node_table(facts)) is not None:
        out.print(nodes)
    for line in [*health.hottest_lines(found), *health.sentences(facts, found, views)]:
        typer.echo(line)


def bench(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="Name of the view; all by default.")] = "all",
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.05, max=60, help="For so long each line of the table is measured.")
    ] = 1.0,
    config: File = None,
    redis_url: RedisUrl = None,
    http_port: HttpPort = None,
    as_json: AsJson = False,
) -> None:
    """Read 1, 10 and 100 stored rows at a time, one read after the other, by the reader that gateways use.

    Then a key of its own (sluice:bench:...) is written, to see how soon writes are told to near caches.
    """
    from dataclasses import asdict

    from serving.cli import feature_health as health
    from serving.cli.feature_store import Where
    from serving.cli.output import console, print_json
    from serving.cli.spinner import spinner

    where = Where(config, redis_url, http_port)
    settings = where.settings()
    views = health.views_of(settings, view)
    with spinner(f"reading rows of {_count(views)}", silent=as_json) as tell:
        found = health.measured(settings, where, views, seconds)
        tell("writing, to see how soon near caches are told")
        telling = health.telling_of(settings, where, seconds)
    if as_json:
        reads = [{"view": name, **asdict(one)} for name, some in found for one in some]
        print_json({"reads": reads, "telling": asdict(telling)})
        return
    console().print(health.bench_table(found))
    typer.echo(health.telling_line(telling))


def join_outcomes(
    served: Annotated[Path, typer.Argument(metavar="LOG", help="Folder of the log, or one file of it.")],
    outcomes: Annotated[Path, typer.Option("--outcomes", help="CSV or .parquet: keys, and what became of them.")],
    on: Annotated[
        list[str], typer.Option("--on", metavar="COLUMN", help="request_id, instance or an entity's field; repeat.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
) -> None:
    """Write the logged rows that have an outcome, with its columns beside them as outcome.NAME."""
    from importlib.util import find_spec

    from serving.cli.overwriting import refuse_to_overwrite
    from serving.cli.spinner import spinner
    from serving.errors import ConfigInvalid

    if find_spec("pyarrow") is None:
        raise CommandFailed("joining outcomes needs pyarrow: pip install 'sluice-gateway[parquet]'")
    from serving.features.served_log import outcomes as tables

    refuse_to_overwrite("--out", out, outcomes, *tables.read_of_log(served))
    try:
        with spinner(f"joining {served} and {outcomes}"):
            written, rows = tables.join_outcomes(served, outcomes, on, out)
    except ConfigInvalid as refused:
        raise CommandFailed(refused.message) from refused
    typer.echo(f"{written:,} of {rows:,} logged rows have an outcome; they stand in {out}")


def _why_none(view: FeatureView, key: tuple[str, ...], stored: StoredRow) -> str:
    from serving.cli.feature_row import named

    if stored.status == "unreadable":
        return f"the row of {named(view, key)} {view.why_unreadable}"
    return f"there is no row of {named(view, key)}"


def _count(views: Sequence[FeatureView]) -> str:
    return "1 view" if len(views) == 1 else f"{len(views)} views"
