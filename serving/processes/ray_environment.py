"""The environment that Ray reads when it is imported, in this process and in each that it starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

# Ray's longest socket: <dir>/session_<date>_<time>_<microseconds>_<pid>/sockets/plasma_store, within 107 bytes.
_LONGEST_TEMP_DIR = 107 - len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")

_KEPT_IN = "ray-token"


def environment(run_dir: Path) -> Mapping[str, str]:
    """Settings for a cluster of our own on this machine, each with its reason."""
    return {
        # Workers run at nice 15 by default: a replica on the path of every request must not.
        "RAY_worker_niceness": "0",
        # Nobody but this session may submit work. By default Ray writes its token to the home directory, for all.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(run_dir / _KEPT_IN),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Who asks something of a cluster that has ended is to be told so: Ray would start another one for the question.
        "RAY_ENABLE_AUTO_CONNECT": "0",
        # A proxy of the environment is not for processes of one machine.
        "RAY_grpc_enable_http_proxy": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(64 * 1024 * 1024),
        "RAY_SERVE_LOG_TO_STDERR": "0",
        # Named after the systems where it is the default: the cluster's address is the loopback's. Nothing of it is for
        # other machines, and it goes on when the network changes.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def joining() -> Mapping[str, str]:
    """More of them for a process that joins such a cluster: whether its head answers is known in a quarter of a minute.

    By default Ray asks a head that stands still for ten minutes and more without a word.
    """
    # Each try also waits twice for 5 s, whatever is set here; the second is how many tries there are.
    return {"RAY_py_gcs_connect_timeout_s": "5", "RAY_gcs_server_port_wait_time_s": "1"}


def prepare(run_dir: Path) -> None:
    """Write the token and set the environment of this process; before ray is imported."""
    token = run_dir / _KEPT_IN
    if not token.exists():
        descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    os.environ.update(environment(run_dir))
    # Another cluster of this machine is none of ours.
    os.environ.pop("RAY_ADDRESS", None)


def stay_with(address: str) -> None:
    """What is asked of Serve from now on is asked of that cluster: when it has ended, Serve would start another one."""
    os.environ["RAY_ADDRESS"] = address


def temp_dir(run_dir: Path) -> Path | None:
    """Where Ray keeps sockets and logs: in the run directory, None where its path is too long for a socket's."""
    inside = run_dir / "ray"
    return inside if len(str(inside).encode()) <= _LONGEST_TEMP_DIR else None
