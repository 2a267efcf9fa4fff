"""A wall clock that a test moves while a session runs; everybody else's stays."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")
DAY_S = 86_400
COMPILER = shutil.which("cc") or shutil.which("gcc")


class WallClock:
    """`environment` is for whoever starts the processes whose clock it is; they see the true time and `shift_s`."""

    def __init__(self, folder: Path) -> None:
        library = folder / "wall_clock.so"
        assert COMPILER is not None
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
        self._file = folder / "shift"
        self._file.write_bytes(struct.pack("<q", 0))
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_SHIFT": str(self._file)}

    def step(self, shift_s: int) -> None:
        """From now on it is so many seconds ahead of the true time, or behind it."""
        with self._file.open("r+b") as opened:
            opened.write(struct.pack("<q", shift_s))
