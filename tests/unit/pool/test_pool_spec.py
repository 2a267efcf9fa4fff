"""What travels to a pool comes back as it was, without the secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.errors import ConfigInvalid
from serving.inference import VersionKey
from serving.pool.pool_spec import PoolSpec, dump, load, read_pools
from serving.pool.secret import read_secret
from serving.runtime.options import RuntimeOptions
from serving.runtime.source import ModelSource

SPEC = PoolSpec(
    "default",
    (
        ModelSource(
            VersionKey("a", 3),
            Path("/models/a/3/model.onnx"),
            RuntimeOptions(intra_op_threads=2, custom_op_libraries=("x.so",)),
            ({"x": [[1.0, 2.0]]},),
            "never",
            8,
        ),
    ),
    "unix:///run/c.sock",
    "/run",
    secret_path="/run/secret",
    environment={"A": "b"},
)


def test_a_spec_comes_back_as_it_was() -> None:
    assert load(json.loads(json.dumps(dump(SPEC)))) == SPEC


def test_the_engines_file_lists_pools() -> None:
    assert read_pools(json.dumps({"run_dir": "/run", "pools": [dump(SPEC)]})) == (SPEC,)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"pools": [{}]}', '{"pools": [{"name": "a", "sources": [], "z": 1}]}']
)
def test_what_describes_no_pools_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_pools(text)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")
    secret.chmod(0o644)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        read_secret(str(secret))
    secret.chmod(0o600)
    assert read_secret(str(secret)) == b"0123456789abcdef"


def test_a_missing_or_short_secret_is_refused_and_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_POOL_SECRET", "hush")
    with pytest.raises(ConfigInvalid) as refused:
        read_secret("")
    assert "hush" not in str(refused.value)
    with pytest.raises(ConfigInvalid):
        read_secret(str(tmp_path / "none"))
