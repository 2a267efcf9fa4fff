"""An engine without Ray: ready at once, with a helper process that outlives it, as Ray's do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from serving.processes.control_channel import inherited_channel
from serving.processes.death import die_with
from serving.processes.start_message import from_json


def start_helper(run_dir: str) -> None:
    # The mark is taken out of its environment, as programs that set their title do.
    helper = subprocess.Popen(["sleep", "60"], env={})
    with Path(run_dir, "helpers").open("a") as helpers:
        helpers.write(f"{helper.pid}\n")


async def main(channel_fd: int) -> None:
    channel = inherited_channel(channel_fd)
    await channel.open()
    messages = channel.messages()
    start = from_json(await anext(messages))
    start_helper(start.run_dir)
    channel.send("refused", model="big", version="1", why="big/1/model.onnx is no ONNX file")
    channel.send("replicas", alive={"default": 2}, wished={"default": 3})
    channel.send("scaled", text="pool default: 2 -> 3 replicas: requests wait")
    channel.send("ready")
    async for message in messages:
        if message["type"] == "stop":
            break


if __name__ == "__main__":
    die_with(int(sys.argv[2]))
    asyncio.run(main(int(sys.argv[1])))
