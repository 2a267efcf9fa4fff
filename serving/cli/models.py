"""`sluice models list | show | load | unload | pin | check`: what a gateway serves, and what a repository could."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.config import AsJson, File
from serving.cli.failure import CommandFailed

Url = Annotated[str, typer.Option("--url", envvar="SLUICE_URL", help="A running gateway.")]
Name = Annotated[str, typer.Argument(help="Name of the model.", show_default=False)]
HttpPort = Annotated[int, typer.Option("--http-port", help="Port of the session's predictions.", min=1, max=65_535)]
ControlUrl = Annotated[
    str | None,
    typer.Option("--control-url", envvar="SLUICE_CONTROL_URL", help="A control API that is not of this user."),
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File with its token; by default the session's own.")
]
GATEWAY_URL = "http://127.0.0.1:8080"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(name="models", help="Look at models.", no_args_is_help=True, rich_markup_mode=None)
    group.command(
        "list",
        short_help="What a running gateway serves.",
        epilog="Example: sluice models list --url http://127.0.0.1:8080",
    )(list_models)
    group.command(
        "show", short_help="One model: inputs, outputs, a request.", epilog="Example: sluice models show flight-delay"
    )(show)
    group.command(
        "load",
        short_help="Load a version while the session runs.",
        epilog="Example: sluice models load flight-delay 2",
    )(load)
    group.command(
        "unload",
        short_help="Let a version go while the session runs.",
        epilog="Example: sluice models unload flight-delay 1",
    )(unload)
    group.command(
        "pin",
        short_help="All traffic to one version, now.",
        epilog="Example: sluice models pin flight-delay 1",
    )(pin)
    group.command(
        "check",
        short_help="Can every version be served, and if not, why?",
        epilog="Example: sluice models check ./models",
    )(check)
    app.add_typer(group)


def list_models(url: Url = GATEWAY_URL, as_json: AsJson = False) -> None:
    """List what a running gateway serves: model, default version, other versions, whether it is ready."""
    from serving.cli.gateway_client import GatewayClient
    from serving.cli.model_facts import facts_of, names
    from serving.cli.output import console, print_json, table

    client = GatewayClient(url)
    found = [facts_of(client, model) for model in names(client)]
    if as_json:
        print_json({"models": [facts.document() for facts in found]})
        return
    rows = [(facts.name, facts.default or "", _numbers(facts.others), facts.state) for facts in found]
    console().print(table(["model", "default version", "other versions", "state"], rows))


def show(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    version: Annotated[int | None, typer.Option("--version", min=1, help="One version; else the default's.")] = None,
    url: Url = GATEWAY_URL,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one model: versions, inputs and outputs with datatypes and shapes, and a request that works.

    Of a session with a control API also how it is batched: what a run takes, how many rows run together, what was
    refused.
    """
    from serving.cli.batching import COLUMNS, NUMBERS, batching_of, rows, sentences
    from serving.cli.gateway_client import GatewayClient
    from serving.cli.model_facts import facts_of, sample_call
    from serving.cli.output import console, print_json, table

    client = GatewayClient(url)
    facts = facts_of(client, model, version, must_exist=True)
    batching = batching_of(url, model, control_url, token_file)
    if as_json:
        print_json({**facts.document(), "batching": batching})
        return
    out = console()
    asked = "" if version is None else f", version {version}"
    versions = f"versions {_numbers(facts.versions)}, by default {facts.default}"
    out.print(f"{facts.name}{asked}  {facts.platform}  {versions}  {facts.state}", markup=False)
    tensors = [(kind, t["name"], t["datatype"], str(t["shape"])) for kind, t in facts.tensors()]
    out.print(table(["", "tensor", "datatype", "shape"], tensors))
    if facts.by_entity:
        out.print()
        out.print(table(["by entity", "field", "datatype", "if left out"], facts.fields()))
    if batching is not None:
        out.print("", *sentences(batching, version), "", sep="\n", markup=False)
        out.print(table(COLUMNS, rows(batching, version), right=NUMBERS))
    if facts.inputs:
        call = facts.by_entity.get("curl") or sample_call(client.url, facts, version)
        out.print(f"\n{call}", markup=False, soft_wrap=True)
    if note := facts.by_entity.get("curl_note"):
        out.print(note, markup=False)


def load(
    model: Name,
    version: Annotated[int, typer.Argument(help="Number of the version in the repository.", min=1)],
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Load a version beside those that run: its number can then be asked for; who answers by default stays."""
    from serving.cli.control_client import control_client
    from serving.cli.output import print_json
    from serving.cli.spinner import spinner

    client = control_client(http_port, control_url, token_file)
    with spinner(f"loading {model}/{version}", silent=as_json):
        done = client.change_model(model, "load", {"version": version})
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{model}/{version} {'is loaded' if done['changed'] else 'was loaded already'}")


def unload(
    model: Name,
    version: Annotated[
        int | None, typer.Argument(help="Number of the version; without it, the whole model.", min=1)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also the whole model, or a version under trial.")] = False,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a version go: no new request gets it, those that it has are answered, then its memory is free."""
    from serving.cli.control_client import control_client
    from serving.cli.output import print_json
    from serving.cli.spinner import spinner

    query = {"version": version, "force": "true" if force else None}
    client = control_client(http_port, control_url, token_file)
    with spinner(f"unloading {model}" if version is None else f"unloading {model}/{version}", silent=as_json):
        done = client.change_model(model, "unload", query)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"unloaded {', '.join(f'{model}/{number}' for number in done['versions'])}")


def pin(
    model: Name,
    version: Annotated[int, typer.Argument(help="Number of a version that is loaded.", min=1)],
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Give all traffic of a model to one version now; a rollout of it ends with that."""
    from urllib.parse import quote

    from serving.cli.control_client import control_client
    from serving.cli.output import print_json
    from serving.cli.rollout import me

    client = control_client(http_port, control_url, token_file)
    done = client.post(f"/models/{quote(model, safe='')}:pin", {"version": version, "by": me()})
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{model}/{version} answers every request of {model} that names no version")


def check(
    models: Annotated[Path, typer.Argument(help="A folder with <model>/<version>/model.onnx.", show_default=False)],
    config: File = None,
    as_json: AsJson = False,
) -> None:
    """Load every version of a repository as `up` would, and compare its inputs with the features that they are made of.

    Exit code 1 when one cannot be served or does not fit, and why.
    """
    import os

    from serving.cli.findings import Compared, document, rows, verdict
    from serving.cli.output import console, print_json, table
    from serving.cli.spinner import spinner
    from serving.config.effective import effective
    from serving.runtime.check import check as findings_of

    settings = effective(config, os.environ, {}).settings
    found: list[Compared] = []
    with spinner(f"checking {models}", silent=as_json) as tell:
        for finding in findings_of(models):
            found.append(Compared.of(settings, finding))
            tell(f"checking {models}, {len(found)} done")
    if as_json:
        print_json({"versions": [document(one) for one in found]})
    elif found:
        lines = [row for one in found for row in rows(one)]
        console().print(table(["model", "version", "", "how, or why not", "what to do"], lines))
    if not found:
        raise CommandFailed(f"{models} has no model; put one at {models}/<model>/1/model.onnx")
    if wrong := verdict(found):
        raise CommandFailed(wrong)


def _numbers(versions: tuple[int, ...]) -> str:
    return ", ".join(str(version) for version in versions)
