"""Puts the control app together: who may ask, the routes, errors in one form, and the pages for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from serving.control import api, feature_api, rollout_api
from serving.control.auth import is_loopback, refusal
from serving.control.document import truthful
from serving.control.feature_rows import FeatureRows
from serving.control.pages import documentation
from serving.control.rollouts import Rollouts
from serving.control.session import AskSession, ControlOptions
from serving.control.status import status_of
from serving.errors import ServingError

_UNPROCESSABLE = 400


def control_app(session: AskSession, options: ControlOptions) -> FastAPI:
    """The ASGI application; the outermost layer is who may ask, so that no route can be without it."""
    # Its own pages fetch scripts from elsewhere, which a closed network does not have.
    app = FastAPI(title="Sluice control API", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.session = session
    app.state.rows = FeatureRows(options.features_url, options.views)
    app.state.rollouts = Rollouts(options.control_url, session)
    app.include_router(api.router)
    app.include_router(rollout_api.router)
    app.include_router(feature_api.router)
    app.get("/docs", include_in_schema=False)(lambda: HTMLResponse(documentation(app.openapi())))
    _answer_errors(app)
    # All routes are there: the document that is kept now is the one that the framework gives from then on.
    app.openapi_schema = truthful(app.openapi(), local=is_loopback(options.host))

    @app.middleware("http")
    async def admit(request: Request, forward: Callable[[Request], Awaitable[Response]]) -> Response:
        headers = request.headers
        refused = refusal(
            options.host,
            options.token,
            request.method,
            headers.get("host", ""),
            headers.get("authorization", ""),
        )
        if refused is not None:
            return _error(*refused)
        return await forward(request)

    return app


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(ServingError)
    async def serving_error(_: Request, error: ServingError) -> Response:
        return _error(status_of(error), error.message)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        told = f"{request.method} {request.url.path}: {error.detail}; /docs lists what there is"
        # What else would have been right: RFC 9110 wants it with a 405.
        return _error(error.status_code, told, error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong_request(_: Request, error: RequestValidationError) -> Response:
        return _error(_UNPROCESSABLE, "; ".join(_in_words(one) for one in error.errors()))

    @app.exception_handler(Exception)
    async def surprise(_: Request, error: Exception) -> Response:
        return _error(500, f"{type(error).__name__}: {error}")


def _in_words(problem: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}"


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    if status == 401:  # noqa: PLR2004 - HTTP's word for who are you
        headers = {"www-authenticate": "Bearer"}
    return JSONResponse({"error": text}, status, headers)
