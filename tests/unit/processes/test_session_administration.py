"""A worker asks its session for what it cannot know alone, and lets nobody change anything without the token."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.errors import BadRequest, InUse, NotPermitted, NotReady, ServingError, TokenMissing, UnknownModel
from serving.inference import VersionKey
from serving.processes.session_administration import SessionAdministration
from serving.request_path.administration import IndexEntry, LoadOrder
from serving.telemetry.log import LogSettings
from serving.telemetry.snapshot import dump_usage
from serving.telemetry.usage import Usage

ANSWERS: dict[str, Any] = {
    "statistics": {"usage": dump_usage({VersionKey("m", 1): Usage(3), VersionKey("gone", 1): Usage(9)})},
    "index": {"entries": [["m", "1", "READY", ""]]},
    "log": {"info": False, "warning": True, "error": True, "verbose": 0},
}


class Session:
    def __init__(self, root: Path | None = None, token: str = "secret") -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.staged: list[set[str]] = []
        self.objects: ServingError | None = None
        self.root = root
        variants = SimpleNamespace(models=lambda: ["m", "n"], versions=self.versions, routed=self.routed)
        self.administration = SessionAdministration(cast("Any", variants), root, token)
        self.administration.may_ask(self.ask)

    def versions(self, model: str) -> tuple[int, ...]:
        if model not in ("m", "n"):
            raise UnknownModel(model)
        return (1, 2) if model == "m" else (1,)

    def routed(self, model: str, version: int) -> VersionKey:
        if version not in self.versions(model):
            raise UnknownModel(str(version))
        return VersionKey(model, version)

    async def ask(self, what: str, **facts: Any) -> Any:
        self.asked.append((what, facts))
        if facts.get("staged") and self.root:
            folder = self.root / facts["staged"]
            self.staged.append({str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()})
        if self.objects is not None:
            raise self.objects
        return ANSWERS.get(what, {})


async def test_statistics_are_of_what_is_served_whether_it_was_asked_or_not() -> None:
    administration = Session().administration
    everything = {one.key: one.usage.answered for one in await administration.statistics("", None)}
    assert everything == {("m", 1): 3, ("m", 2): 0, ("n", 1): 0}
    assert [one.key for one in await administration.statistics("m", None)] == [("m", 1), ("m", 2)]
    assert [one.key for one in await administration.statistics("m", 2)] == [("m", 2)]
    for model, version in (("x", None), ("m", 3)):
        with pytest.raises(UnknownModel):
            await administration.statistics(model, version)


async def test_index_and_log_are_the_sessions() -> None:
    session = Session()
    assert await session.administration.index() == [IndexEntry("m", "1", "READY", "")]
    assert await session.administration.log_settings() == LogSettings(info=False)
    await session.administration.change_log(LogSettings(verbose=1))
    assert session.asked[-1] == (
        "change_log",
        {"settings": {"info": True, "warning": True, "error": True, "verbose": 1, "levels": {}}},
    )


def test_only_the_tokens_owner_is_let_in() -> None:
    with pytest.raises(NotPermitted, match=r"http\.repository_api: token"):
        Session(token="").administration.permit("Bearer secret")
    opened = Session().administration
    for wrong in ("", "Bearer", "Bearer ", "Bearer other", "Basic secret", "secret", "Bearer secr\xe9t"):
        with pytest.raises(TokenMissing):
            opened.permit(wrong)
    opened.permit("Bearer secret")
    opened.permit("bearer secret")
    for values_token, refused in (("", NotPermitted), ("another", TokenMissing)):
        closed = SessionAdministration(cast("Any", None), None, "secret", values_token)
        with pytest.raises(refused):
            closed.permit_values("Bearer secret")
    SessionAdministration(cast("Any", None), None, "", "secret").permit_values("Bearer secret")
    assert (opened.open, Session(token="").administration.open) == (True, False)


@pytest.mark.parametrize("objects", [None, InUse("it is there")])
async def test_files_wait_in_the_repository_while_the_session_is_asked(
    tmp_path: Path, objects: ServingError | None
) -> None:
    session = Session(tmp_path)
    session.objects = objects
    try:
        await session.administration.load(LoadOrder("new", "{}", {"1/model.onnx": b"model"}))
    except InUse as error:
        assert error is objects  # noqa: PT017 - the other case does not raise
    assert session.staged == [{"1/model.onnx"}]
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib would be refused in a coroutine


async def test_without_files_the_session_is_asked_at_once() -> None:
    session = Session()
    await session.administration.load(LoadOrder("m", "{}"))
    await session.administration.unload("m")
    assert session.asked == [
        ("repository_load", {"model": "m", "config": "{}", "staged": ""}),
        ("repository_unload", {"model": "m"}),
    ]
    with pytest.raises(BadRequest, match="no model repository"):
        await session.administration.load(LoadOrder("m", "", {"1/model.onnx": b""}))


async def test_before_it_may_ask_it_says_so() -> None:
    with pytest.raises(NotReady):
        await SessionAdministration(cast("Any", None), None, "").index()
