"""Ids of entities as the log has them: keyed hashes, of which only the owner of the log's key knows whose they are."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

KEY_FILE = "ids.key"
_KEY_BYTES = 32


def plain(value: str) -> str:
    """The id as it is."""
    return value


def hashed(folder: Path) -> Callable[[str], str]:
    """What hashes ids with the key of a log's folder; raises OSError where there is none."""
    key = (folder / KEY_FILE).read_bytes()
    return lambda value: blake2b(value.encode(errors="replace"), key=key, digest_size=16).hexdigest()


def make_key(folder: Path) -> None:
    """Give the folder a key if it has none; raises OSError."""
    path = folder / KEY_FILE
    if not path.exists():
        own = folder / f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        try:
            # Workers begin together: the first one's key is everybody's, and nobody sees half of it.
            os.link(own, path)
        except FileExistsError:
            pass
        finally:
            own.unlink()
