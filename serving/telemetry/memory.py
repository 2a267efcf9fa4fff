"""How much memory this process has, and how near its container or machine is to having none left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_KIB = 1024


class Memory:
    """Reads Linux's files: some 50 us a look. `root` is where /proc and /sys are."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._proc = root / "proc"
        self._groups = root / "sys/fs/cgroup"
        self._group = self._bounded_group()

    def own_bytes(self) -> int:
        """What this process alone would give back; 0 where that cannot be read."""
        return _kib_of(_text(self._proc / "self/status"), "RssAnon")

    def room(self) -> tuple[int, int]:
        """Bytes in use and the most there may be.

        Of the nearest control group (version 2) with a limit; pages of files that nobody used of late are not counted,
        as the kernel takes them first. Else of the machine.
        """
        if self._group is not None:
            return self._used(self._group), _number(_text(self._group / "memory.max"))
        machine = _text(self._proc / "meminfo")
        total = _kib_of(machine, "MemTotal")
        return total - _kib_of(machine, "MemAvailable"), total

    def _used(self, group: Path) -> int:
        idle = next((line.split()[1] for line in _lines(group / "memory.stat") if line.startswith("inactive_file ")), 0)
        return max(0, _number(_text(group / "memory.current")) - int(idle))

    def _bounded_group(self) -> Path | None:
        bounded = [(_number(_text(group / "memory.max")), group) for group in self._groups_above()]
        limits = [(limit, group) for limit, group in bounded if limit]
        return min(limits)[1] if limits else None

    def _groups_above(self) -> Iterator[Path]:
        """This process's group and those that it is in; in a container the root is the container's."""
        path = next((line[3:] for line in _lines(self._proc / "self/cgroup") if line.startswith("0::")), "/")
        group = self._groups / path.lstrip("/")
        while group.is_relative_to(self._groups):
            yield group
            group = group.parent


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _lines(path: Path) -> list[str]:
    return _text(path).splitlines()


def _number(text: str) -> int:
    """0 for "max", which is no limit."""
    text = text.strip()
    return int(text) if text.isdigit() else 0


def _kib_of(text: str, name: str) -> int:
    line = next((line for line in text.splitlines() if line.startswith(f"{name}:")), f"{name}: 0 kB")
    return int(line.split()[1]) * _KIB
