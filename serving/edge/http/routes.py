"""Path to what is asked for: every path the data port answers stands in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

# A version with more digits than this does not exist; int() of thousands of digits is slow.
_MAX_DIGITS = 18
# Longer paths are looked up without being remembered, so that the memory of the cache is bounded.
_REMEMBERED = 256
_READS = "GET, HEAD"


class Asks(Enum):
    """What a path asks for."""

    ALIVE = auto()
    SERVER = auto()
    LIVE = auto()
    READY = auto()
    MODELS = auto()
    MODEL = auto()
    MODEL_READY = auto()
    CONFIG = auto()
    STATISTICS = auto()
    INFER = auto()
    INDEX = auto()
    LOAD = auto()
    UNLOAD = auto()
    LOGGING = auto()
    OPENAPI = auto()
    V1_MODELS = auto()
    V1_MODEL = auto()
    PREDICT = auto()

    # A member is looked up five times for each head; Enum's own hash is that of its name and takes 0.1 us.
    __hash__ = object.__hash__


PREDICTIONS = frozenset((Asks.INFER, Asks.PREDICT))
# Answered by the session as a whole: the answer comes later, and a body may come with the question.
SESSION = frozenset((Asks.STATISTICS, Asks.INDEX, Asks.LOAD, Asks.UNLOAD, Asks.LOGGING))
# Refused before their bodies are read where the token is missing.
CHANGES = frozenset((Asks.LOAD, Asks.UNLOAD))
# Only a load may bring files; the bodies of the others are read on the loop.
SHORT_BODIES = SESSION - {Asks.LOAD}


class Route(NamedTuple):
    """A path and what it asks for; what stands in brackets may be left out, `methods` is what an Allow header says."""

    path: str
    asks: Asks
    methods: str = _READS


ROUTES = (
    Route("/", Asks.ALIVE),
    Route("/v2", Asks.SERVER),
    Route("/v2/health/live", Asks.LIVE),
    Route("/v2/health/ready", Asks.READY),
    Route("/v2/models", Asks.MODELS),
    Route("/v2/models/stats", Asks.STATISTICS),
    Route("/v2/models/{model}[/versions/{version}]", Asks.MODEL),
    Route("/v2/models/{model}[/versions/{version}]/ready", Asks.MODEL_READY),
    Route("/v2/models/{model}[/versions/{version}]/config", Asks.CONFIG),
    Route("/v2/models/{model}[/versions/{version}]/stats", Asks.STATISTICS),
    Route("/v2/models/{model}[/versions/{version}]/infer", Asks.INFER, "POST"),
    Route("/v2/repository/index", Asks.INDEX, "POST"),
    Route("/v2/repository[/{repository}]/models/{model}/load", Asks.LOAD, "POST"),
    Route("/v2/repository[/{repository}]/models/{model}/unload", Asks.UNLOAD, "POST"),
    Route("/v2/logging", Asks.LOGGING, "GET, HEAD, POST"),
    Route("/v2/openapi.json", Asks.OPENAPI),
    Route("/v1/models", Asks.V1_MODELS),
    Route("/v1/models/{model}:predict", Asks.PREDICT, "POST"),
    Route("/v1/models/{model}", Asks.V1_MODEL),
)

_METHODS = {route.asks: route.methods for route in ROUTES}
_TAKEN = {route.asks: frozenset(route.methods.encode().split(b", ")) for route in ROUTES}


class Target(NamedTuple):
    """A path understood: `model` is "" where none is named, `version` None where the route decides."""

    asks: Asks
    model: str = ""
    version: int | None = None

    @property
    def methods(self) -> str:
        """What an Allow header says."""
        return _METHODS[self.asks]

    def takes(self, method: bytes) -> bool:
        """Whether the path is served by this method."""
        return method in _TAKEN[self.asks]


def target_of(url: bytes) -> Target | None:
    """What a request's URL asks for, in origin or absolute form; None where nothing answers."""
    path = url.partition(b"?")[0].partition(b"#")[0]
    if not path.startswith(b"/"):
        path = _origin_form(path)
    return _remembered(path) if len(path) <= _REMEMBERED else _look_up(path)


def spelled_out(route: Route) -> Iterator[str]:
    """The route's paths, with and without what may be left out."""
    before, bracket, rest = route.path.partition("[")
    optional, _, after = rest.partition("]")
    if bracket:
        yield before + after
    yield before + optional + after


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
    # Clients send /v2/ and /v2/models/m/ as well.
    segments = (path if path in (b"/", b"//") else path.removesuffix(b"/")).split(b"/")
    for shape, asks in _SHAPES.get(len(segments), ()):
        named = _matched(shape, segments)
        if named is not None:
            return _named(asks, named)
    return None


def _shapes() -> Mapping[int, list[tuple[tuple[bytes, ...], Asks]]]:
    """The table's paths by their number of segments, in the table's order."""
    shapes: dict[int, list[tuple[tuple[bytes, ...], Asks]]] = {}
    for route in ROUTES:
        for path in spelled_out(route):
            segments = tuple(path.encode().split(b"/"))
            shapes.setdefault(len(segments), []).append((segments, route.asks))
    return shapes


_SHAPES = _shapes()


def _matched(shape: tuple[bytes, ...], segments: list[bytes]) -> dict[bytes, bytes] | None:
    """What stands for the names in braces; None where the path is another one."""
    named = {}
    for wanted, given in zip(shape, segments, strict=True):
        if not wanted.startswith(b"{"):
            if wanted != given:
                return None
            continue
        name, _, verb = wanted[1:].partition(b"}")
        if verb and not given.endswith(verb):
            return None
        named[name] = given.removesuffix(verb)
    return named


def _named(asks: Asks, named: Mapping[bytes, bytes]) -> Target | None:
    quoted, version = named.get(b"model"), named.get(b"version")
    if quoted is None:
        return Target(asks)
    # Split before unquoting: a name may contain a quoted slash.
    try:
        model = unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return None
    if not model or (asks is Asks.V1_MODEL and b":" in quoted):
        return None
    if version is None:
        return Target(asks, model)
    if not version.isdigit() or len(version) > _MAX_DIGITS:
        return None
    return Target(asks, model, int(version))
