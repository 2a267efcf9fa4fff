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
from serving.cli.model_facts import inputs_of
from serving.cli.output import table

_MOST_SHOWN = 12
_STAND_IN = "defaults or imputed values stand in"
# Of each status in `x-sluice-degraded` (docs/features.md).
_BECAME = {
    "null": f"no value is stored, {_STAND_IN}",
    "not_found": f"no row is stored, {_STAND_IN}",
    "stale": f"the row is older than max_age, {_STAND_IN}",
    "stale_used": "the features store does not answer, the row kept near was used",
    "unreadable": f"the row was written for another form of the view, {_STAND_IN}",
    "unavailable": f"the features store is away or was late, {_STAND_IN}",
}


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
    inputs = Inputs(model, inputs_of(client, model, asked.version))
    tensors = asked.tensors or {inputs.only(): list(asked.rows)}
    document = {"inputs": [inputs.tensor(name, data) for name, data in tensors.items()]}
    return client.post(f"{model_path(model, asked.version)}/infer", document, headers)


def rendered(model: str, reply: Reply) -> Iterator[Table | Text]:
    """One line about who answered, then the outputs."""
    variant = reply.headers.get("x-sluice-variant", "")
    yield Text(f"{model}  version {version_of(reply) or '?'}  {variant}  {reply.took_s * 1000:.1f} ms")
    if degraded := reply.headers.get("x-sluice-degraded"):
        yield from (Text(line, style="yellow") for line in _told_of(degraded))
    if "predictions" in reply.body:
        yield table(["prediction"], [[orjson.dumps(one).decode()] for one in reply.body["predictions"]])
        return
    outputs = reply.body.get("outputs", ()) if isinstance(reply.body, dict) else ()
    rows = [(o["name"], o["datatype"], str(o["shape"]), _values(_flat(o.get("data", ())))) for o in outputs]
    yield table(["output", "datatype", "shape", "values"], rows)


def _told_of(degraded: str) -> Iterator[str]:
    """A sentence for each status, with the views and features that have it; what is no status is told as it is."""
    became: dict[str, list[str]] = {}
    for word in degraded.split(", "):
        name, _, status = word.rpartition("=")
        what, named = (_BECAME[status], name) if status in _BECAME else ("x-sluice-degraded", word)
        became.setdefault(what, []).append(named)
    return (f"{what}: {', '.join(names)}" for what, names in became.items())


def version_of(reply: Reply) -> str:
    """The version that answered, as our header or the protocol's answer says it; empty where neither does."""
    told = reply.body.get("model_version") if isinstance(reply.body, dict) else None
    return reply.headers.get("x-sluice-version") or str(told or "")


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


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a server tells of a model's inputs; some servers tell nothing, and then what is typed decides."""

    model: str
    specs: Sequence[Mapping[str, Any]]

    def only(self) -> str:
        """The name of the one input that has to be given."""
        names = [spec["name"] for spec in self.specs if not spec.get("optional")]
        if len(names) != 1:
            raise wrong_usage(
                f"{self.model} has the inputs {', '.join(names) or 'unknown'}; name them: --input NAME=JSON"
            )
        return str(names[0])

    def tensor(self, name: str, data: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """The tensor that the protocol sends for a value as it was typed."""
        shape = _shape(data)
        values = data if shape else [data]
        return {"name": name, "datatype": self._datatype(name, values), "shape": shape, "data": values}

    def _datatype(self, name: str, values: Sequence[Any]) -> str:
        if not self.specs:
            return _guessed(_flat(values))
        datatype = next((spec["datatype"] for spec in self.specs if spec["name"] == name), None)
        if datatype is None:
            known = ", ".join(spec["name"] for spec in self.specs)
            raise wrong_usage(f"{self.model} has no input {name!r}; its inputs: {known}")
        return str(datatype)


def _guessed(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values}
    if kinds <= {bool} and kinds:
        return "BOOL"
    if kinds <= {int} and kinds:
        return "INT64"
    return "FP64" if kinds <= {int, float} else "BYTES"


def _flat(data: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Values in row-major order, whether they came flat or nested."""
    return [value for inner in data for value in _flat(inner)] if isinstance(data, list | tuple) else [data]


def _shape(data: Any) -> list[int]:  # noqa: ANN401 - JSON
    shape = []
    while isinstance(data, list):
        shape.append(len(data))
        data = data[0] if data else None
    return shape


def _values(data: Sequence[Any]) -> str:
    shown = " ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in data[:_MOST_SHOWN])
    return shown if len(data) <= _MOST_SHOWN else f"{shown} ... {len(data)} values"
