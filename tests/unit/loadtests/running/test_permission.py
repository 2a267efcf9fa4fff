"""Who may be asked."""

from __future__ import annotations

import pytest

from loadtests.running.permission import check_own, check_target
from serving.errors import ConfigInvalid


@pytest.mark.parametrize("target", ["http://127.0.0.1:8080", "http://localhost:80/", "http://[::1]:9"])
def test_this_machine_may_be_asked(target: str) -> None:
    check_target(target, None)


def test_another_host_needs_its_name_said() -> None:
    with pytest.raises(ConfigInvalid, match=r"--yes-load 192\.0\.2\.1"):
        check_target("http://192.0.2.1:8080", None)
    with pytest.raises(ConfigInvalid, match=r"--yes-load 192\.0\.2\.1"):
        check_target("http://192.0.2.1:8080", "192.0.2.2")
    check_target("http://192.0.2.1:8080", "192.0.2.1")


@pytest.mark.parametrize("target", ["https://127.0.0.1", "http://127.0.0.1/path", "http://"])
def test_what_is_no_server_of_http_is_told_so(target: str) -> None:
    with pytest.raises(ConfigInvalid):
        check_target(target, None)


def test_nothing_here_is_broken_for_a_server_elsewhere() -> None:
    check_own("http://127.0.0.1:8080")
    with pytest.raises(ConfigInvalid, match=r"this machine, which 192\.0\.2\.1 is not"):
        check_own("http://192.0.2.1:8080")
