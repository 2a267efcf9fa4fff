"""What a plan is made of: the configuration's words, the caller's fields, the views that are read and the tensors.

Not compiled with the plan: there a number of 7 would become 7.0, which is no default of an integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from serving.features.feast.feast_source import KeyType
from serving.features.feature_view import Feature, FeatureView
from serving.features.segments import Segment, Sent
from serving.features.transforms.transform import Transform

# What a model does without values: their defaults, an error where a whole row is missing, or what training imputed.
OnMissing = Literal["default", "fail", "impute"]

_NARROWEST: Sequence[KeyType] = ("int32", "int64", "string")


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """What the configuration says of a model: each input tensor with its columns, `view.feature`, `request.field`, or
    what a transform makes of them.
    """

    model: str
    inputs: tuple[tuple[str, tuple[str | Transform, ...]], ...]
    views: tuple[FeatureView, ...] = ()
    request_defaults: Mapping[str, float | str] = field(default_factory=dict)
    on_missing: OnMissing = "default"


@dataclass(frozen=True, slots=True)
class RequestField:
    """A field that the caller sends; it may leave it out, or send null, unless `required`.

    `dtype` is a tensor's, BYTES for text or a whole number that is looked up or hashed.
    """

    name: str
    dtype: str
    default: float | str | None

    @property
    def required(self) -> bool:
        """Nothing stands in for it."""
        return self.default is None


@dataclass(frozen=True, slots=True)
class UsedView:
    """A view that a plan reads, and those of its features that the model gets, in the view's order."""

    view: FeatureView
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """One input: the pieces of its row, and the shape of one row."""

    name: str
    datatype: str
    trailing: tuple[int, ...]
    segments: tuple[Segment, ...]


def names_of(columns: Sequence[str | Transform]) -> tuple[str, ...]:
    """What the model gets, column by column."""
    return tuple(name for one in columns for name in ((one,) if isinstance(one, str) else one.names))


def request_fields(
    sent: Sequence[Sent], words: Sequence[str], defaults: Mapping[str, float | str]
) -> tuple[RequestField, ...]:
    """The fields that are sent, each once; `words` are those that are looked up or hashed."""
    dtypes: dict[str, str] = {}
    for run in sent:
        for name in run.names:
            # Where several inputs get it, the one that takes the fewest values: a fraction is no whole number.
            if name not in dtypes or dtypes[name].startswith("FP"):
                dtypes[name] = run.datatype
    for name in words:
        # A number that is looked up as well is a whole one.
        dtypes[name] = "INT64" if name in dtypes else "BYTES"
    return tuple(RequestField(name, dtype, defaults.get(name)) for name, dtype in dtypes.items())


def defaults_of(fields: Sequence[RequestField]) -> Mapping[str, float | str]:
    """By name, of those fields that have one."""
    return {one.name: one.default for one in fields if one.default is not None}


def key_types(used: Sequence[UsedView], fields: Sequence[RequestField]) -> Mapping[str, KeyType]:
    """What finds rows, in the order of the views, and what it has to be; a string may be a whole number as well.

    It is a whole number where the model gets it too, or where Feast's join key is one: of several the narrowest.
    """
    types: dict[str, KeyType] = {key: "string" for one in used for key in one.view.entity}
    types |= {one.name: "int64" for one in fields if one.name in types and one.dtype != "BYTES"}
    for view in (one.view for one in used):
        if view.feast is not None:
            for key, join_key in zip(view.entity, view.feast.join_keys, strict=True):
                types[key] = min(types[key], join_key.type, key=_NARROWEST.index)
    return types
