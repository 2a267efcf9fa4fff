"""`sluice predict`: one prediction from a running gateway, human readable; or those of a whole file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.config import AsJson
from serving.cli.failure import CommandFailed, wrong_usage
from serving.cli.models import GATEWAY_URL, Url

if TYPE_CHECKING:
    from serving.cli.gateway_client import Reply
    from serving.cli.predict_file import FileOptions, Predicted, Sending
    from serving.cli.prediction import Typed


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "predict",
        short_help="Ask for one prediction, or for those of a file.",
        epilog="Example: sluice predict flight-delay --entity tailnum=N14228 --set hour=17",
    )(predict)


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    given: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=JSON", help="A tensor as nested JSON; repeat for each.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="VALUES", help="A row of the only input: 1,2,3 or JSON; repeat."),
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option("--entity", metavar="NAME=VALUE", help="An id that features are looked up by; repeat."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of the one instance; repeat."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A table: predict every row (.parquet, .csv or .jsonl).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where its rows go with their answers; any format.")] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Rows that are refused go here; by default the first one ends it.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="NAMES", help="Columns of a row of the only input: a,b or 'f*'.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="NAMES", help="Columns that stay in --out: a,b; by default all.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Put before the names of the answers' columns.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Predict the first rows of the file.")] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", min=1, help="Of a file's requests; by default the model's last level.")
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", min=0, help="Seconds to wait for a gateway that has no room or is away.")
    ] = 600,
    restart: Annotated[bool, typer.Option("--restart", help="Begin a file anew, not where it was stopped.")] = False,
    version: Annotated[int | None, typer.Option("--version", min=1, help="Ask one version, not the default.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Sticky key: the same key gets the same variant.")] = None,
    timeout_ms: Annotated[int | None, typer.Option("--timeout-ms", min=1, help="Give up after this time.")] = None,
    url: Url = GATEWAY_URL,
    as_json: AsJson = False,
) -> None:
    """Ask a running gateway for one prediction, or with --file for those of every row of a table.

    A table's rows are asked for at low priority and written in their order, answers beside them. What stops it costs
    nothing: the same command goes on.
    """
    if file is None and out is None:
        if rejects or columns or keep is not None or prefix or limit or priority or restart:
            raise wrong_usage(
                "--rejects, --columns, --keep, --prefix, --limit, --priority and --restart go with --file"
            )
        _one(model, _typed(given, row, field, entity), version, _headers(key, timeout_ms), url, as_json)
        return
    if file is None or out is None or given or row or entity or field:
        raise wrong_usage("--file and --out go together, and with none of --input, --row, --entity and --set")
    _yield_to_others()
    _needs_pyarrow()
    from serving.cli.predict_file import FileOptions, Sending

    options = FileOptions(
        file, out, rejects, _names(columns) or (), _names(keep), prefix, limit, priority, patience, restart
    )
    _whole_file(model, options, Sending(version, timeout_ms, _headers(key, None)), url, as_json)


def _yield_to_others() -> None:
    """Before any library is imported that starts threads: they inherit it."""
    from serving.runtime import low_priority

    # Where the gateway is on this machine too, its callers come first. One core is what the interpreter can use, and
    # threads that do not take it from each other across cores are a quarter quicker.
    low_priority.take(number=os.getpid())


def _one(model: str, typed: Typed, version: int | None, headers: dict[str, str], url: str, as_json: bool) -> None:
    from serving.cli.gateway_client import GatewayClient
    from serving.cli.output import console, print_json
    from serving.cli.prediction import ask, asked_for, rendered

    asked = asked_for(typed, version)
    reply = ask(GatewayClient(url), model, asked, headers)
    if as_json:
        print_json(_document(reply))
        return
    out = console()
    for line in rendered(model, reply):
        out.print(line)


def _whole_file(model: str, options: FileOptions, sending: Sending, url: str, as_json: bool) -> None:
    from serving.cli.gateway_client import GatewayClient
    from serving.cli.output import print_json
    from serving.cli.predict_file import predict_file

    done = predict_file(GatewayClient(url), model, options, sending, silent=as_json)
    if as_json:
        print_json(_summary(options, done))
    else:
        typer.echo(
            f"predicted {_rows(done.rows)} into {options.out} in {done.took_s:.1f} s ({done.rows_per_s:,} rows/s)"
        )
    if done.rejected:
        raise CommandFailed(
            f"{_rows(done.rejected)} of {done.rows + done.rejected:,} rejected, see {options.rejects}; "
            f"the first: {done.first}"
        )


def _summary(options: FileOptions, done: Predicted) -> dict[str, Any]:
    return {
        "out": str(options.out),
        "predicted": done.rows,
        "answered_before": done.before,
        "rejected": done.rejected,
        "rejects": str(options.rejects) if done.rejected else None,
        "took_s": round(done.took_s, 3),
        "rows_per_s": done.rows_per_s,
    }


def _needs_pyarrow() -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise CommandFailed("predicting a file needs pyarrow: pip install 'sluice-gateway[parquet]'")


def _typed(given: list[str] | None, row: list[str] | None, field: list[str] | None, entity: list[str] | None) -> Typed:
    from serving.cli.prediction import Typed

    return Typed(given or [], row or [], field or [], entity or [])


def _headers(key: str | None, timeout_ms: int | None) -> dict[str, str]:
    headers = {"x-sluice-key": key, "x-request-timeout-ms": timeout_ms}
    return {name: str(value) for name, value in headers.items() if value is not None}


def _names(given: str | None) -> tuple[str, ...] | None:
    """Names with commas between them."""
    return None if given is None else tuple(name.strip() for name in given.split(",") if name.strip())


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _document(reply: Reply) -> dict[str, Any]:
    from serving.cli.prediction import version_of

    version = version_of(reply)
    return {
        "answer": reply.body,
        "version": int(version) if version.isdecimal() else version or None,
        "variant": reply.headers.get("x-sluice-variant"),
        "degraded": reply.headers.get("x-sluice-degraded"),
        "took_ms": round(reply.took_s * 1000, 3),
    }
