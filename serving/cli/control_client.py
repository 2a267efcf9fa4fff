"""The control API of a running session as the commands ask it: found by the port of predictions, or by its address."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from serving.cli.failure import CommandFailed, not_reachable, wrong_usage
from serving.cli.gateway_client import GatewayClient, Reply
from serving.cli.session_screen import control_url
from serving.processes import running_sessions

_OK = 200
# Large models take their time, in the process that tries them and in the ones that serve them.
_TIMEOUT_S = 300.0
_READ_WITHIN_S = 10.0
TOKEN_VARIABLE = "SLUICE_CONTROL_TOKEN"  # noqa: S105 - a name, not a secret


@dataclass(frozen=True, slots=True)
class ControlClient:
    """Asks with the token."""

    url: str
    token: str

    def change_model(self, model: str, verb: str, query: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """What became of `load` or `unload`.

        Raises:
            CommandFailed: it was refused, or nothing answers.
        """
        if "/" in model or not model:
            raise wrong_usage(f"{model!r} is no model's name; it is that of a folder in the repository")
        given = {name: value for name, value in query.items() if value is not None}
        path = f"/api/v1/models/{quote(model, safe='')}:{verb}?{urlencode(given)}"
        client = GatewayClient(self.url, _TIMEOUT_S)
        reply = client.order(path, {"authorization": f"Bearer {self.token}"})
        client.close()
        return self._worked(reply)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What is read there.

        Raises:
            CommandFailed: it was refused, or nothing answers.
        """
        client = GatewayClient(self.url, _READ_WITHIN_S)
        reply = client.ask("GET", f"/api/v1{path}", headers={"authorization": f"Bearer {self.token}"})
        client.close()
        return self._worked(reply)

    def post(self, path: str, query: Mapping[str, object], body: object = None) -> Any:  # noqa: ANN401 - JSON
        """What became of an order.

        Raises:
            CommandFailed: it was refused, or nothing answers.
        """
        given = urlencode({name: value for name, value in query.items() if value is not None})
        client = GatewayClient(self.url, _TIMEOUT_S)
        content = b"" if body is None else orjson.dumps(body)
        kind = {"content-type": "application/json"} if content else {}
        headers = {"authorization": f"Bearer {self.token}", **kind}
        shown_by = "sluice rollout status" if "/rollouts" in path else "sluice models list"
        reply = client.order(f"/api/v1{path}?{given}", headers, content, shown_by)
        client.close()
        return self._worked(reply)

    def batching(self, model: str) -> Any:  # noqa: ANN401 - JSON
        """How a model is batched just now.

        Raises:
            CommandFailed: there is no such model, or nothing answers.
        """
        client = GatewayClient(self.url, _READ_WITHIN_S)
        path = f"/api/v1/models/{quote(model, safe='')}/batching"
        reply = client.ask("GET", path, headers={"authorization": f"Bearer {self.token}"})
        client.close()
        return self._worked(reply)

    def _worked(self, reply: Reply) -> Any:  # noqa: ANN401 - JSON
        if reply.status == _OK and isinstance(reply.body, dict):
            return reply.body
        if isinstance(reply.body, dict) and "error" in reply.body:
            raise CommandFailed(str(reply.body["error"]))
        raise CommandFailed(f"{self.url} answered {reply.status} and is no control API; `sluice up` says where it is")


def control_client(http_port: int, url: str | None, token_file: Path | None) -> ControlClient:
    """The session of this user on that port, unless an address is given.

    The token is that of a file that is named, else the environment's, else the session's own.

    Raises:
        CommandFailed: no such session runs, it serves no control API, or no token is known for it.
    """
    if url is not None:
        return ControlClient(url, _token(token_file, None))
    running = running_sessions.find(http_port)
    if running is None:
        others = ", ".join(str(one.http_port) for one in running_sessions.sessions())
        hint = f"name another one with --http-port: {others}" if others else "`sluice up` starts one"
        raise not_reachable(f"no session of yours runs on port {http_port}; {hint}")
    if running.control_port is None:
        raise not_reachable(f"the session on port {http_port} serves no control API; start it with control.port set")
    return ControlClient(control_url(running), _token(token_file, Path(running.token_file)))


def _token(named: Path | None, of_session: Path | None) -> str:
    given = os.environ.get(TOKEN_VARIABLE, "")
    if named is None and given:
        return _one_word(given, TOKEN_VARIABLE)
    file = named or of_session
    if file is None:
        raise wrong_usage(f"name the token's file with --token-file, or set {TOKEN_VARIABLE}")
    return _one_word(_read(file), f"--token-file {file}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise wrong_usage(f"--token-file {file}: {error.strerror}") from error


def _one_word(text: str, place: str) -> str:
    token = text.strip()
    if not (token.isascii() and token.isprintable() and token and " " not in token):
        # What stands there may be a secret all the same, and is not repeated.
        raise wrong_usage(f"{place}: it holds no token, which is one word")
    return token
