"""Public models, as packages on PyPI ship them, answer through every edge as onnxruntime does when fed directly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.e2e.callers import at_once
from tests.e2e.clients.asked_every_way import ask_every_way
from tests.e2e.clients.drivers.questions import WAYS, Answer, Array, Question, Way
from tests.e2e.clients.public_models import FILE_TYPES, FILES, PublicModel, PublicModels
from tests.e2e.http_client import Connection
from tests.e2e.sluice_up import SluiceUp
from tests.e2e.tensors import infer_document, outputs_of, run_alone, same

MODELS = ("magika", "ocr-detection", "ocr-direction", "ocr-recognition", "voice-4", "voice-5")
CALLERS = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """A session that serves them, and what it answered to every request in every way."""

    session: SluiceUp
    models: PublicModels
    paths: Mapping[str, Path]
    answers: Mapping[str, Sequence[tuple[Mapping[str, Array], Mapping[Way, Answer]]]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Every model with every request of its own."""
    folder = tmp_path_factory.mktemp("public")
    models = PublicModels()
    found = models.all()
    paths = {model.name: model.save(folder / "repository") for model in found}
    session = SluiceUp("--models", str(folder / "repository"), engine="in-process")
    try:
        yield Asked(session.wait_until_ready(), models, paths, _answers(session, found, paths, folder))
        session.close()
    finally:
        session.destroy()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", MODELS)
def test_a_public_model_answers_as_onnxruntime_does(asked: Asked, model: str, way: Way) -> None:
    assert asked.answers[model]
    for inputs, answers in asked.answers[model]:
        same(_tensors(answers[way]), run_alone(asked.paths[model], inputs))


@pytest.mark.parametrize("way", WAYS)
def test_files_are_what_everybody_calls_them(asked: Asked, way: Way) -> None:
    _, answers = asked.answers[FILE_TYPES][0]
    assert asked.models.kinds(_tensors(answers[way])["target_label"]) == list(FILES.values())


def test_the_text_of_a_picture_is_read(asked: Asked) -> None:
    _, answers = asked.answers["ocr-recognition"][0]
    (scores,) = _tensors(answers["binary"]).values()
    characters = onnxruntime.InferenceSession(str(asked.paths["ocr-recognition"])).get_modelmeta()
    assert _read(scores[0], characters.custom_metadata_map["character"].split("\n")) == "SLUICE 2026"


def test_a_picture_upside_down_is_told_from_an_upright_one(asked: Asked) -> None:
    _, answers = asked.answers["ocr-direction"][0]
    (scores,) = _tensors(answers["grpc"]).values()
    assert scores.argmax(1).tolist() == [0, 1]


def test_callers_at_once_get_the_type_of_their_own_file(asked: Asked) -> None:
    requests = asked.models.each_file()
    expected = [run_alone(asked.paths[FILE_TYPES], inputs) for inputs in requests]

    def ask(caller: int, connection: Connection) -> dict[str, Array]:
        document = json.dumps(infer_document(requests[caller % len(requests)])).encode()
        return outputs_of(connection.request("POST", f"/v2/models/{FILE_TYPES}/infer", document))

    for caller, answer in enumerate(at_once(asked.session, CALLERS, ask)):
        same(answer, expected[caller % len(requests)])


def _answers(
    session: SluiceUp, models: Sequence[PublicModel], paths: Mapping[str, Path], folder: Path
) -> dict[str, list[tuple[Mapping[str, Array], Mapping[Way, Answer]]]]:
    asked = [(model.name, inputs) for model in models for inputs in model.requests]
    questions = [Question(name, inputs, tuple(run_alone(paths[name], inputs))) for name, inputs in asked]
    found: dict[str, list[tuple[Mapping[str, Array], Mapping[Way, Answer]]]] = {model.name: [] for model in models}
    for (name, inputs), answers in zip(asked, ask_every_way(session, questions, folder), strict=True):
        found[name].append((inputs, answers))
    return found


def _tensors(answer: Answer) -> dict[str, Array]:
    assert not isinstance(answer, str), answer
    return {name: array for name, array in answer.items() if array is not None}


def _read(scores: Array, characters: Sequence[str]) -> str:
    """The likeliest character of each place, without repetitions and without the blank, which comes first."""
    likeliest = scores.argmax(1)
    new = np.concatenate([[True], likeliest[1:] != likeliest[:-1]])
    return "".join(["", *characters, " "][place] for place in likeliest[new] if place).strip()
