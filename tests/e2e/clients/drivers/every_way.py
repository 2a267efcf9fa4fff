"""Asks the same questions in every way that a tensor can travel: JSON, HTTP's binary extension, gRPC.

`python -m tests.e2e.clients.drivers.every_way QUESTIONS ANSWERS HTTP GRPC`: two files of pickle, a list of questions
and, for each of them, what each way answered. tritonclient does all three, so that no codec of the tests' own is
believed.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

from tests.e2e.clients.drivers import tritonclient_grpc, tritonclient_http
from tests.e2e.clients.drivers.questions import Answer, Array, Question, Way


@dataclass(frozen=True, slots=True)
class Clients:
    """One of each kind."""

    http: over_http.InferenceServerClient
    grpc: over_grpc.InferenceServerClient

    def json(self, question: Question) -> Mapping[str, Array | None]:
        """Inputs and outputs in the document."""
        outputs = [over_http.InferRequestedOutput(name, binary_data=False) for name in question.outputs]
        inputs = tritonclient_http.tensors(question.inputs, binary=False)
        return tritonclient_http.answered(self.http.infer(question.model, inputs, outputs=outputs))

    def binary(self, question: Question) -> Mapping[str, Array | None]:
        """Inputs and outputs behind the document."""
        inputs = tritonclient_http.tensors(question.inputs)
        return tritonclient_http.answered(self.http.infer(question.model, inputs))

    def unary(self, question: Question) -> Mapping[str, Array | None]:
        """Raw contents of a message."""
        return tritonclient_grpc.answered(self.grpc.infer(question.model, tritonclient_grpc.tensors(question.inputs)))


def main(questions: str, answers: str, http: str, grpc: str) -> None:
    """Ask all of them, one after the other."""
    asked: list[Question] = pickle.loads(Path(questions).read_bytes())
    clients = Clients(
        over_http.InferenceServerClient(http), over_grpc.InferenceServerClient(grpc, keepalive_options=None)
    )
    ways: dict[Way, Callable[[Question], Mapping[str, Array | None]]] = {
        "json": clients.json,
        "binary": clients.binary,
        "grpc": clients.unary,
    }
    answered = [{way: _answer(ways[way], question) for way in question.ways} for question in asked]
    Path(answers).write_bytes(pickle.dumps(answered))


def _answer(ask: Callable[[Question], Mapping[str, Array | None]], question: Question) -> Answer:
    try:
        return dict(ask(question))
    except InferenceServerException as error:
        return str(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
