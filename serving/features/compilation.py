"""Compiles what the configuration says of a model's inputs against what its graph declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from serving.errors import ConfigInvalid
from serving.features.feature_view import FeatureView
from serving.features.instance_reader import why_unfit
from serving.features.packed import RowLayout
from serving.features.plan import ModelInputs, ReadPlan, TensorPlan, UsedView
from serving.features.segments import BECOMES, FORMATS, REQUEST, Column, Pieces, numbered, segments_of
from serving.inference import Signature, TensorSpec


def compile_plan(inputs: ModelInputs, signature: Signature) -> ReadPlan:
    """The plan of one version.

    Raises:
        ConfigInvalid: names everything that does not fit the graph: inputs, numbers of columns, dtypes, unknown views
            and features.
    """
    if problems := misfits(inputs, signature):
        raise ConfigInvalid("\n".join(f"models.{inputs.model}: {problem}" for problem in problems))
    columns = _columns(inputs)
    used = _used(columns, {view.name: view for view in inputs.views})
    pieces = Pieces([RowLayout(one.view) for one in used], [], [])
    tensors = [_tensor(spec, columns[spec.name], pieces) for spec in signature.inputs]
    return ReadPlan((inputs, signature), used, pieces, [_numbered(tensor, pieces) for tensor in tensors])


def misfits(inputs: ModelInputs, signature: Signature) -> list[str]:
    """Everything that does not fit the graph, one sentence each; none where it compiles."""
    columns = _columns(inputs)
    views = {view.name: view for view in inputs.views}
    problems = [*_unknown_inputs(columns, signature), *_unused_defaults(inputs, columns)]
    ids = _ids(columns, views)
    problems += [_default_of_an_id(name, view) for name, view in ids.items() if name in inputs.request_defaults]
    for spec in signature.inputs:
        problems += _problems_of(spec, columns.get(spec.name), views)
        problems += _wrong_fields(spec, columns.get(spec.name, ()), ids, inputs.request_defaults)
    return problems


def _columns(inputs: ModelInputs) -> dict[str, tuple[Column, ...]]:
    return {name: tuple(_column(text) for text in texts) for name, texts in inputs.inputs}


def _column(text: str) -> Column:
    view, _, feature = text.partition(".")
    return Column(view, feature)


def _tensor(spec: TensorSpec, columns: Sequence[Column], pieces: Pieces) -> TensorPlan:
    trailing = tuple(len(columns) if size < 0 else size for size in spec.trailing)
    return TensorPlan(spec.name, spec.datatype, trailing, tuple(segments_of(columns, spec.datatype, pieces)))


def _numbered(tensor: TensorPlan, pieces: Pieces) -> TensorPlan:
    return TensorPlan(tensor.name, tensor.datatype, tensor.trailing, numbered(tensor.segments, pieces))


def _used(columns: Mapping[str, Sequence[Column]], views: Mapping[str, FeatureView]) -> list[UsedView]:
    """In the order in which the columns name them, each with what is used of it."""
    all_columns = [column for tensor in columns.values() for column in tensor]
    names = dict.fromkeys(column.view for column in all_columns if column.view != REQUEST)
    wanted = set(all_columns)
    return [
        UsedView(views[name], tuple(f for f in views[name].features if Column(name, f.name) in wanted))
        for name in names
    ]


def _unknown_inputs(columns: Mapping[str, object], signature: Signature) -> list[str]:
    known = [spec.name for spec in signature.inputs]
    return [
        f"the model has no input {name!r}; its inputs are {', '.join(known)}" for name in columns if name not in known
    ]


def _unused_defaults(inputs: ModelInputs, columns: Mapping[str, Sequence[Column]]) -> list[str]:
    sent = {column.feature for tensor in columns.values() for column in tensor if column.view == REQUEST}
    return [
        f"request_defaults names {name!r}, but no input has the column {REQUEST}.{name}"
        for name in inputs.request_defaults
        if name not in sent
    ]


def _ids(columns: Mapping[str, Sequence[Column]], views: Mapping[str, FeatureView]) -> dict[str, str]:
    """The fields that find rows, each with a view that it finds rows of."""
    used = dict.fromkeys(column.view for tensor in columns.values() for column in tensor)
    return {key: name for name in used if name in views for key in views[name].entity}


def _default_of_an_id(name: str, view: str) -> str:
    return (
        f"request_defaults names {name!r}, which finds the row of view {view!r}; callers have to send it, leave it out"
    )


def _wrong_fields(
    spec: TensorSpec, columns: Sequence[Column], ids: Mapping[str, str], defaults: Mapping[str, float]
) -> list[str]:
    """Fields of requests that no caller could send, or that nothing could stand in for."""
    if spec.datatype not in FORMATS:
        return []
    names = dict.fromkeys(column.feature for column in columns if column.view == REQUEST)
    problems = [
        f"input {spec.name!r} is BOOL, but {name!r} finds rows of view {ids[name]!r}: an id is text or a whole number"
        for name in names
        if name in ids and spec.datatype == "BOOL"
    ]
    unfit = {name: why_unfit(defaults[name], spec.datatype) for name in names if name in defaults}
    return problems + [
        f"request_defaults: {name!r} {why}, for input {spec.name!r}" for name, why in unfit.items() if why
    ]


def _problems_of(spec: TensorSpec, columns: Sequence[Column] | None, views: Mapping[str, FeatureView]) -> list[str]:
    if columns is None:
        return [f"input {spec.name!r} has no columns; name the features that it is made of"]
    if spec.datatype not in FORMATS:
        return [f"input {spec.name!r} is {spec.datatype}; features are numbers and booleans"]
    if not spec.shape:
        return [f"input {spec.name!r} is a scalar; features need a dimension that counts rows"]
    return [*_wrong_width(spec, columns), *(p for column in columns for p in _wrong_column(spec, column, views))]


def _wrong_width(spec: TensorSpec, columns: Sequence[Column]) -> list[str]:
    sizes = [size for size in spec.trailing if size >= 0]
    if not columns:
        return [f"input {spec.name!r} has no columns; name the features that it is made of"]
    if len(spec.trailing) - len(sizes) > 1 or (len(sizes) < len(spec.trailing) and prod(sizes) != 1):
        return [
            f"input {spec.name!r} has rows of shape {list(spec.trailing)}; features make rows of one open dimension"
        ]
    if len(sizes) == len(spec.trailing) and prod(sizes) != len(columns):
        return [f"input {spec.name!r} takes rows of {prod(sizes)} values, and {len(columns)} columns are named"]
    return []


def _wrong_column(spec: TensorSpec, column: Column, views: Mapping[str, FeatureView]) -> list[str]:
    if not column.feature:
        return [f"input {spec.name!r}: {column.view!r} is no column; write <view>.<feature> or request.<field>"]
    if column.view == REQUEST:
        return []
    view = views.get(column.view)
    if view is None:
        known = ", ".join([*views, REQUEST])
        return [f"input {spec.name!r}: column {column} names no feature view; there are {known}"]
    dtypes = {feature.name: feature.dtype for feature in view.features}
    dtype = dtypes.get(column.feature)
    if dtype is None:
        return [
            f"input {spec.name!r}: view {view.name!r} has no feature {column.feature!r}; it has {', '.join(dtypes)}"
        ]
    if spec.datatype not in BECOMES[dtype]:
        return [f"input {spec.name!r} is {spec.datatype}, and {column} is {dtype}, which becomes {_words(dtype)} only"]
    return []


def _words(dtype: str) -> str:
    return " or ".join(sorted(BECOMES[dtype]))
