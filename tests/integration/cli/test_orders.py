"""Orders to a running session: sent once, with the token that was meant, and told while they last."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.testing.models import doubler, save
from tests.integration.cli.canned_gateway import Answers, canned_gateway
from tests.integration.cli.sluice_command import sluice, sluice_watched

TOKEN = "0123456789abcdefXYZ"
SECRET = "s3cr3t-of-somebody"
LOADED: Answers = {
    ("POST", "/api/v1/models/late:load?version=2"): (200, {"model": "late", "version": 2, "changed": True}),
    ("POST", "/api/v1/models/late:unload?version=2"): (200, {"model": "late", "versions": [2]}),
}
LOAD = ("models", "load", "late", "2", "--control-url")


@contextmanager
def forgetful() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes a request and closes without an answer; its address, and what it was sent."""
    taken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    taken.append(connection.recv(65_536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", taken
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_an_order_whose_answer_was_lost_is_not_sent_again() -> None:
    for order, shown_by in (
        (("models", "load", "late", "2"), "sluice models list"),
        (("models", "unload", "late", "2"), "sluice models list"),
        (("rollout", "freeze"), "sluice rollout status"),
    ):
        with forgetful() as (url, taken):
            ended = sluice(*order, "--control-url", url, SLUICE_CONTROL_TOKEN=TOKEN)
        assert ended.code == 3
        assert f"may have done it; `{shown_by}` shows it" in ended.err
        assert ended.err.count("\n") == 1
        assert len(taken) == 1


def test_a_question_whose_answer_was_lost_is_asked_again() -> None:
    with forgetful() as (url, taken):
        assert sluice("models", "list", "--url", url).code == 3
    assert len(taken) == 2


def test_a_token_file_that_is_named_is_taken_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with canned_gateway(LOADED) as (url, sent):
        assert sluice(*LOAD, url, "--token-file", str(file), SLUICE_CONTROL_TOKEN="stale-and-wrong").code == 0
        assert sluice(*LOAD, url, SLUICE_CONTROL_TOKEN=f" {SECRET}\n").code == 0
    assert [headers["authorization"] for _, headers, _ in sent] == [f"Bearer {TOKEN}", f"Bearer {SECRET}"]


def test_a_token_is_never_repeated(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for text in (f"{SECRET}\nmore", f"{SECRET} more", f"{SECRET}\x07", f"{SECRET}ü"):
        file.write_text(text, encoding="utf-8")
        with canned_gateway(LOADED) as (url, sent):
            by_name = sluice(*LOAD, url, "--token-file", str(file))
            by_environment = sluice(*LOAD, url, SLUICE_CONTROL_TOKEN=text)
        assert (by_name.code, by_environment.code, sent) == (2, 2, [])
        assert by_name.err == f"sluice: --token-file {file}: it holds no token, which is one word\n"
        assert by_environment.err == "sluice: SLUICE_CONTROL_TOKEN: it holds no token, which is one word\n"


def test_who_watches_sees_that_a_command_is_at_work_and_who_reads_does_not(tmp_path: Path) -> None:
    save(tmp_path, "doubler", 1, doubler())
    with canned_gateway(LOADED) as (url, _):
        for typed, told in (
            ((*LOAD, url), "loading late/2"),
            (("models", "unload", "late", "2", "--control-url", url), "unloading late/2"),
            (("models", "check", str(tmp_path)), f"checking {tmp_path}"),
        ):
            watched = sluice_watched(*typed, SLUICE_CONTROL_TOKEN=TOKEN, COLUMNS="200")
            assert (watched.code, told in watched.err) == (0, True), watched
            read = sluice(*typed, SLUICE_CONTROL_TOKEN=TOKEN)
            assert (read.code, read.err) == (0, "")
            as_json = sluice_watched(*typed, "--json", SLUICE_CONTROL_TOKEN=TOKEN)
            assert (as_json.code, as_json.err) == (0, "")
            assert json.loads(as_json.out)
