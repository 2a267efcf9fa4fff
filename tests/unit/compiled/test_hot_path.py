"""The compiled modules do what their sources do, also where something goes wrong."""

from __future__ import annotations

import os
import pickle
import traceback
from importlib import import_module

import pytest

from compiled.build import PRODUCT, ROOT, SITE
from compiled.finder import SWITCH, usable
from compiled.hot_path import HOT_PATH
from compiled.sources import file_of
from serving.edge.http import codec
from serving.errors import BadRequest
from serving.inference import Signature, TensorSpec


@pytest.mark.parametrize("name", HOT_PATH)
def test_what_runs_is_what_was_compiled_of_these_sources_or_the_sources(name: str) -> None:
    asked = os.environ.get(SWITCH, "") in ("", "0")
    compiled = usable(str(SITE / PRODUCT), str(ROOT)) if asked else {}
    runs = import_module(name).__file__
    assert runs == compiled.get(name, str(ROOT / file_of(name)))


def test_a_traceback_names_file_and_line() -> None:
    with pytest.raises(BadRequest) as caught:
        codec.decode(b"{")
    source = (ROOT / file_of("serving.edge.http.codec")).read_text().splitlines()
    frames = [each for each in traceback.extract_tb(caught.value.__traceback__) if each.filename.endswith("codec.py")]
    lines = {frame.name: source[(frame.lineno or 1) - 1].strip() for frame in frames}
    assert lines["parse"] == "raise _not_json(bytes(body), error) from None"
    assert lines["decode"] == "document = parse(body)"


def test_a_signature_can_be_pickled() -> None:
    signature = Signature((TensorSpec("in", "FP32", (-1, 3)),), (TensorSpec("out", "FP32", (-1,)),), ())
    again = pickle.loads(pickle.dumps(signature))
    assert again == signature
    assert hash(again) == hash(signature)


def test_nothing_is_compiled_twice() -> None:
    assert len(set(HOT_PATH)) == len(HOT_PATH)
