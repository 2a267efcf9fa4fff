"""Runs mypyc and the C compiler: `python -m compiled.extension BUILD GROUP FILE...`, libraries come to BUILD/lib."""

from __future__ import annotations

import sys
from pathlib import Path

from mypyc.build import mypycify
from setuptools import Distribution


def main(build: Path, group: str, files: list[str]) -> None:
    """Compile the files as one group."""
    modules = mypycify(files, opt_level="2", debug_level="0", target_dir=str(build), group_name=group)
    # The project is built by hatchling: what pyproject.toml says is none of setuptools' business.
    command = Distribution({"name": group, "ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = str(build / "lib")
    command.build_temp = str(build / "objects")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
