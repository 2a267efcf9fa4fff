"""Which release of Sluice runs, as clients and scrapes are told."""

from __future__ import annotations

from importlib import metadata


def release() -> str:
    """The version of the installed distribution; "source" where the files run without having been installed."""
    try:
        return metadata.version("sluice-gateway")
    except metadata.PackageNotFoundError:
        return "source"
