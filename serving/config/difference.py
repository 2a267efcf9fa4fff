"""What another configuration would change, as texts that hold no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass

from serving.config.document import dotted
from serving.config.effective import Effective
from serving.config.layers import leaves
from serving.config.secrets import shown

_ANOTHER = "another, which is not shown"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting's values as JSON; None where that configuration has no such setting."""

    setting: str
    old: str | None
    new: str | None


def differences(old: Effective, new: Effective) -> list[Difference]:
    """Every setting whose value differs, by name; of secrets it is told that they differ, and nothing else."""
    before, after = _values(old), _values(new)
    found = []
    for setting in sorted(before.keys() | after.keys()):
        if setting in before and setting in after and before[setting] == after[setting]:
            continue
        texts = [json.dumps(shown(side[setting])) if setting in side else None for side in (before, after)]
        found.append(Difference(setting, texts[0], _ANOTHER if texts[0] == texts[1] else texts[1]))
    return found


def _values(effective: Effective) -> dict[str, object]:
    return {dotted(path): value for path, value in leaves(effective.settings.model_dump(mode="json"))}
