"""Where the cluster is: said in one piece, to this user alone, and taken back."""

from __future__ import annotations

from pathlib import Path

from serving.processes import cluster_address


def test_the_newest_address_is_read_by_this_user_alone(tmp_path: Path) -> None:
    assert cluster_address.read(tmp_path) == ""
    for address in ("127.0.0.1:1", "127.0.0.1:2"):
        cluster_address.tell(tmp_path, address)
        assert cluster_address.read(tmp_path) == address
    (kept,) = tmp_path.iterdir()
    assert (kept.name, kept.stat().st_mode & 0o777) == ("ray-address", 0o600)
    cluster_address.forget(tmp_path)
    assert cluster_address.read(tmp_path) == ""
    cluster_address.forget(tmp_path)
