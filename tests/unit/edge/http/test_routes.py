"""Which paths are answered, and as what."""

from __future__ import annotations

import pytest

from serving.edge.http.routes import ROUTES, Asks, Target, spelled_out, target_of


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (b"/", Target(Asks.ALIVE)),
        (b"/v2", Target(Asks.SERVER)),
        (b"/v2/", Target(Asks.SERVER)),
        (b"/v2/health/live", Target(Asks.LIVE)),
        (b"/v2/health/ready", Target(Asks.READY)),
        (b"/v2/models", Target(Asks.MODELS)),
        (b"/v2/models/a", Target(Asks.MODEL, "a")),
        (b"/v2/models/a/versions/7", Target(Asks.MODEL, "a", 7)),
        (b"/v2/models/a/ready", Target(Asks.MODEL_READY, "a")),
        (b"/v2/models/a/versions/7/ready", Target(Asks.MODEL_READY, "a", 7)),
        (b"/v2/models/a/infer", Target(Asks.INFER, "a")),
        (b"/v2/models/a/versions/7/infer", Target(Asks.INFER, "a", 7)),
        (b"/v2/models/a/config", Target(Asks.CONFIG, "a")),
        (b"/v2/models/a/versions/7/config", Target(Asks.CONFIG, "a", 7)),
        (b"/v2/models/stats", Target(Asks.STATISTICS)),
        (b"/v2/models/a/stats", Target(Asks.STATISTICS, "a")),
        (b"/v2/models/a/versions/7/stats", Target(Asks.STATISTICS, "a", 7)),
        (b"/v2/repository/index", Target(Asks.INDEX)),
        (b"/v2/repository/models/a/load", Target(Asks.LOAD, "a")),
        (b"/v2/repository/r/models/a/load", Target(Asks.LOAD, "a")),
        (b"/v2/repository/models/a/unload", Target(Asks.UNLOAD, "a")),
        (b"/v2/logging", Target(Asks.LOGGING)),
        (b"/v2/models/a/", Target(Asks.MODEL, "a")),
        (b"/v2/models/", Target(Asks.MODELS)),
        (b"/v2/health/ready/", Target(Asks.READY)),
        (b"/v1/models", Target(Asks.V1_MODELS)),
        (b"/v1/models/a", Target(Asks.V1_MODEL, "a")),
        (b"/v1/models/a:predict", Target(Asks.PREDICT, "a")),
        (b"/v1/models/a:b:predict", Target(Asks.PREDICT, "a:b")),
        (b"/v2/models/a?verbose=1", Target(Asks.MODEL, "a")),
        (b"http://example.com/v2/models/a", Target(Asks.MODEL, "a")),
        (b"HTTP://example.com:80/v2", Target(Asks.SERVER)),
        (b"http://example.com", Target(Asks.ALIVE)),
    ],
)
def test_paths_are_understood(url: bytes, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    ("quoted", "name"),
    [(b"a%20b", "a b"), (b"a%2Fb", "a/b"), ("ü".encode(), "ü"), (b"%C3%BC", "ü"), (b"100%25", "100%"), (b"a%", "a%")],
)
def test_model_names_are_unquoted_after_the_path_is_split(quoted: bytes, name: str) -> None:
    assert target_of(b"/v2/models/" + quoted + b"/infer") == Target(Asks.INFER, name)
    assert target_of(b"/v1/models/" + quoted + b":predict") == Target(Asks.PREDICT, name)


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"*",
        b"example.com:80",
        b"http:///v2",
        b"ftp://example.com/v2",
        b"/v3",
        b"/v2/health",
        b"//",
        b"/v2/models//",
        b"/v2/models//infer",
        b"/v2/repository",
        b"/v2/repository/models//load",
        b"/v2/trace/setting",
        b"/v2/models/%FF/infer",
        b"/v2/models/a/versions",
        b"/v2/models/a/versions/x/infer",
        b"/v2/models/a/versions/-1/infer",
        b"/v2/models/a/versions/" + b"9" * 5000 + b"/infer",
        b"/v2/models/a/infer/more",
        b"/v1/models/a:explain",
        b"/v1/models/:predict",
    ],
)
def test_other_paths_are_not_answered(url: bytes) -> None:
    assert target_of(url) is None


def test_every_path_of_the_table_is_answered_as_the_table_says() -> None:
    for route in ROUTES:
        for path in spelled_out(route):
            target = target_of(path.format(model="m", version=1, repository="r").encode())
            assert target is not None, path
            assert (target.asks, target.methods) == (route.asks, route.methods)
