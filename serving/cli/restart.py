"""`sluice restart`: has the running session read its configuration again, without losing a request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.failure import CommandFailed, not_reachable

if TYPE_CHECKING:
    from serving.processes.running_sessions import RunningSession


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "restart", short_help="Reload and roll the workers.", epilog="Example: sluice restart --http-port 8080"
    )(restart)


def restart(
    http_port: Annotated[int, typer.Option("--http-port", help="Port of the session.", min=1, max=65_535)] = 8080,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Give up waiting after this many seconds.", min=1)
    ] = 120,
    pool: Annotated[
        str | None, typer.Option("--pool", help="Replace the replicas of this pool, and nothing else.")
    ] = None,
) -> None:
    """Read the session's configuration again and replace the gateway workers; requests are answered all the while.

    A configuration that cannot be followed changes nothing, and is told; exit code 1.
    """
    if pool is None:
        _restart_workers(http_port, timeout_s)
    else:
        _restart_pool(http_port, pool)


def _restart_pool(http_port: int, pool: str) -> None:
    from urllib.parse import quote

    from serving.cli.control_client import control_client
    from serving.cli.spinner import spinner

    client = control_client(http_port, None, None)
    with spinner(f"replacing the replicas of pool {pool}"):
        client.post(f"/pools/{quote(pool, safe='')}:restart", {})
    typer.echo(f"replaced the replicas of pool {pool}")


def _restart_workers(http_port: int, timeout_s: float) -> None:
    import os
    import signal

    from serving.cli.spinner import spinner
    from serving.processes import running_sessions

    running = running_sessions.find(http_port)
    if running is None:
        others = ", ".join(str(one.http_port) for one in running_sessions.sessions())
        hint = f"name another one with --http-port: {others}" if others else "`sluice up` starts one"
        raise not_reachable(f"no session of yours runs on port {http_port}; {hint}")
    began = time.monotonic()
    os.kill(running.pid, signal.SIGHUP)
    with spinner(f"replacing the workers of port {http_port}"):
        replaced = _replaced(running, began + timeout_s)
    if replaced:
        typer.echo(f"replaced the workers of port {http_port} in {time.monotonic() - began:.1f} s")
        return
    raise CommandFailed(
        f"the workers of port {http_port} were not replaced within {timeout_s:.0f} s; it may still be under way, "
        "and the session's own output says how it ends"
    )


def _replaced(running: RunningSession, until: float) -> bool:
    """Whether all of the session's workers were replaced by then."""
    from serving.processes import running_sessions

    while time.monotonic() < until:
        time.sleep(0.05)
        now = running_sessions.find(running.http_port)
        if now is None or now.session != running.session:
            raise CommandFailed(f"the session on port {running.http_port} ended before its workers were replaced")
        # One that others asked for before has a lower number, and may have read the file as it was then.
        if now.refused > running.asked:
            raise CommandFailed(f"nothing was changed: {now.refusal}")
        if now.answered > running.asked:
            return True
    return False
