"""What webhooks are told: messages that a rollout owes, and how one is signed.

Form and signature are those of Standard Webhooks 1.0 (standardwebhooks.com): the headers `webhook-id`, which stays the
same when a message is sent again, `webhook-timestamp`, and `webhook-signature`, which is `v1,` and the base64 of
HMAC-SHA256 over `id.timestamp.body`. So receivers may check it with any library for that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.errors import BadRequest
from serving.rollouts import bridge
from serving.rollouts.hook import Event, SecretAt, SecretPlace
from serving.rollouts.rollout import Owed, Rollout
from serving.rollouts.transition import Phase

# A receiver that is away for long learns the last ones.
_MOST_OWED = 24
_MOST_SECRET = 4_096
_ENDS = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.ABORTED})
_BEGINNINGS = frozenset({"begun", "step", "promote"})


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to one hook."""

    id: str
    body: bytes


def owing(rollout: Rollout, entry: Mapping[str, Any] | None) -> Rollout:
    """With the messages that an entry of the audit gives rise to; the oldest go where there are too many."""
    if entry is None or not rollout.plan.get("webhooks"):
        return rollout
    for place, hook in enumerate(rollout.in_force().webhooks):
        for event in _events(entry):
            if event in hook.events:
                told = rollout.told + 1
                owed = Owed(f"{rollout.id}.{told}", place, event, json.dumps(_body(rollout, event, entry)))
                rollout = replace(rollout, told=told, owed=(*rollout.owed, owed)[-_MOST_OWED:])
    return rollout


def message(owed: Owed) -> Message:
    """As it is sent."""
    return Message(owed.id, owed.body.encode())


def question(rollout: Rollout, place: int) -> Message:
    """Whether a hook agrees that the rollout goes on; the same question has the same id."""
    standing = rollout.standing
    plan = rollout.in_force()
    step = 0 if standing is None else standing.step
    following = 0 if standing is not None and standing.shadowing else step + 1
    after = None if following >= len(plan.steps) else plan.steps[following].weight_bp / 100
    data = {**bridge.told(rollout), "to": "promoted" if after is None else "step", "to_percent": after or 100.0}
    body = {"type": "rollout.confirm", "timestamp": _iso(rollout.confirming_s), "data": data}
    return Message(f"{rollout.id}.confirm.{step}.{rollout.confirming_s:.0f}.{place}", json.dumps(body).encode())


def headers(message: Message, key: bytes | None, now_s: float) -> dict[str, str]:
    """Of one try; without a key there is no signature."""
    stamp = str(int(now_s))
    given = {"content-type": "application/json", "webhook-id": message.id, "webhook-timestamp": stamp}
    if key is not None:
        signed = b".".join([message.id.encode(), stamp.encode(), message.body])
        digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given["webhook-signature"] = f"v1,{digest}"
    return given


def key_of(secret: SecretAt | None) -> bytes | None:
    """The key, as it stands there now; after `whsec_` it is in base64, else the text itself.

    Raises:
        BadRequest: it cannot be read, or is empty; what it is, is never told.
    """
    if secret is None:
        return None
    text = _read(secret).strip()
    if not text:
        raise BadRequest(f"the secret of a webhook, {secret.place} {secret.name}, is empty where the control app runs")
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"the secret of a webhook, {secret.place} {secret.name}, is no base64 after whsec_") from None


def _read(secret: SecretAt) -> str:
    if secret.place is SecretPlace.ENV:
        return os.environ.get(secret.name, "")
    try:
        with Path(secret.name).open(encoding="utf-8") as file:
            return file.read(_MOST_SECRET)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadRequest(f"the secret of a webhook, file {secret.name}, cannot be read: {why}") from error


def _events(entry: Mapping[str, Any]) -> list[Event]:
    what, before, after = entry["what"], entry["from"], entry["to"]
    found = []
    if "verdict" in entry or (what == Phase.ROLLED_BACK and entry["who"] == "controller"):
        found.append(Event.VERDICT)
    if after == Phase.STEP and (what in _BEGINNINGS or before == Phase.AWAITING_APPROVAL):
        found.append(Event.STEP)
    if after in _ENDS and before not in _ENDS:
        found.append(Event.END)
    return found


def _body(rollout: Rollout, event: Event, entry: Mapping[str, Any]) -> dict[str, Any]:
    data = {**bridge.told(rollout), "what": entry["what"], "by": entry["who"], "why": entry["why"]}
    return {"type": f"rollout.{event}", "timestamp": _iso(entry["at_s"]), "data": data}


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
