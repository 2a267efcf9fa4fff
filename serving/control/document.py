"""The OpenAPI document as it holds for this server: who needs the token, and no answer that it never gives."""

from __future__ import annotations

from typing import Any

_SCHEME = "token"
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The token of the session; `sluice up` says in which file it is.",
}
# What the framework believes of wrong parameters; here they are a 400 like every other wrong request.
_NOT_OURS = frozenset({"HTTPValidationError", "ValidationError"})


def truthful(document: dict[str, Any], *, local: bool) -> dict[str, Any]:
    """The framework's document mended in place; `local`: the server is bound to loopback, where reading is free."""
    schemas = document["components"]["schemas"]
    for name in _NOT_OURS & set(schemas):
        del schemas[name]
    document["components"]["securitySchemes"] = {_SCHEME: _BEARER}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _mend(operation, free=local and method == "get", local=local)
    return document


def _mend(operation: dict[str, Any], *, free: bool, local: bool) -> None:
    answers = operation["responses"]
    if free:
        del answers["401"]
    else:
        operation["security"] = [{_SCHEME: []}]
    if not local:
        del answers["403"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
