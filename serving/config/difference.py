"""What another configuration would change, as texts that hold no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass

from serving.config.document import dotted
from serving.config.effective import Effective
from serving.config.reloading import changed, refused, values
from serving.config.secrets import shown

_ANOTHER = "another, which is not shown"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting's values as JSON, None where there is none; `restart`: a running session does not take it."""

    setting: str
    old: str | None
    new: str | None
    restart: bool = False


def differences(old: Effective, new: Effective) -> list[Difference]:
    """Every setting whose value differs, by name; of secrets it is told that they differ, and nothing else."""
    before, after = values(old.settings), values(new.settings)
    fixed = set(refused(old.settings, new.settings))
    found = []
    for path in changed(old.settings, new.settings):
        texts = [json.dumps(shown(side[path])) if path in side else None for side in (before, after)]
        other = _ANOTHER if texts[0] == texts[1] else texts[1]
        found.append(Difference(dotted(path), texts[0], other, dotted(path) in fixed))
    return found
