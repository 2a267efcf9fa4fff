"""Runs the control app under uvicorn on a socket that somebody else opened and keeps."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

# Whoever stops a session waits for the requests in flight at the port of predictions, not for these.
_GRACE_S = 1


async def serve(app: FastAPI, sock: socket.socket, leave: asyncio.Event) -> None:
    """Answer until `leave` is set, or at SIGTERM."""
    config = uvicorn.Config(
        app, lifespan="off", ws="none", access_log=False, log_level="warning", timeout_graceful_shutdown=_GRACE_S
    )
    server = uvicorn.Server(config)

    async def watch() -> None:
        await leave.wait()
        server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[sock])
    finally:
        watching.cancel()
