"""A replica as it registers itself: where it listens and what it hosts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from serving.errors import ConfigInvalid

FORMAT = 1
SERVING = "serving"
DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class MemberVersion:
    """One version of a replica; `note` says why it is not ready, or not batchable."""

    model: str
    version: int
    ready: bool
    batchable: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """`address` is "unix:/path" or "tcp:host:port"; `state` is "serving" or "draining"."""

    replica: str
    address: str
    state: str = SERVING
    versions: tuple[MemberVersion, ...] = ()


def dump(member: Member) -> str:
    """The record as it stands in Redis and in the gateway's file: JSON that names its format."""
    return json.dumps({"format": FORMAT, **asdict(member)}, separators=(",", ":"), sort_keys=True)


def load(data: bytes | str) -> Member:
    """Read a record of this release or the one before it; unknown fields are left alone.

    Raises:
        ConfigInvalid: no such record, or one of another format.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ConfigInvalid(f"a pool member of format {document['format']}; this release reads format {FORMAT}")
        versions = tuple(_version(entry) for entry in document["versions"])
        return Member(str(document["replica"]), str(document["address"]), str(document["state"]), versions)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigInvalid(f"no record of a pool member: {error!r}") from error


def _version(entry: dict[str, Any]) -> MemberVersion:
    return MemberVersion(
        str(entry["model"]),
        int(entry["version"]),
        bool(entry["ready"]),
        bool(entry["batchable"]),
        str(entry.get("note", "")),
    )
