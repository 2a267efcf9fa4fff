"""Memory as Linux tells it: of the nearest control group with a limit, else of the machine."""

from __future__ import annotations

from pathlib import Path

from serving.telemetry.memory import Memory

MACHINE = "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n"


def machine(root: Path, group: str = "/") -> Path:
    own = root / "proc" / "self"
    own.mkdir(parents=True)
    (own / "status").write_text("Name:\tx\nVmRSS:\t  90 kB\nRssAnon:\t  70 kB\n")
    (own / "cgroup").write_text(f"3:cpuset:/other\n0::{group}\n")
    (root / "proc" / "meminfo").write_text(MACHINE)
    return root


def bound(root: Path, group: str, most: str, now: int = 0, idle: int = 0) -> None:
    folder = root / "sys/fs/cgroup" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{now}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {idle}\n")


def test_a_process_alone_counts_what_belongs_to_no_file(tmp_path: Path) -> None:
    assert Memory(machine(tmp_path)).own_bytes() == 70 * 1024


def test_without_a_limit_it_is_the_machine(tmp_path: Path) -> None:
    root = machine(tmp_path)
    bound(root, "", "max", 7)
    assert Memory(root).room() == (600 * 1024, 1000 * 1024)


def test_in_a_container_it_is_the_containers_without_idle_pages_of_files(tmp_path: Path) -> None:
    root = machine(tmp_path)
    bound(root, "", "5000", 3000, 1000)
    assert Memory(root).room() == (2000, 5000)


def test_of_the_groups_above_the_narrowest_counts(tmp_path: Path) -> None:
    root = machine(tmp_path, "/a/b")
    bound(root, "a/b", "max", 1)
    bound(root, "a", "800", 300)
    bound(root, "", "9000", 900)
    assert Memory(root).room() == (300, 800)


def test_where_nothing_can_be_read_nothing_is_told(tmp_path: Path) -> None:
    assert Memory(tmp_path).room() == (0, 0)
    assert Memory(tmp_path).own_bytes() == 0
