"""`model.yaml`: what only a model's owner knows of it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from serving.errors import ModelUnservable
from serving.registry.document import DocumentInvalid, KeyPath, read_document

_LONGEST_VALUE = 60
# Far beyond any manifest; a file of gigabytes under this name is no manifest.
_LARGEST_BYTES = 4 << 20

_ONE_DAY_MS = 86_400_000


def _batching(value: object) -> object:
    return {False: "never", True: "proven"}[value] if isinstance(value, bool) else value


def _optimisation(value: object) -> object:
    # YAML reads a bare `off` as false.
    return "off" if value is False else value


def _sample(value: object) -> object:
    if isinstance(value, list):
        return [_sample(item) for item in value]
    if isinstance(value, bool | int | float | str):
        return value
    raise PydanticCustomError("sample", "numbers, text, true, false and lists of them")


class _Section(BaseModel):
    """Unknown keys are errors; a number in quotes is text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FeatureInput(_Section):
    """An input that is made of features, in the order of its columns."""

    name: str = Field(min_length=1)
    features: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)


class RuntimeSection(_Section):
    """How ONNX Runtime is to run the model; see `serving.runtime.options`."""

    intra_op_threads: int = Field(default=1, ge=1, le=256)
    inter_op_threads: int = Field(default=1, ge=1, le=256)
    spinning: bool = False
    graph_optimisation: Annotated[Literal["off", "basic", "extended", "all"], BeforeValidator(_optimisation)] = "all"
    custom_op_libraries: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)


class Manifest(_Section):
    """The facts of one model, the same for all its versions.

    `score` names the output that holds the score and `score_index` its column, `positive_class` what a score over
    `threshold` means. `inputs` says which are made of features, `samples` are rows by input name to warm up and prove
    batching with. `batching`: "proven" at warm-up, "never", or "forced" where the owner knows better; false is never.
    `max_rows` bounds one run, `deadline_ms` and `latency_slo_ms` apply where the configuration gives none.
    """

    score: str | None = Field(default=None, min_length=1)
    score_index: int | None = Field(default=None, ge=0)
    positive_class: str | int | None = None
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    inputs: list[FeatureInput] = Field(default_factory=list)
    samples: list[dict[str, Annotated[Any, BeforeValidator(_sample)]]] = Field(default_factory=list)
    onnxruntime: RuntimeSection = RuntimeSection()
    batching: Annotated[Literal["proven", "never", "forced"], BeforeValidator(_batching)] = "proven"
    max_rows: int | None = Field(default=None, ge=1, le=65_536)
    deadline_ms: int | None = Field(default=None, ge=1, le=_ONE_DAY_MS)
    latency_slo_ms: float | None = Field(default=None, gt=0, le=_ONE_DAY_MS)


def read_manifest(path: Path) -> Manifest:
    """What the file says; all defaults where there is none.

    Raises:
        ModelUnservable: every wrong key with its line, its value and what is permitted.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise ModelUnservable(f"{path}: cannot be read ({error.strerror}); make it readable") from error
    if len(text) > _LARGEST_BYTES:
        raise ModelUnservable(f"{path}: over {_LARGEST_BYTES >> 20} MB; keep only what a model.yaml may say")
    try:
        return _validated(path, text.decode())
    except UnicodeDecodeError as error:
        raise ModelUnservable(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def _validated(path: Path, text: str) -> Manifest:
    try:
        values, lines = read_document(text)
        return Manifest.model_validate(values)
    except DocumentInvalid as error:
        raise ModelUnservable(f"{path}: {error}; correct the file") from error
    except ValidationError as error:
        problems = [_problem(detail, lines) for detail in error.errors(include_url=False)]
        raise ModelUnservable(f"{path}: " + ", and ".join(problems)) from error


def _problem(detail: ErrorDetails, lines: dict[KeyPath, int]) -> str:
    key = _key(detail["loc"], lines)
    where = f"line {lines[key]}: " if key in lines else ""
    dotted = ".".join(str(part) for part in key)
    if detail["type"] == "extra_forbidden":
        return f"{where}unknown key {dotted!r}; {_known(key)}"
    if detail["type"] == "missing":
        return f"{where}{'.'.join(map(str, detail['loc']))} is missing; add it"
    value = repr(detail["input"])
    shown = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
    return f"{where}{dotted} is {shown}; permitted: {_permitted(detail)}"


def _key(location: tuple[int | str, ...], lines: dict[KeyPath, int]) -> KeyPath:
    # The end of a location may name a kind of a union, or stand inside a value, where no key is.
    key = location
    while key and key not in lines:
        key = key[:-1]
    return key or location


def _known(key: KeyPath) -> str:
    names = list(Manifest.model_fields)
    if len(key) > 1:
        names = list((RuntimeSection if key[0] == "onnxruntime" else FeatureInput).model_fields)
    near = difflib.get_close_matches(str(key[-1]), names, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}permitted: {', '.join(names)}"


def _permitted(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ").removeprefix("a ")
    return message[:1].lower() + message[1:]
