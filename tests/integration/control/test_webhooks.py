"""Webhooks against receivers on real sockets: those that answer, refuse, hang, redirect, and talk nonsense."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from serving.control.app import control_app
from serving.control.session import ControlOptions
from serving.errors import Unavailable
from serving.rollouts.hook import Hook
from serving.rollouts.hook_message import Message
from serving.rollouts.hook_post import post
from serving.rollouts.webhooks import Sent, Webhooks
from serving.state.rollout_store import RolloutStore
from tests.integration.valkey_server import Server
from tests.unit.rollouts.fake_store import FakeSession

TOKEN = "0123456789abcdefXYZ"

MESSAGE = Message("r.1", b'{"type": "rollout.end"}')
OK, FAILED = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Receiver:
    """Answers each connection with the next of `answers`, the last one for ever; None hangs."""

    answers: list[bytes | None]
    got: list[bytes] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        self.got.append(head + await reader.readexactly(length))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    def hook(self, path: str = "/x?y=1", timeout_s: float = 5.0) -> Hook:
        return Hook(f"http://127.0.0.1:{self.port}{path}", timeout_s=timeout_s)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver([OK])
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    webhooks = Webhooks(lambda: 1_700_000_000.0, at_once)
    yield webhooks
    await webhooks.stop()


async def sent(webhooks: Webhooks, hook: Hook) -> Sent:
    webhooks.deliver(hook, MESSAGE)
    webhooks.deliver(hook, MESSAGE)  # begun once
    for _ in range(6_000):
        if found := webhooks.finished(MESSAGE.id):
            return found
        await asyncio.sleep(0.005)
    raise AssertionError("nothing came of it")


async def test_a_message_arrives_whole_and_signed(
    receiver: Receiver, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await sent(webhooks, receiver.hook())).failure == ""
    (got,) = receiver.got
    assert got.startswith(b"POST /x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert got.endswith(b'\r\n\r\n{"type": "rollout.end"}')
    assert b"webhook-id: r.1\r\n" in got
    assert b"webhook-timestamp: 1700000000\r\n" in got


@pytest.mark.parametrize(
    ("answers", "tries", "failure"),
    [
        ([FAILED, FAILED, OK], 3, ""),
        ([b"HTTP/1.1 429 Slow down\r\n\r\n", OK], 2, ""),
        ([b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK], 1, ""),
        ([FAILED], 5, "it answered 500, 5 times"),
        ([b"HTTP/1.1 404 Nobody\r\n\r\n"], 1, "it answered 404"),
        (
            [b"HTTP/1.1 302 There\r\nlocation: http://127.0.0.1:1/\r\n\r\n"],
            1,
            "it answered 302, and redirects are not followed: name the address itself",
        ),
        ([b"SSH-2.0-x\r\n\r\n"], 5, "what it answered is no HTTP, 5 times"),
        ([b"\x00" * 40_000], 5, "Separator is not found, and chunk exceed the limit, 5 times"),
        ([b""], 5, "it ended the connection, 5 times"),
        ([b"HTTP/1.1 200 OK\r\nx: cut off"], 5, "it ended the connection, 5 times"),
    ],
)
async def test_what_comes_of_each_answer(
    receiver: Receiver, webhooks: Webhooks, answers: list[bytes | None], tries: int, failure: str
) -> None:
    receiver.answers[:] = answers
    assert (await sent(webhooks, receiver.hook())).failure == failure
    assert len(receiver.got) == tries
    assert len({got.partition(b"webhook-id: ")[2][:3] for got in receiver.got}) == 1


async def test_whoever_ends_a_rollout_by_the_api_is_told_of_by_the_control_app(
    receiver: Receiver, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_HOOK_KEY", "a secret of the test")
    app = control_app(FakeSession(), ControlOptions("127.0.0.1", TOKEN, control_url=server.url))
    app.state.rollouts.start()
    transport, given = httpx.ASGITransport(app), {"authorization": f"Bearer {TOKEN}"}
    hook = {"url": receiver.hook("/told").url, "secret": {"env": "ROLLOUT_HOOK_KEY"}}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000/api/v1", headers=given) as api:
        begun = await api.post("/models/m/rollouts", json={"canary": 2, "plan": {"webhooks": [hook]}})
        rollout = begun.json()["id"]
        assert (await api.post(f"/rollouts/{rollout}:abort?by=anna")).status_code == 200
        for _ in range(2_000):
            if receiver.got:
                break
            await asyncio.sleep(0.005)
        shown = (await api.get(f"/rollouts/{rollout}")).text + (await api.get(f"/rollouts/{rollout}/history")).text
    await app.state.rollouts.stop()
    (got,) = receiver.got
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    told = json.loads(body)
    assert (told["type"], told["data"]["what"], told["data"]["by"]) == ("rollout.end", "abort", "anna")
    assert fields["webhook-id"] == f"{rollout}.1"
    signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"a secret of the test", signed, "sha256")).decode()
    assert fields["webhook-signature"] == f"v1,{expected}"
    assert abs(int(fields["webhook-timestamp"]) - time.time()) < 60
    store = RolloutStore(server.url)
    kept = json.dumps(store.get(rollout))
    store.stop()
    assert "ROLLOUT_HOOK_KEY" in kept
    assert "a secret of the test" not in shown + kept


async def test_one_that_hangs_is_left_after_its_time(receiver: Receiver, webhooks: Webhooks) -> None:
    receiver.answers[:] = [None]
    assert (await sent(webhooks, receiver.hook(timeout_s=0.05))).failure == "it did not answer within 0.05 s, 5 times"


async def test_one_that_is_not_there_is_given_up(receiver: Receiver, webhooks: Webhooks) -> None:
    failure = (await sent(webhooks, Hook("http://127.0.0.1:1/"))).failure
    assert "refused" in failure or "Connect call failed" in failure
    with pytest.raises(Unavailable):
        await post(f"https://127.0.0.1:{receiver.port}/", {}, b"", 2.0)  # no TLS there


async def test_a_question_is_asked_again_until_all_agree(receiver: Receiver, webhooks: Webhooks) -> None:
    receiver.answers[:] = [b"HTTP/1.1 403 Not yet\r\n\r\n", FAILED, OK]
    webhooks.ask("r", "r.0", [(receiver.hook(), Message("r.confirm.0", b"{}"))])
    seen = []
    while not webhooks.answer("r").yes:
        seen.append(webhooks.answer("r").why)
        await asyncio.sleep(0.001)
    assert {why.partition(": ")[2] for why in seen} <= {"", "it answered 403", "it answered 500"}
    assert len(receiver.got) == 3
    assert webhooks.answer("r").asked == "r.0"
    webhooks.ask_no_more("r")
    assert not webhooks.answer("r").yes


async def test_nothing_is_left_when_it_stops(receiver: Receiver) -> None:
    receiver.answers[:] = [None]
    before = asyncio.all_tasks()
    webhooks = Webhooks(lambda: 0.0)
    for number in range(300):
        webhooks.deliver(receiver.hook(), Message(f"r.{number}", b"{}"))
    webhooks.ask("r", "r.0", [(receiver.hook(), Message("q", b"{}"))])
    assert len(asyncio.all_tasks() - before) == 257
    await webhooks.stop()
    assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("webhook")]
