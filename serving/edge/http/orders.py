"""What only the session as a whole can answer, and later: statistics, the repository of models, the log."""

from __future__ import annotations

import asyncio
import binascii
import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import orjson

from serving.edge.http.answers import json_answer, refusal_of, refused
from serving.edge.http.edge import Edge
from serving.edge.http.exchange import Exchange
from serving.edge.http.request_head import RequestHead
from serving.edge.http.routes import Asks
from serving.edge.statistics import statistics_document
from serving.errors import BadRequest, ModelFailed, ServingError
from serving.request_path.administration import LoadOrder
from serving.telemetry.log import LogSettings

log = logging.getLogger(__name__)

_FILE = "file:"
# A change of the log that changes nothing: it only asks.
_NO_CHANGE = (b"", b"{}")

Parameters = Mapping[str, object]


def begin(edge: Edge, exchange: Exchange, head: RequestHead, body: bytes) -> None:
    """Answer the exchange when the session has; a caller who leaves ends nothing that was begun."""
    task = asyncio.get_running_loop().create_task(_answer(edge, exchange, head, body))
    edge.orders.add(task)
    task.add_done_callback(edge.orders.discard)


async def _answer(edge: Edge, exchange: Exchange, head: RequestHead, body: bytes) -> None:
    try:
        answer = json_answer(200, orjson.dumps(await _HANDLERS[head.target.asks](edge, head, body)))
    except ServingError as error:
        edge.observer.refused("", error.reason, head.context)
        answer = refused(refusal_of(error))
    except Exception:
        # Our own mistake costs this request its answer, not its connection a hang.
        log.exception("%s could not be answered", head.target.asks)
        answer = refused(refusal_of(ModelFailed("the gateway failed on this request; its log says why")))
    if not exchange.gone:
        exchange.give(answer)


async def _statistics(edge: Edge, head: RequestHead, _body: bytes) -> object:
    target = head.target
    used = await edge.predictions.administration.statistics(target.model, target.version)
    # In a thread: of a thousand versions it is much.
    return await asyncio.to_thread(statistics_document, used)


async def _index(edge: Edge, _head: RequestHead, body: bytes) -> object:
    ready_only = _object(body).get("ready", False)
    if type(ready_only) is not bool:
        raise BadRequest("`ready` must be true or false")
    return [
        {"name": entry.model, "version": entry.version, "state": entry.state, "reason": entry.reason}
        for entry in await edge.predictions.administration.index()
        if entry.state == "READY" or not ready_only
    ]


async def _load(edge: Edge, head: RequestHead, body: bytes) -> object:
    # `permit` was asked at the head. In a thread: files make it large, and predictions do not wait for what is read.
    order = await asyncio.to_thread(load_order, head.target.model, body)
    await edge.predictions.administration.load(order)
    return {}


async def _unload(edge: Edge, head: RequestHead, body: bytes) -> object:
    for name, value in _parameters(body).items():
        # No model here depends on another one, so that none of them is left alone either way.
        if name != "unload_dependents" or type(value) is not bool:
            raise BadRequest(f"unload takes the parameter unload_dependents (true or false), got {name!r}")
    await edge.predictions.administration.unload(head.target.model)
    return {}


async def _logging(edge: Edge, head: RequestHead, body: bytes) -> object:
    administration = edge.predictions.administration
    if body.strip() not in _NO_CHANGE:
        administration.permit(head.authorization)
    change = _object(body)
    settings = await administration.log_settings()
    if change:
        settings = changed_log(settings, change)
        await administration.change_log(settings)
    return log_document(settings)


def load_order(model: str, body: bytes) -> LoadOrder:
    """The body of a load: a configuration, files, or nothing.

    Raises:
        BadRequest: names the parameter and what would be right.
    """
    config, files = "", {}
    for name, value in _parameters(body).items():
        if type(value) is not str:
            raise BadRequest(f"parameter {name!r} must be a string")
        if name == "config":
            config = value
        elif name.startswith(_FILE):
            files[name.removeprefix(_FILE)] = _decoded(name, value)
        else:
            raise BadRequest(f"unknown parameter {name!r}; load takes config, and file:<version>/<path>")
    return LoadOrder(model, config, files)


def changed_log(settings: LogSettings, change: Mapping[str, object]) -> LogSettings:
    """The settings with what a client wants of them.

    Raises:
        BadRequest: a setting that does not exist, cannot be changed, or has another type.
    """
    document = log_document(settings)
    for name, value in change.items():
        if name not in document:
            raise BadRequest(f"there is no log setting {name!r}; known are {', '.join(document)}")
        if name in _FIXED_LOG and value != document[name]:
            raise BadRequest(f"{name} cannot be changed here; the log goes to standard error of `sluice up`")
        if type(value) is not type(document[name]) or (type(value) is int and value < 0):
            raise BadRequest(f"{name} must be like {document[name]!r}, got {value!r:.80}")
    wanted = {**document, **change}
    return replace(
        settings,
        info=bool(wanted["log_info"]),
        warning=bool(wanted["log_warning"]),
        error=bool(wanted["log_error"]),
        verbose=int(str(wanted["log_verbose_level"])),
    )


_FIXED_LOG = frozenset(("log_file", "log_format"))


def log_document(settings: LogSettings) -> dict[str, object]:
    """The whole settings object of the logging extension."""
    return {
        "log_file": "",
        "log_info": settings.info,
        "log_warning": settings.warning,
        "log_error": settings.error,
        "log_verbose_level": settings.verbose,
        "log_format": "default",
    }


def _decoded(name: str, text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"parameter {name!r} must be base64: {error}") from None


def _parameters(body: bytes) -> Parameters:
    document = _object(body)
    parameters = document.get("parameters", {})
    if type(parameters) is not dict:
        raise BadRequest("`parameters` must be an object")
    return parameters


def _object(body: bytes) -> dict[str, object]:
    """The JSON object in a body; an empty body is an empty one."""
    if not body.strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise BadRequest("the body must be a JSON object")
    return document


_HANDLERS: Mapping[Asks, Callable[[Edge, RequestHead, bytes], Awaitable[object]]] = {
    Asks.STATISTICS: _statistics,
    Asks.INDEX: _index,
    Asks.LOAD: _load,
    Asks.UNLOAD: _unload,
    Asks.LOGGING: _logging,
}
