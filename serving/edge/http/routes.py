"""Path to what is asked for: every path the data port answers stands here."""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

# A version with more digits than this does not exist; int() of thousands of digits is slow.
_MAX_DIGITS = 18
# Longer paths are looked up without being remembered, so that the memory of the cache is bounded.
_REMEMBERED = 256


class Asks(Enum):
    """What a path asks for."""

    ALIVE = auto()
    SERVER = auto()
    LIVE = auto()
    READY = auto()
    MODELS = auto()
    MODEL = auto()
    MODEL_READY = auto()
    INFER = auto()
    V1_MODELS = auto()
    V1_MODEL = auto()
    PREDICT = auto()


PREDICTIONS = frozenset((Asks.INFER, Asks.PREDICT))


class Target(NamedTuple):
    """A path understood: `model` is "" where none is named, `version` None where the route decides."""

    asks: Asks
    model: str = ""
    version: int | None = None

    @property
    def methods(self) -> str:
        """What an Allow header says."""
        return "POST" if self.asks in PREDICTIONS else "GET, HEAD"


_FIXED = {
    b"/": Target(Asks.ALIVE),
    b"/v2": Target(Asks.SERVER),
    b"/v2/": Target(Asks.SERVER),
    b"/v2/health/live": Target(Asks.LIVE),
    b"/v2/health/ready": Target(Asks.READY),
    b"/v2/models": Target(Asks.MODELS),
    b"/v1/models": Target(Asks.V1_MODELS),
}


def target_of(url: bytes) -> Target | None:
    """What a request's URL asks for, in origin or absolute form; None where nothing answers."""
    path = url.partition(b"?")[0].partition(b"#")[0]
    if not path.startswith(b"/"):
        path = _origin_form(path)
    return _remembered(path) if len(path) <= _REMEMBERED else _look_up(path)


def _origin_form(url: bytes) -> bytes:
    """RFC 9112, section 3.2.2: a server must accept `http://host/path` too."""
    scheme, _, rest = url.partition(b"://")
    if scheme.lower() not in (b"http", b"https"):
        return b""
    authority, slash, path = rest.partition(b"/")
    return slash + path if authority and slash else b"/" if authority else b""


@lru_cache(maxsize=1024)
def _remembered(path: bytes) -> Target | None:
    return _look_up(path)


def _look_up(path: bytes) -> Target | None:
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    match path.split(b"/"):
        case [b"", b"v2", b"models", model, *rest]:
            return _v2_model(model, rest)
        case [b"", b"v1", b"models", name]:
            model, colon, verb = name.rpartition(b":")
            if not colon:
                return _named(Asks.V1_MODEL, name, None)
            return _named(Asks.PREDICT, model, None) if verb == b"predict" else None
    return None


_BELOW_MODEL = {(): Asks.MODEL, (b"",): Asks.MODEL, (b"ready",): Asks.MODEL_READY, (b"infer",): Asks.INFER}


def _v2_model(model: bytes, rest: list[bytes]) -> Target | None:
    version = rest[1] if rest[:1] == [b"versions"] and len(rest) > 1 else None
    asks = _BELOW_MODEL.get(tuple(rest if version is None else rest[2:]))
    return None if asks is None else _named(asks, model, version)


def _named(asks: Asks, quoted: bytes, version: bytes | None) -> Target | None:
    # Split before unquoting: a name may contain a quoted slash.
    try:
        model = unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return None
    if not model:
        return None
    if version is None:
        return Target(asks, model)
    if not version.isdigit() or len(version) > _MAX_DIGITS:
        return None
    return Target(asks, model, int(version))
