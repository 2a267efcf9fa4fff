"""From what is typed to a request, and from its answer to what is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
from rich.table import Table
from rich.text import Text

from serving.cli.failure import wrong_usage
from serving.cli.feature_fields import pairs_of
from serving.cli.gateway_client import GatewayClient, Reply, model_path
from serving.cli.model_facts import ModelFacts, facts_of
from serving.cli.output import table

_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """Exactly one of the three is given: tensors by name, rows of the only input, or fields of one instance."""

    tensors: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Any] = ()
    instance: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Typed:
    """The flags as they were typed; fields and entities make one instance."""

    tensors: Sequence[str] = ()
    rows: Sequence[str] = ()
    fields: Sequence[str] = ()
    entities: Sequence[str] = ()


def asked_for(typed: Typed, version: int | None = None) -> Asked:
    """Read the flags.

    Raises:
        CommandFailed: none or several kinds of flags, or a value that cannot be read.
    """
    named = [*typed.fields, *typed.entities]
    if sum(map(bool, (typed.tensors, typed.rows, named))) != 1:
        raise wrong_usage("say what to predict with one of --input NAME=JSON, --row VALUES or --entity and --set")
    if named and version is not None:
        raise wrong_usage("--version goes with --input or --row; named fields are always answered by the route")
    return Asked(
        tensors=dict(_named("--input", text, strict=True) for text in typed.tensors),
        rows=[_row(text) for text in typed.rows],
        # An id is text, also where it looks like a number.
        instance={
            **pairs_of("--entity", typed.entities),
            **dict(_named("--set", text, strict=False) for text in typed.fields),
        },
        version=version,
    )


def ask(client: GatewayClient, model: str, asked: Asked, headers: Mapping[str, str]) -> Reply:
    """Send it and wait.

    Raises:
        CommandFailed: the gateway does not answer, answers with an error, or the flags do not fit the model.
    """
    if asked.instance:
        path = f"/v1/models/{quote(model, safe='')}:predict"
        return client.post(path, {"instances": [asked.instance]}, headers)
    facts = facts_of(client, model, asked.version, must_exist=True)
    tensors = asked.tensors or {_only_input(facts): list(asked.rows)}
    document = {"inputs": [_tensor(facts, name, data) for name, data in tensors.items()]}
    return client.post(f"{model_path(model, asked.version)}/infer", document, headers)


def rendered(model: str, reply: Reply) -> Iterator[Table | Text]:
    """One line about who answered, then the outputs."""
    version, variant = reply.headers.get("x-sluice-version", "?"), reply.headers.get("x-sluice-variant", "")
    yield Text(f"{model}  version {version}  {variant}  {reply.took_s * 1000:.1f} ms")
    if degraded := reply.headers.get("x-sluice-degraded"):
        yield Text(f"not all features were there, defaults stand in: {degraded}", style="yellow")
    if "predictions" in reply.body:
        yield table(["prediction"], [[orjson.dumps(one).decode()] for one in reply.body["predictions"]])
        return
    outputs = reply.body["outputs"]
    rows = [(o["name"], o["datatype"], str(o["shape"]), _values(o["data"])) for o in outputs]
    yield table(["output", "datatype", "shape", "values"], rows)


def _named(flag: str, text: str, *, strict: bool) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise wrong_usage(f"{flag} {text}: must look like NAME=VALUE")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if strict:
            raise wrong_usage(f"{flag} {name}: {value!r} is no JSON ({error})") from error
        # Text needs no quotes of its own: --set tailnum=N14228
        return name, value


def _row(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return orjson.loads(text if text.lstrip().startswith("[") else f"[{text}]")
    except orjson.JSONDecodeError as error:
        raise wrong_usage(f"--row {text}: must be values with commas between them, or a JSON list ({error})") from error


def _only_input(facts: ModelFacts) -> str:
    names = [spec["name"] for spec in facts.inputs]
    if len(names) != 1:
        raise wrong_usage(f"{facts.name} has the inputs {', '.join(names) or 'unknown'}; name them: --input NAME=JSON")
    return str(names[0])


def _tensor(facts: ModelFacts, name: str, data: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    datatype = next((spec["datatype"] for spec in facts.inputs if spec["name"] == name), None)
    if datatype is None:
        known = ", ".join(spec["name"] for spec in facts.inputs) or "none that is known yet"
        raise wrong_usage(f"{facts.name} has no input {name!r}; its inputs: {known}")
    shape = _shape(data)
    return {"name": name, "datatype": datatype, "shape": shape, "data": data if shape else [data]}


def _shape(data: Any) -> list[int]:  # noqa: ANN401 - JSON
    shape = []
    while isinstance(data, list):
        shape.append(len(data))
        data = data[0] if data else None
    return shape


def _values(data: Sequence[Any]) -> str:
    shown = " ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in data[:_MOST_SHOWN])
    return shown if len(data) <= _MOST_SHOWN else f"{shown} ... {len(data)} values"
