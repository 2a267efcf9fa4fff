"""Every process of a contender: of the session it was started in, marked in its environment, or descended from it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


class Family:
    """`leader` leads a kernel session of its own; `mark` is in its environment and in nobody else's.

    Not one of the three finds all: Ray's agents outlive their parents in sessions of their own, and Valkey writes its
    title over its environment. Who was seen once belongs to it until the end, also where its parent has gone.
    """

    def __init__(self, leader: int, mark: str) -> None:
        self._leader = leader
        self._mark = mark.encode()
        self._seen: set[psutil.Process] = set()

    def living(self) -> list[psutil.Process]:
        """Those that have not ended, by the order of their numbers."""
        found = {process for process in psutil.process_iter() if self._is_ours(process.pid)} | self._descended()
        self._seen = {process for process in self._seen | found if _lives(process)}
        return sorted(self._seen, key=lambda process: process.pid)

    def _is_ours(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self._leader or self._mark in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False

    def _descended(self) -> set[psutil.Process]:
        try:
            return set(psutil.Process(self._leader).children(recursive=True))
        except psutil.NoSuchProcess:
            return set()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
