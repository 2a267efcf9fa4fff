"""Whoever asks over a channel is answered once, or told that nobody will."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from serving.errors import InUse, ModelFailed, NotReady
from serving.processes.asking import Asking, answer


class Line:
    """Both ends of a channel in one place; `obey` answers what is asked."""

    def __init__(self) -> None:
        self.asking = Asking(self.sent)
        self.messages: list[Mapping[str, Any]] = []

    def sent(self, kind: str, **facts: Any) -> None:
        self.messages.append({"type": kind, **facts})

    async def obey(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        match asked["what"]:
            case "needed":
                raise InUse("requests need it")
            case "odd":
                raise OSError("disk")
            case _:
                return {"said": asked["what"]}

    async def carry(self) -> None:
        while self.messages:
            message = self.messages.pop(0)
            if message["type"] == "ask":
                await answer(message, self.obey, self.sent)
            else:
                self.asking.answered(message)


async def asked(line: Line, *questions: str) -> list[Any]:
    asking = [asyncio.ensure_future(line.asking.ask(question)) for question in questions]
    await asyncio.sleep(0)
    await line.carry()
    return await asyncio.gather(*asking, return_exceptions=True)


async def test_every_question_gets_its_own_answer() -> None:
    assert await asked(Line(), "a", "b") == [{"said": "a"}, {"said": "b"}]


async def test_an_error_comes_back_as_what_it_was() -> None:
    refused, odd = await asked(Line(), "needed", "odd")
    assert isinstance(refused, InUse)
    assert refused.message == "requests need it"
    assert isinstance(odd, ModelFailed)
    assert "OSError: disk" in odd.message


async def test_when_the_other_side_has_gone_everybody_who_waits_is_told() -> None:
    line = Line()
    waiting = asyncio.ensure_future(line.asking.ask("a"))
    await asyncio.sleep(0)
    line.asking.close("the engine ended")
    for late in (waiting, line.asking.ask("b")):
        with pytest.raises(NotReady, match="the engine ended"):
            await late


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    line = Line()
    waiting = asyncio.ensure_future(line.asking.ask("a"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await line.carry()
    assert await asked(line, "b") == [{"said": "b"}]
