"""Compiles what the configuration says of a model's inputs against what its graph declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from serving.errors import ConfigInvalid
from serving.features.derivation import Derivation
from serving.features.derived_columns import (
    NUMBERS,
    WORDS,
    Entry,
    columns_of,
    fits,
    mixed,
    operand_tensors,
    width_of,
)
from serving.features.feature_view import FeatureView
from serving.features.instance_reader import why_no_word, why_unfit
from serving.features.model_inputs import ModelInputs, TensorPlan, UsedView
from serving.features.packed import RowLayout
from serving.features.plan import ReadPlan
from serving.features.segments import BECOMES, FORMATS, REQUEST, Column, Pieces, column_of, numbered, segments_of
from serving.features.transforms.transform import Transform
from serving.inference import Signature, TensorSpec


def compile_plan(inputs: ModelInputs, signature: Signature) -> ReadPlan:
    """The plan of one version.

    Raises:
        ConfigInvalid: names everything that does not fit the graph: inputs, numbers of columns, dtypes, unknown views
            and features.
    """
    if problems := misfits(inputs, signature):
        raise ConfigInvalid("\n".join(f"models.{inputs.model}: {problem}" for problem in problems))
    entries = _entries(inputs)
    used = _used(_all_columns(entries), {view.name: view for view in inputs.views})
    pieces = Pieces([RowLayout(one.view) for one in used], [], [])
    tensors = [_tensor(spec, entries[spec.name], pieces) for spec in signature.inputs]
    derivation = None
    if any(not isinstance(entry, Column) for row in entries.values() for entry in row):
        transforms = {spec.name: entries[spec.name] for spec in signature.inputs}
        hidden, operands = operand_tensors(transforms, pieces)
        tensors += hidden
        derivation = Derivation([mixed(spec.datatype, entries[spec.name]) for spec in signature.inputs], operands)
    return ReadPlan((inputs, signature), used, pieces, [_numbered(tensor, pieces) for tensor in tensors], derivation)


def misfits(inputs: ModelInputs, signature: Signature) -> list[str]:
    """Everything that does not fit the graph, one sentence each; none where it compiles."""
    entries = _entries(inputs)
    columns = _all_columns(entries)
    views = {view.name: view for view in inputs.views}
    problems = [*_unknown_inputs(entries, signature), *_unused_defaults(inputs, columns)]
    ids = _ids(columns, views)
    problems += [_default_of_an_id(name, view) for name, view in ids.items() if name in inputs.request_defaults]
    for spec in signature.inputs:
        problems += _problems_of(spec, entries.get(spec.name), views)
        problems += _wrong_fields(spec, entries.get(spec.name, ()), ids, inputs.request_defaults)
    return problems


def _entries(inputs: ModelInputs) -> dict[str, tuple[Entry, ...]]:
    return {
        name: tuple(column_of(one) if isinstance(one, str) else one for one in given) for name, given in inputs.inputs
    }


def _all_columns(entries: Mapping[str, Sequence[Entry]]) -> list[Column]:
    """Whatever is looked up or sent, for the model or for a transform, in the order in which it is named."""
    return [column for row in entries.values() for entry in row for column in columns_of(entry)]


def _tensor(spec: TensorSpec, entries: Sequence[Entry], pieces: Pieces) -> TensorPlan:
    width = sum(width_of(entry) for entry in entries)
    trailing = tuple(width if size < 0 else size for size in spec.trailing)
    plain = [entry for entry in entries if isinstance(entry, Column)]
    return TensorPlan(spec.name, spec.datatype, trailing, tuple(segments_of(plain, spec.datatype, pieces)))


def _numbered(tensor: TensorPlan, pieces: Pieces) -> TensorPlan:
    return TensorPlan(tensor.name, tensor.datatype, tensor.trailing, numbered(tensor.segments, pieces))


def _used(columns: Sequence[Column], views: Mapping[str, FeatureView]) -> list[UsedView]:
    """In the order in which the columns name them, each with what is used of it."""
    names = dict.fromkeys(column.view for column in columns if column.view != REQUEST)
    wanted = set(columns)
    return [
        UsedView(views[name], tuple(f for f in views[name].features if Column(name, f.name) in wanted))
        for name in names
    ]


def _unknown_inputs(entries: Mapping[str, object], signature: Signature) -> list[str]:
    known = [spec.name for spec in signature.inputs]
    return [
        f"the model has no input {name!r}; its inputs are {', '.join(known)}" for name in entries if name not in known
    ]


def _unused_defaults(inputs: ModelInputs, columns: Sequence[Column]) -> list[str]:
    sent = {column.feature for column in columns if column.view == REQUEST}
    return [
        f"request_defaults names {name!r}, but no input has the column {REQUEST}.{name}"
        for name in inputs.request_defaults
        if name not in sent
    ]


def _ids(columns: Sequence[Column], views: Mapping[str, FeatureView]) -> dict[str, str]:
    """The fields that find rows, each with a view that it finds rows of."""
    used = dict.fromkeys(column.view for column in columns)
    return {key: name for name in used if name in views for key in views[name].entity}


def _default_of_an_id(name: str, view: str) -> str:
    return (
        f"request_defaults names {name!r}, which finds the row of view {view!r}; callers have to send it, leave it out"
    )


def _wrong_fields(
    spec: TensorSpec, entries: Sequence[Entry], ids: Mapping[str, str], defaults: Mapping[str, float | str]
) -> list[str]:
    """Fields of requests that no caller could send, or that nothing could stand in for."""
    if spec.datatype not in FORMATS:
        return []
    plain = [entry for entry in entries if isinstance(entry, Column)]
    names = dict.fromkeys(column.feature for column in plain if column.view == REQUEST)
    problems = [
        f"input {spec.name!r} is BOOL, but {name!r} finds rows of view {ids[name]!r}: an id is text or a whole number"
        for name in names
        if name in ids and spec.datatype == "BOOL"
    ]
    unfit = {name: why_unfit(defaults[name], spec.datatype) for name in names if name in defaults}
    for entry in entries:
        for column in columns_of(entry):
            name = column.feature
            if not isinstance(entry, Column) and column.view == REQUEST and name in defaults:
                wrong = why_no_word(defaults[name]) if entry.takes_words else why_unfit(defaults[name], NUMBERS)
                unfit[name] = wrong or unfit.get(name, "")
    return problems + [
        f"request_defaults: {name!r} {why}, for input {spec.name!r}" for name, why in unfit.items() if why
    ]


def _problems_of(spec: TensorSpec, entries: Sequence[Entry] | None, views: Mapping[str, FeatureView]) -> list[str]:
    if entries is None:
        return [f"input {spec.name!r} has no columns; name the features that it is made of"]
    if spec.datatype not in FORMATS:
        return [f"input {spec.name!r} is {spec.datatype}; features are numbers and booleans"]
    if not spec.shape:
        return [f"input {spec.name!r} is a scalar; features need a dimension that counts rows"]
    problems = _wrong_width(spec, sum(width_of(entry) for entry in entries))
    for entry in entries:
        if isinstance(entry, Column):
            problems += _wrong_column(spec.name, entry, views) or _wrong_dtype(spec, entry, views)
        else:
            problems += _wrong_transform(spec, entry, views)
    return problems


def _wrong_width(spec: TensorSpec, width: int) -> list[str]:
    sizes = [size for size in spec.trailing if size >= 0]
    if not width:
        return [f"input {spec.name!r} has no columns; name the features that it is made of"]
    if len(spec.trailing) - len(sizes) > 1 or (len(sizes) < len(spec.trailing) and prod(sizes) != 1):
        return [
            f"input {spec.name!r} has rows of shape {list(spec.trailing)}; features make rows of one open dimension"
        ]
    if len(sizes) == len(spec.trailing) and prod(sizes) != width:
        return [f"input {spec.name!r} takes rows of {prod(sizes)} values, and {width} columns are named"]
    return []


def _wrong_column(tensor: str, column: Column, views: Mapping[str, FeatureView]) -> list[str]:
    if not column.feature:
        return [f"input {tensor!r}: {column.view!r} is no column; write <view>.<feature> or request.<field>"]
    if column.view == REQUEST:
        return []
    view = views.get(column.view)
    if view is None:
        known = ", ".join([*views, REQUEST])
        return [f"input {tensor!r}: column {column} names no feature view; there are {known}"]
    names = [feature.name for feature in view.features]
    if column.feature not in names:
        return [f"input {tensor!r}: view {view.name!r} has no feature {column.feature!r}; it has {', '.join(names)}"]
    return []


def _dtype_of(column: Column, views: Mapping[str, FeatureView]) -> str:
    """Of a column that there is; "" for what callers send."""
    if column.view == REQUEST:
        return ""
    return next(feature.dtype for feature in views[column.view].features if feature.name == column.feature)


def _wrong_dtype(spec: TensorSpec, column: Column, views: Mapping[str, FeatureView]) -> list[str]:
    dtype = _dtype_of(column, views)
    if dtype and spec.datatype not in BECOMES[dtype]:
        return [f"input {spec.name!r} is {spec.datatype}, and {column} is {dtype}, which becomes {_words(dtype)} only"]
    return []


def _wrong_transform(spec: TensorSpec, transform: Transform, views: Mapping[str, FeatureView]) -> list[str]:
    what = transform.names[0]
    if not fits(transform, spec.datatype):
        return [f"input {spec.name!r} is {spec.datatype}, which cannot hold what {what} gives; FP32 and FP64 can"]
    columns = columns_of(transform)
    problems = [problem for column in columns for problem in _wrong_column(spec.name, column, views)]
    if problems or not transform.takes_words:
        return problems
    return [
        f"input {spec.name!r}: {what} takes text or whole numbers, and {column} is {dtype}"
        for column in columns
        if (dtype := _dtype_of(column, views)) and WORDS not in BECOMES[dtype]
    ]


def _words(dtype: str) -> str:
    return " or ".join(sorted(BECOMES[dtype]))
