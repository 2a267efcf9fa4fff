"""`sluice predict`: one prediction from a running gateway, human readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.config import AsJson
from serving.cli.models import GATEWAY_URL, Url

if TYPE_CHECKING:
    from serving.cli.gateway_client import Reply


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "predict",
        short_help="Ask for one prediction.",
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
    version: Annotated[int | None, typer.Option("--version", min=1, help="Ask one version, not the default.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Sticky key: the same key gets the same variant.")] = None,
    timeout_ms: Annotated[int | None, typer.Option("--timeout-ms", min=1, help="Give up after this time.")] = None,
    url: Url = GATEWAY_URL,
    as_json: AsJson = False,
) -> None:
    """Ask a running gateway for one prediction."""
    from serving.cli.gateway_client import GatewayClient
    from serving.cli.output import console, print_json
    from serving.cli.prediction import Typed, ask, asked_for, rendered

    asked = asked_for(Typed(given or [], row or [], field or [], entity or []), version)
    headers = {"x-sluice-key": key, "x-request-timeout-ms": timeout_ms}
    client = GatewayClient(url)
    reply = ask(client, model, asked, {name: str(value) for name, value in headers.items() if value is not None})
    if as_json:
        print_json(_document(reply))
        return
    out = console()
    for line in rendered(model, reply):
        out.print(line)


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
