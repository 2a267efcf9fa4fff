"""What webhooks are told, how it is signed, and that secrets are read where they are and told nowhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import BadRequest
from serving.rollouts import rollout
from serving.rollouts.hook import SecretAt, SecretPlace
from serving.rollouts.hook_message import Message, headers, key_of, message, owing, question
from serving.rollouts.rollout import Rollout
from serving.rollouts.transition import Phase, Standing

PLAN = {"steps": [{"weight": 5}, {"weight": 50}], "webhooks": ["http://a/", {"url": "http://b/", "events": ["end"]}]}
HELD = Rollout("r", "m", 1, 2, PLAN, started_s=1.0, began_s=1.0, standing=Standing(Phase.STEP, 0, 5.0))


def entry(what: str, before: str, after: str, **more: object) -> dict[str, object]:
    return {
        "at_s": 10.0,
        "who": "controller",
        "what": what,
        "from": before,
        "to": after,
        "step": 0,
        "why": "so",
        **more,
    }


def told(*entries: dict[str, object]) -> list[tuple[int, str]]:
    held = HELD
    for one in entries:
        held = owing(held, one)
    return [(owed.hook, owed.event) for owed in held.owed]


def test_each_hook_is_told_of_its_events() -> None:
    assert told(entry("begun", "measuring", "step")) == [(0, "step")]
    assert told(entry("step", "step", "step", verdict={})) == [(0, "verdict"), (0, "step")]
    assert told(entry("rolled_back", "step", "rolled_back", verdict={})) == [(0, "verdict"), (0, "end"), (1, "end")]
    assert told(entry("abort", "step", "aborted", who="anna")) == [(0, "end"), (1, "end")]
    assert told(entry("paused", "step", "paused", verdict={})) == [(0, "verdict")]
    assert told(entry("resume", "paused", "step", who="anna")) == []
    assert told(entry("resume", "awaiting_approval", "step", who="anna")) == [(0, "step")]
    assert told(entry("webhook", "rolled_back", "rolled_back")) == []
    assert owing(HELD, None) is HELD


def test_messages_have_ids_of_their_own_that_survive_the_store_and_there_are_not_too_many() -> None:
    held = HELD
    for _ in range(30):
        held = owing(held, entry("paused", "step", "paused", verdict={}))
    assert len({owed.id for owed in held.owed}) == len(held.owed) == 24
    assert held.owed[-1].id == "r.30"
    assert rollout.load(json.loads(json.dumps(rollout.dump(held)))) == held
    body = json.loads(message(held.owed[-1]).body)
    assert (body["type"], body["data"]["why"], body["timestamp"]) == (
        "rollout.verdict",
        "so",
        "1970-01-01T00:00:10.000+00:00",
    )


def test_the_same_question_has_the_same_id_and_says_what_is_next() -> None:
    asking = replace(HELD, confirming_s=77.0)
    assert question(asking, 1) == question(asking, 1)
    assert question(asking, 1).id == "r.confirm.0.77.1"
    assert json.loads(question(asking, 0).body)["data"]["to_percent"] == 50
    last = replace(asking, standing=Standing(Phase.STEP, 1, 5.0))
    assert json.loads(question(last, 0).body)["data"]["to"] == "promoted"
    shadowing = replace(asking, standing=Standing(Phase.SHADOW, 0, 5.0))
    assert json.loads(question(shadowing, 0).body)["data"]["to_percent"] == 5


def test_a_signature_is_that_of_standard_webhooks() -> None:
    # Computed with OpenSSL: printf '%s' 'r.1.1700000000.{"a": 1}' | openssl dgst -sha256 -mac HMAC -macopt key:secret
    given = headers(Message("r.1", b'{"a": 1}'), b"secret", 1_700_000_000.9)
    assert given["webhook-id"] == "r.1"
    assert given["webhook-timestamp"] == "1700000000"
    assert given["webhook-signature"] == "v1,bjyriCBvolUDpT0IPoy+4Qbb/Pw/bJNKvJZF51GuQmg="
    assert "webhook-signature" not in headers(Message("r.1", b""), None, 0.0)


def test_a_secret_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "whsec_c2VjcmV0")
    assert key_of(SecretAt(SecretPlace.ENV, "HOOK_KEY")) == b"secret"
    (tmp_path / "key").write_text("plain\n")
    assert key_of(SecretAt(SecretPlace.FILE, str(tmp_path / "key"))) == b"plain"
    assert key_of(None) is None


def test_a_secret_that_cannot_be_read_is_said_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "whsec_not base64")
    with pytest.raises(BadRequest, match="env HOOK_KEY, is no base64 after whsec_") as refused:
        key_of(SecretAt(SecretPlace.ENV, "HOOK_KEY"))
    assert "not base64" not in str(refused.value.__cause__)
    with pytest.raises(BadRequest, match="env NO_SUCH_KEY, is empty"):
        key_of(SecretAt(SecretPlace.ENV, "NO_SUCH_KEY"))
    with pytest.raises(BadRequest, match="cannot be read: No such file"):
        key_of(SecretAt(SecretPlace.FILE, str(tmp_path / "none")))
