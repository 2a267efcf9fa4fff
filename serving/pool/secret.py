"""The shared secret of the tensor stream, read where it is kept and never repeated."""

from __future__ import annotations

import os
from pathlib import Path

from serving.errors import ConfigInvalid

VARIABLE = "SLUICE_POOL_SECRET"
_SHORTEST = 16


def read_secret(path: str) -> bytes:
    """From the file, or from the environment where `path` is "".

    Raises:
        ConfigInvalid: there is none, or others than its owner can read the file.
    """
    if not path:
        return _long_enough(os.environ.get(VARIABLE, "").encode(), f"the environment variable {VARIABLE}")
    try:
        mode = Path(path).stat().st_mode
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise ConfigInvalid(f"the pool's secret cannot be read from {path}: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigInvalid(f"the pool's secret in {path} can be read by others; chmod 600 it")
    return _long_enough(secret, path)


def _long_enough(secret: bytes, where: str) -> bytes:
    if len(secret) < _SHORTEST:
        raise ConfigInvalid(f"the pool's secret in {where} needs at least {_SHORTEST} bytes")
    return secret
