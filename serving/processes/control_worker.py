"""`python -m serving.processes.control_worker CHANNEL PARENT`: the control app, asking the supervisor over a channel.

Its own process, so that nothing that people do there can hold up a prediction, or the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from serving.config.feature_sections import FeatureViewSection
from serving.control.app import control_app
from serving.control.server import serve
from serving.control.session import ControlOptions
from serving.processes.asking import Asking
from serving.processes.control_channel import ControlChannel, inherited_channel
from serving.processes.death import die_with
from serving.telemetry.log import LogSettings, configure_as_told, configure_logging, use_log_settings

# Behind the gateway workers wherever both want the processor.
_NICE = 5


async def main(channel_fd: int) -> None:
    """Read the start message, serve until told to stop, or until the supervisor is gone."""
    channel = inherited_channel(channel_fd)
    await channel.open()
    first = await anext(channel.messages(), None)
    if first is None:
        return
    os.set_inheritable(channel_fd, False)  # noqa: FBT003 - the signature of the standard library
    configure_as_told(first["options"].get("logs", {}))
    asking = Asking(channel.send)
    leave = asyncio.Event()
    listening = asyncio.create_task(_listen(channel, asking, leave))
    app = control_app(asking.ask, _options(first["options"]))
    app.state.rollouts.start()
    await serve(app, socket.socket(fileno=first["fd"]), leave)
    await app.state.rollouts.stop()
    listening.cancel()


def _options(told: Mapping[str, Any]) -> ControlOptions:
    views = {name: FeatureViewSection.model_validate(view).compiled(name) for name, view in told["views"].items()}
    return ControlOptions(told["host"], told["token"], told["features_url"], views, told["control_url"])


async def _listen(channel: ControlChannel, asking: Asking, leave: asyncio.Event) -> None:
    async for message in channel.messages():
        match message["type"]:
            case "answer":
                asking.answered(message)
            case "log":
                use_log_settings(LogSettings(**message["settings"]))
            case "stop":
                break
            case _:
                continue
    asking.close("the session is ending")
    leave.set()


if __name__ == "__main__":
    configure_logging()
    die_with(int(sys.argv[2]))
    os.nice(_NICE)
    asyncio.run(main(int(sys.argv[1])))
