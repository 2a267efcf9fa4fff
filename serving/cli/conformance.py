"""`sluice conformance`: does a server keep the promises of the Open Inference Protocol?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.failure import CommandFailed, ExitCode, not_reachable, wrong_usage


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "conformance",
        short_help="Check any server of the Open Inference Protocol.",
        epilog="Example: sluice conformance http://127.0.0.1:8080",
    )(conformance)


def conformance(
    url: Annotated[str | None, typer.Argument(help="The server; not needed with --write-models and --list.")] = None,
    grpc: Annotated[str | None, typer.Option("--grpc", metavar="HOST:PORT", help="Where it serves gRPC.")] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A model to ask, also where the server lists none; repeat.")
    ] = None,
    model_repo: Annotated[
        Path | None,
        typer.Option("--model-repo", help="Ask every model of this repository.", exists=True, file_okay=False),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - is standard output.")
    ] = None,
    unadvertised: Annotated[
        bool, typer.Option("--all", help="Try extensions too that the server does not advertise.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PATTERN", help="Checks such as http.binary.*; repeat.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", help="Load and unload models with this token; none: the server asks for none."),
    ] = None,
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=0.1, help="Longest wait for one answer.")] = 10.0,
    write_models: Annotated[
        Path | None,
        typer.Option("--write-models", metavar="DIR", help="Write the models that let every check be tried."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the checks and try none.")] = False,
) -> None:
    """Check a server against the Open Inference Protocol, one named check for each promise.

    What is required, and what an advertised extension promises, decides the exit code: 4 where a check fails. What is
    recommended is shown and does not. Serve the models of --write-models to have every check tried.
    """
    from serving.cli.conformance_run import check_server
    from serving.cli.conformance_tables import checks_table
    from serving.cli.output import console, note
    from serving.conformance.discovery import Wanted
    from serving.conformance.http_client import NotReachable
    from serving.conformance.known_models import write_repository
    from serving.conformance.suite import chosen

    checks = chosen(only or [])
    if not checks:
        raise wrong_usage(f"--only {' '.join(only or [])}: no check has such a name; --list shows all")
    if listed:
        console().print(checks_table(checks))
        return
    if write_models is not None:
        written = write_repository(write_models)
        note(f"wrote {len(written)} models to {write_models}; serve them and run sluice conformance URL")
        return
    if url is None:
        raise wrong_usage("say which server to check: sluice conformance http://127.0.0.1:8080")
    wanted = Wanted(url, grpc, tuple(models or ()), model_repo, token, timeout_s)
    try:
        conforms = check_server(wanted, checks, json_file, unadvertised=unadvertised)
    except NotReachable as away:
        raise not_reachable(f"{url} does not answer ({away})") from away
    except ValueError as wrong:
        raise wrong_usage(str(wrong)) from wrong
    if not conforms:
        raise CommandFailed(f"{url} does not keep every promise", ExitCode.NOT_PROMOTED)
