"""Who may read and who may change."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import pytest

from serving.control.auth import is_loopback, refusal, token_in
from serving.errors import ConfigInvalid

TOKEN = "0123456789abcdefXYZ"
HERE = "127.0.0.1:8000"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000", "127.8.8.8", "LOCALHOST."]
)
def test_this_machine_reads_without_the_token(host: str) -> None:
    assert refusal("127.0.0.1", TOKEN, "GET", host, "") is None


@pytest.mark.parametrize("host", ["", "evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "10.0.0.1", "[", "::1"])
def test_a_page_that_points_a_name_of_its_own_at_this_machine_reads_nothing(host: str) -> None:
    refused = refusal("127.0.0.1", TOKEN, "GET", host, f"Bearer {TOKEN}")
    assert refused is not None
    assert refused[0] == 403


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer ü"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "ANYTHING"])
def test_a_change_needs_the_token(method: str, given: str) -> None:
    refused = refusal("127.0.0.1", TOKEN, method, HERE, given)
    assert refused is not None
    assert refused[0] == 401
    assert TOKEN not in refused[1]


def test_with_the_token_everything_goes() -> None:
    assert refusal("127.0.0.1", TOKEN, "POST", HERE, f"Bearer {TOKEN}") is None
    assert refusal("0.0.0.0", TOKEN, "POST", "anything", f"bearer {TOKEN}") is None


def test_who_can_only_be_given_an_address_has_the_token_in_it() -> None:
    for user in ("", "flagger"):
        given = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()
        assert refusal("0.0.0.0", TOKEN, "POST", "anything", f"Basic {given}") is None
    for wrong in (f"u:{TOKEN}x", TOKEN, "", ":", "u:ü"):
        given = base64.b64encode(wrong.encode()).decode()
        refused = refusal("0.0.0.0", TOKEN, "POST", "anything", f"Basic {given}")
        assert refused is not None
        assert refused[0] == 401


def test_reading_needs_the_token_where_others_reach_the_server() -> None:
    for bound_to in ("0.0.0.0", "::", "10.1.2.3", "gateway.example"):
        assert not is_loopback(bound_to)
        refused = refusal(bound_to, TOKEN, "GET", HERE, "")
        assert refused is not None
        assert refused[0] == 401


def test_the_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "control-token"
    token = token_in(file)
    assert len(token) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert token_in(file) == token
    assert [path.name for path in file.parent.iterdir()] == ["control-token"]


def test_sessions_that_start_at_once_hold_the_same_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"

    def late(_: int) -> str:
        file.write_text(f"{TOKEN}\n")
        return "the-one-that-came-second"

    monkeypatch.setattr(secrets, "token_urlsafe", late)
    assert token_in(file) == TOKEN
    assert file.read_text() == f"{TOKEN}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_token_that_was_given_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_in(file) == TOKEN


@pytest.mark.parametrize("text", ["", "short", "two words of a token, long", "x" * 15, "ü" * 20])
def test_a_file_without_a_token_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(ConfigInvalid, match=r"control\.token_file"):
        token_in(file)
    assert file.read_text() == text
