"""The server under test as checks see it: ask it, and choose a model that fits what is to be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from serving.conformance.check import Failed, Skipped
from serving.conformance.exchange import Answer
from serving.conformance.grpc_client import GrpcClient
from serving.conformance.http_client import HttpClient
from serving.conformance.infer_message import JSON_TYPE, binary_body, json_body, outputs_of
from serving.conformance.known_models import identity_name
from serving.conformance.served_model import ServedModel
from serving.conformance.tensors import Tensor

NO_GRPC = "--grpc was not given"


@dataclass(frozen=True, slots=True)
class Server:
    """`token` is set where models may be loaded and unloaded; `grpc` is where gRPC is served."""

    http: HttpClient
    models: Sequence[ServedModel]
    extensions: frozenset[str] = frozenset()
    token: str | None = None
    grpc: GrpcClient | None = None
    identity: Mapping[str, object] = field(default_factory=dict)

    def rpc(self) -> GrpcClient:
        """The client of its gRPC.

        Raises:
            Skipped: nobody said where it serves gRPC.
        """
        if self.grpc is None:
            raise Skipped(NO_GRPC)
        return self.grpc

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return self.http.ask("GET", path, headers=headers)

    def post(self, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """POST, as JSON unless other headers are given."""
        return self.http.ask("POST", path, body, JSON_TYPE if headers is None else headers)

    def close(self) -> None:
        """Give both connections back."""
        self.http.close()
        if self.grpc is not None:
            self.grpc.close()

    def good(self, path: str) -> Answer:
        """GET what must be a 200.

        Raises:
            Failed: it is none.
        """
        answer = self.get(path)
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise Failed(f"GET {path} is answered {answer.status}, not 200")
        return answer

    def infer(
        self, model: ServedModel, body: bytes, headers: Mapping[str, str] | None = None, version: str | None = None
    ) -> Answer:
        """POST to a model's infer path."""
        return self.post(f"{path_of(model.name, version)}/infer", body, headers)

    def infer_json(self, model: ServedModel, inputs: Sequence[Tensor], **fields: object) -> dict[str, Tensor]:
        """Data in JSON; the outputs of a 200."""
        return outputs_of(self.infer(model, json_body(inputs, **fields)))

    def infer_binary(self, model: ServedModel, inputs: Sequence[Tensor], **fields: object) -> Answer:
        """Data behind the JSON; any answer."""
        body, headers = binary_body(inputs, **fields)
        return self.infer(model, body, headers)

    def choose(self, what: str, fits: Callable[[ServedModel], bool]) -> ServedModel:
        """The first model that fits, the suite's own first.

        Raises:
            Skipped: none does.
        """
        for model in sorted(self.models, key=_least_odd):
            if fits(model):
                return model
        raise Skipped(f"no model {what}")

    def any_model(self) -> ServedModel:
        """A model that JSON can ask."""
        return self.choose("that JSON can ask", lambda one: one.in_json and bool(one.inputs))

    def known_model(self, name: str) -> ServedModel:
        """One of the suite's own models."""
        return self.choose(
            f"{name!r} is served (--write-models writes it)", lambda one: one.name == name and one.known is not None
        )

    def identity_model(self, datatype: str) -> ServedModel:
        """The suite's own model that answers values of this datatype with themselves."""
        return self.known_model(identity_name(datatype))

    def row_model(self) -> ServedModel:
        """A known model that takes several rows."""
        return self.choose(
            "of the suite's own that takes several rows", lambda one: one.rows and one.known is not None and one.in_json
        )

    def several_inputs(self) -> ServedModel:
        """A model with several inputs that are all needed."""
        return self.choose(
            "with several inputs",
            lambda one: len(one.inputs) > 1 and one.in_json and not (one.known and one.known.optional),
        )

    def several_outputs(self) -> ServedModel:
        """A model with several outputs."""
        return self.choose("with several outputs", lambda one: len(one.outputs) > 1 and one.in_json)

    def versioned_model(self) -> tuple[ServedModel, str]:
        """A model and a version that its metadata lists."""
        model = self.choose("whose metadata lists versions", lambda one: bool(one.versions) and one.in_json)
        return model, model.versions[-1]


def _least_odd(model: ServedModel) -> tuple[bool, bool]:
    return model.known is None, model.name != identity_name("FP32")


def path_of(model: str, version: str | None = None) -> str:
    """Where a model, or a version of it, is found."""
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"
