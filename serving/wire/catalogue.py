"""The CATALOGUE frame: what a replica hosts and under which slot, what it could not load, whether it is done loading.

A JSON object; unknown keys are left alone, so that a newer server may say more. Optional inputs have a key of their
own: a gateway that does not know it never gives them, and its batches are what they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.errors import StreamRefused
from serving.inference import Hosted, Signature, TensorSpec, VersionKey
from serving.wire.frame import CATALOGUE, Frame, encode


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`slots` numbers the versions that can run now; a number is not given to another version soon after.

    `runs` is how many batches the replica runs at once; 0 where it does not say.
    """

    slots: Mapping[int, Hosted] = field(default_factory=dict)
    refused: Mapping[VersionKey, str] = field(default_factory=dict)
    settled: bool = False
    runs: int = 0


def encode_catalogue(catalogue: Catalogue) -> bytes:
    """The whole frame."""
    document = {
        "settled": catalogue.settled,
        "hosted": [_hosted(slot, hosted) for slot, hosted in sorted(catalogue.slots.items())],
        "refused": [
            {"model": key.model, "version": key.version, "note": note}
            for key, note in sorted(catalogue.refused.items())
        ],
        **({"runs": catalogue.runs} if catalogue.runs else {}),
    }
    return encode(CATALOGUE, json.dumps(document, separators=(",", ":")).encode())


def decode_catalogue(frame: Frame) -> Catalogue:
    """Read a CATALOGUE frame.

    Raises:
        StreamRefused: it is none.
    """
    return CatalogueReader().read(frame)


class CatalogueReader:
    """Reads one peer's catalogues, one after the other: what a slot says as it did before stays the same object.

    With 1,000 versions, of which one comes or goes, reading them all anew took 9 ms of a gateway's loop each time.
    """

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: dict[int, tuple[object, Hosted]] = {}

    def read(self, frame: Frame) -> Catalogue:
        """The next one.

        Raises:
            StreamRefused: it is none.
        """
        try:
            document = json.loads(frame.payload)
            self._before = {int(entry["slot"]): (entry, self._hosted(entry)) for entry in document["hosted"]}
            slots = {slot: hosted for slot, (_, hosted) in self._before.items()}
            refused = {_key(entry): str(entry["note"]) for entry in document["refused"]}
            return Catalogue(slots, refused, bool(document["settled"]), max(0, int(document.get("runs", 0))))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StreamRefused(f"the peer sent a catalogue that cannot be read: {error!r}") from error

    def _hosted(self, entry: dict[str, Any]) -> Hosted:
        before = self._before.get(entry["slot"])
        return before[1] if before is not None and before[0] == entry else _read_hosted(entry)


def _hosted(slot: int, hosted: Hosted) -> dict[str, Any]:
    optional = hosted.signature.optional
    return {
        "slot": slot,
        "model": hosted.key.model,
        "version": hosted.key.version,
        "inputs": [_spec(spec) for spec in hosted.signature.inputs],
        "outputs": [_spec(spec) for spec in hosted.signature.outputs],
        "batchable": hosted.batchable,
        "note": hosted.note,
        "max_rows": hosted.max_rows,
        "run_s": hosted.run_s,
        **({"optional": [_spec(spec) for spec in optional]} if optional else {}),
    }


def _read_hosted(entry: dict[str, Any]) -> Hosted:
    return Hosted(
        key=_key(entry),
        signature=Signature(
            _read_specs(entry["inputs"]),
            _read_specs(entry["outputs"]),
            _read_specs(entry.get("optional", []), optional=True),
        ),
        batchable=bool(entry["batchable"]),
        note=str(entry["note"]),
        max_rows=int(entry["max_rows"]),
        run_s=float(entry["run_s"]),
    )


def _key(entry: dict[str, Any]) -> VersionKey:
    return VersionKey(str(entry["model"]), int(entry["version"]))


def _spec(spec: TensorSpec) -> list[Any]:
    return [spec.name, spec.datatype, list(spec.shape)]


def _read_specs(entries: list[Any], *, optional: bool = False) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(str(name), str(datatype), tuple(int(size) for size in shape), optional)
        for name, datatype, shape in entries
    )
