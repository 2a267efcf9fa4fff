"""What a gateway tells of a model, as far as rows of a file are made for it and answers become columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

# What a server takes that tells no configuration.
_UNTOLD_QUEUE = 1024
_UNTOLD_LEVELS = 3


@dataclass(frozen=True, slots=True)
class TensorForm:
    """One input or output; -1 in `shape` is any size, the first dimension counts rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def width(self) -> int:
        """Values of one row; 0 where the model leaves that open."""
        trailing = self.shape[1:]
        return 0 if any(size < 0 for size in trailing) else prod(trailing)


@dataclass(frozen=True, slots=True)
class FieldForm:
    """A feature that callers send; one that is not `required` has a default in the gateway."""

    name: str
    datatype: str
    required: bool


@dataclass(frozen=True, slots=True)
class ModelForm:
    """`max_rows` is 0 where rows do not run together; `entity_keys` and `fields` are for models asked by entity."""

    name: str
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]
    entity_keys: tuple[str, ...] = ()
    fields: tuple[FieldForm, ...] = ()
    by_entity: bool = False
    max_rows: int = 0
    queue_rows: int = _UNTOLD_QUEUE
    priority_levels: int = _UNTOLD_LEVELS


def model_form(metadata: Mapping[str, Any], config: Mapping[str, Any], page: Mapping[str, Any]) -> ModelForm:
    """From the protocol's metadata, its configuration, and our own page; the last two may be empty on other servers."""
    queue = config.get("dynamic_batching") or {}
    policy = queue.get("default_queue_policy") or {}
    optional = {one["name"] for one in config.get("input", ()) if one.get("optional")}
    fields = tuple(FieldForm(f["name"], f["datatype"], f["required"]) for f in page.get("request_features", ()))
    return ModelForm(
        name=str(metadata.get("name", "")),
        # Who gives an optional input runs alone, which is no way for many rows.
        inputs=tuple(_tensor(one) for one in metadata.get("inputs") or () if one["name"] not in optional),
        outputs=tuple(_tensor(one) for one in metadata.get("outputs") or ()),
        entity_keys=tuple(page.get("entity_keys", ())),
        fields=fields,
        by_entity="on_missing" in page,
        max_rows=int(config.get("max_batch_size", 0)),
        queue_rows=int(policy.get("max_queue_size") or _UNTOLD_QUEUE),
        priority_levels=int(queue.get("priority_levels") or _UNTOLD_LEVELS),
    )


def _tensor(told: Mapping[str, Any]) -> TensorForm:
    return TensorForm(str(told["name"]), str(told["datatype"]), tuple(int(size) for size in told["shape"]))
