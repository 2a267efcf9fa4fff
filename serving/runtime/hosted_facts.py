"""A hosted version's facts as JSON, for another process."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from serving.inference import Hosted, Signature, TensorSpec, VersionKey


def dump_hosted(hosted: Hosted) -> str:
    """One line of JSON."""
    return json.dumps({**asdict(hosted), "key": list(hosted.key)})


def load_hosted(values: dict[str, Any]) -> Hosted:
    """The facts that `dump_hosted` wrote."""
    signature = values["signature"]
    model, version = values["key"]
    return Hosted(
        **{
            **values,
            "key": VersionKey(model, version),
            "signature": Signature(*(_specs(signature[side]) for side in ("inputs", "outputs", "optional"))),
        }
    )


def _specs(entries: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(**{**entry, "shape": tuple(entry["shape"])}) for entry in entries)
