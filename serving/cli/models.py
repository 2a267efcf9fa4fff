"""`sluice models list | show | check`: what a gateway serves, and what a repository could."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.failure import CommandFailed

Url = Annotated[str, typer.Option("--url", envvar="SLUICE_URL", help="A running gateway.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
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
    as_json: AsJson = False,
) -> None:
    """Show one model: versions, inputs and outputs with datatypes and shapes, and a request that works."""
    from serving.cli.gateway_client import GatewayClient
    from serving.cli.model_facts import facts_of, sample_call
    from serving.cli.output import console, print_json, table

    client = GatewayClient(url)
    facts = facts_of(client, model, version, must_exist=True)
    if as_json:
        print_json(facts.document())
        return
    out = console()
    asked = "" if version is None else f", version {version}"
    versions = f"versions {_numbers(facts.versions)}, by default {facts.default}"
    out.print(f"{facts.name}{asked}  {facts.platform}  {versions}  {facts.state}", markup=False)
    tensors = [(kind, t["name"], t["datatype"], str(t["shape"])) for kind, t in facts.tensors()]
    out.print(table(["", "tensor", "datatype", "shape"], tensors))
    if facts.inputs:
        out.print(f"\n{sample_call(client.url, facts, version)}", markup=False, soft_wrap=True)


def check(
    models: Annotated[Path, typer.Argument(help="A folder with <model>/<version>/model.onnx.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Load every version of a repository as `up` would; exit code 1 when one cannot be served, and why."""
    from serving.cli.findings import document, row
    from serving.cli.output import console, print_json, table
    from serving.runtime.check import check as findings_of

    found = list(findings_of(models))
    if as_json:
        print_json({"versions": [document(finding) for finding in found]})
    else:
        rows = [row(finding) for finding in found]
        if rows:
            console().print(table(["model", "version", "", "how, or why not", "what to do"], rows))
    if not found:
        raise CommandFailed(f"{models} has no model; put one at {models}/<model>/1/model.onnx")
    wrong = sum(not finding.ok for finding in found)
    if wrong:
        raise CommandFailed(f"{wrong} of {len(found)} cannot be served")


def _numbers(versions: tuple[int, ...]) -> str:
    return ", ".join(str(version) for version in versions)
