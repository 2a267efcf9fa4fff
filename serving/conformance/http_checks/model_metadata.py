"""What a model is fed with and answers, as its metadata says."""

from __future__ import annotations

from serving.conformance.check import Check, Severity, Skipped, expect
from serving.conformance.datatypes import DATATYPES
from serving.conformance.exchange import Answer
from serving.conformance.http_checks.sources import HTTP, OIP
from serving.conformance.served_model import specs_of
from serving.conformance.server import Server, path_of

_CLIENT_ERROR, _NOT_FOUND = 400, 404


def _form(server: Server) -> None:
    for model in server.models:
        document = server.good(path_of(model.name)).object()
        expect(document.get("name") == model.name, f"`name` must be {model.name!r}, got {document.get('name')!r}")
        expect(
            isinstance(document.get("platform"), str), f"`platform` must be a string, got {document.get('platform')!r}"
        )
        for side in ("inputs", "outputs"):
            entries = document.get(side)
            expect(isinstance(entries, list) and entries, f"`{side}` must be an array of tensors, got {entries!r}")
            for entry in entries or []:
                named = isinstance(entry, dict) and isinstance(entry.get("name"), str)
                expect(named, f"`{side}` has a tensor without a name: {entry!r}")


def _datatypes(server: Server) -> None:
    for side, entry in _tensors(server):
        known = entry.get("datatype") in DATATYPES
        expect(known, f"`{side}`: {entry.get('datatype')!r} of {entry.get('name')!r} is no datatype of the protocol")


def _shapes(server: Server) -> None:
    for side, entry in _tensors(server):
        shape = entry.get("shape")
        whole = isinstance(shape, list) and all(type(size) is int and size >= -1 for size in shape)
        expect(whole, f"`{side}`: the shape of {entry.get('name')!r} must be integers of -1 or more, got {shape!r}")


def _known(server: Server) -> None:
    ours = [one for one in server.models if one.known]
    if not ours:
        raise Skipped("none of the suite's own models is served (--write-models writes them)")
    for model in ours:
        known = model.known.graph if model.known else None
        document = server.good(path_of(model.name)).object()
        for side, specs in (("inputs", known.inputs if known else ()), ("outputs", known.outputs if known else ())):
            got = {one.name: one for one in specs_of(document.get(side))}
            for spec in specs:
                # What cannot be read at all has checks of its own.
                differs = spec.name in got and got[spec.name] != spec
                expect(not differs, f"`{side}` of {model.name} must have {spec}, got {got.get(spec.name)}")


def _versions(server: Server) -> None:
    for model in server.models:
        versions = server.good(path_of(model.name)).object().get("versions")
        strings = versions is None or (isinstance(versions, list) and all(isinstance(one, str) for one in versions))
        expect(strings, f"`versions` of {model.name} must be an array of strings, got {versions!r}")


def _versioned(server: Server) -> None:
    model, version = server.versioned_model()
    document = server.good(path_of(model.name, version)).object()
    unversioned = server.good(path_of(model.name)).object()
    for field in ("name", "inputs", "outputs"):
        expect(
            document.get(field) == unversioned.get(field), f"`{field}` by version differs: {document.get(field)!r:.200}"
        )


def _unknown_model(server: Server) -> None:
    _refused(server.get(path_of("oip-no-such-model")), "a model that is not there")


def _unknown_version(server: Server) -> None:
    _refused(server.get(path_of(server.any_model().name, "987654321")), "a version that is not there")


def _unknown_is_404(server: Server) -> None:
    for path in (path_of("oip-no-such-model"), path_of(server.any_model().name, "987654321")):
        answer = server.get(path)
        refused_otherwise = answer.status >= _CLIENT_ERROR and answer.status != _NOT_FOUND
        expect(not refused_otherwise, f"GET {path} is answered {answer.status}, not 404")


def _quoted(server: Server) -> None:
    name = server.any_model().name
    quoted = f"%{ord(name[0]):02X}{name[1:]}"
    document = server.good(f"/v2/models/{quoted}").object()
    expect(document.get("name") == name, f"the model by {quoted!r} is {document.get('name')!r}, not {name!r}")


def _tensors(server: Server) -> list[tuple[str, dict[str, object]]]:
    found = []
    for model in server.models:
        document = server.good(path_of(model.name)).object()
        for side in ("inputs", "outputs"):
            found += [(side, entry) for entry in document.get(side) or [] if isinstance(entry, dict)]
    return found


def _refused(answer: Answer, what: str) -> None:
    expect(answer.status >= _CLIENT_ERROR, f"{what} is answered {answer.status}")


CHECKS = (
    Check("http.model.metadata", "Metadata has name, platform, inputs and outputs, each with a name.", OIP, _form),
    Check("http.model.datatypes", "Every datatype in metadata is one of the protocol's.", OIP, _datatypes),
    Check("http.model.shapes", "Every shape in metadata is integers, -1 where the size is open.", OIP, _shapes),
    Check("http.model.known", "Metadata of the suite's own models is what their graphs say.", OIP, _known),
    Check("http.model.versions", "`versions`, where it is there, is an array of strings.", OIP, _versions),
    Check("http.model.versioned", "A listed version has metadata at its own path.", OIP, _versioned),
    Check("http.model.unknown", "Metadata of a model that is not there is an error.", OIP, _unknown_model),
    Check("http.model.unknown-version", "Metadata of a version that is not there is an error.", OIP, _unknown_version),
    Check(
        "http.model.unknown.404",
        "What is not there is 404, so that callers tell it from a bad request.",
        HTTP + ", 15.5.5",
        _unknown_is_404,
        Severity.RECOMMENDED,
    ),
    Check("http.model.quoted", "A percent-encoded letter of a name is that letter.", "RFC 3986, 6.2.2.2", _quoted),
)
