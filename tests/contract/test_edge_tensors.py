"""The same tensors have the same answer in every way that an edge can be asked."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from serving.inference import ELEMENT_SIZE
from tests.contract.asked import DTYPES, KINDS, Asked, Piece, piece, prefixed
from tests.contract.edge_ways import Way, refused, told

ROW = piece("x", "FP32", [[1, 2, 3, 4]])
# Two rows; the several inputs of one model and what it makes of them.
SEVERAL = (
    piece("a", "FP32", [[1, 2], [3, 4]]),
    piece("b", "FP64", [[1, 1, 1], [2, 2, 2]]),
    piece("keep", "BOOL", [True, False]),
    piece("i", "INT32", [2**31 - 2, -(2**31)]),
)
SEVERAL_OUT = (
    piece("sum", "FP64", [6, 13]),
    piece("kept", "BOOL", [False, True]),
    piece("next", "INT32", [2**31 - 1, 1 - 2**31]),
)


def edges_of(datatype: str) -> bytes:
    """Four elements at the edges of a datatype."""
    if datatype == "BYTES":
        return b"".join(map(prefixed, (b"", b"a\0b\0", "ü€😀".encode(), b'a"\\\n\x7f')))
    if datatype == "BF16":
        return struct.pack("<4H", 0x7F7F, 0xFF7F, 0x0080, 0x8000)
    if datatype == "BOOL":
        return b"\0\1\1\0"
    dtype = np.dtype(DTYPES[datatype])
    if dtype.kind == "f":
        facts = np.finfo(dtype)
        return np.array([facts.max, facts.min, facts.tiny, -0.0], dtype).tobytes()
    limits = np.iinfo(dtype)
    return np.array([limits.min, limits.max, 0, 1], dtype).tobytes()


def test_every_datatype_is_tried() -> None:
    assert set(KINDS) == set(ELEMENT_SIZE)


@pytest.mark.parametrize("datatype", KINDS)
def test_what_goes_in_comes_out_bit_by_bit(way: Way, datatype: str) -> None:
    asked = Piece("x", datatype, (2, 2), edges_of(datatype))
    heard = way.ask(Asked(f"echo-{datatype}", [asked]))
    if datatype in way.lacks:
        # What has no form says which way has one.
        assert refused(heard).code == "INVALID_ARGUMENT"
        assert "binary" in refused(heard).text or "raw_input_contents" in refused(heard).text
    else:
        assert told(heard).outputs == (Piece("y", datatype, (2, 2), asked.data),)


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_nan_and_infinity_travel_where_they_have_a_form(way: Way, datatype: str) -> None:
    asked = piece("x", datatype, [[float("nan"), float("inf"), float("-inf")]])
    heard = way.ask(Asked(f"echo-{datatype}", [asked]))
    if way.nan:
        assert told(heard).outputs[0].data == asked.data
    else:
        assert (refused(heard).code, "binary" in refused(heard).text) == ("INVALID_ARGUMENT", True)


def test_bytes_that_are_no_text_are_refused_since_onnx_has_none(way: Way) -> None:
    heard = refused(way.ask(Asked("echo-BYTES", [piece("x", "BYTES", [b"\xff\xfe"], (1, 1))])))
    assert heard.code == "INVALID_ARGUMENT"


def test_a_scalar_has_no_dimensions_either_way(way: Way) -> None:
    heard = told(way.ask(Asked("scalar", [piece("x", "FP32", 1)])))
    assert heard.outputs == (piece("y", "FP32", 2),)


@pytest.mark.parametrize("datatype", KINDS)
def test_rows_without_values_come_back_without_values(way: Way, datatype: str) -> None:
    heard = way.ask(Asked(f"echo-{datatype}", [Piece("x", datatype, (2, 0), b"")]))
    if datatype in way.lacks:
        assert refused(heard).code == "INVALID_ARGUMENT"
    else:
        assert told(heard).outputs == (Piece("y", datatype, (2, 0), b""),)


def test_several_inputs_go_by_name_and_all_outputs_come_in_the_models_order(way: Way) -> None:
    for inputs in (SEVERAL, SEVERAL[::-1]):
        assert told(way.ask(Asked("several", inputs))).outputs == SEVERAL_OUT


@pytest.mark.parametrize("places", [(2, 0), (1,), (0, 1, 2), (2, 1, 0)])
def test_outputs_come_as_asked_for_and_in_that_order(way: Way, places: tuple[int, ...]) -> None:
    wanted = [SEVERAL_OUT[place] for place in places]
    heard = told(way.ask(Asked("several", SEVERAL, outputs=[one.name for one in wanted])))
    assert list(heard.outputs) == wanted


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ((), [2, 4, 6, 8]),
        ((piece("factor", "FP32", 3),), [3, 6, 9, 12]),
        ((piece("offset", "FP32", [10, 20, 30, 40]),), [12, 24, 36, 48]),
        ((piece("factor", "FP32", -1), piece("offset", "FP32", [10, 20, 30, 40])), [9, 18, 27, 36]),
    ],
)
def test_optional_inputs_are_the_callers_or_the_models_own(
    way: Way, given: tuple[Piece, ...], answer: list[float]
) -> None:
    assert told(way.ask(Asked("with-default", [ROW, *given]))).outputs == (piece("y", "FP32", [answer]),)


@pytest.mark.parametrize("identity", ["", "q1", "Größe \0 😀"])
def test_an_answer_has_the_id_the_model_and_the_version(way: Way, identity: str) -> None:
    heard = told(way.ask(Asked("doubler", [ROW], id=identity)))
    assert (heard.model, heard.version, heard.id) == ("doubler", "2", identity)
    assert (heard.headers["x-sluice-variant"], heard.headers["x-sluice-version"]) == ("stable", "2")
    assert heard.headers["server-timing"].startswith("queue;dur=")


def test_a_version_and_a_name_with_a_slash_can_be_asked(way: Way) -> None:
    assert told(way.ask(Asked("doubler", [ROW], version="1"))).version == "1"
    assert told(way.ask(Asked("a/b", [ROW]))).model == "a/b"
