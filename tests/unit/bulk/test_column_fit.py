"""Columns fit a model, or the refusal says what is missing, unknown and known."""

from __future__ import annotations

import pytest

from serving.bulk.column_fit import Column, Kind, Wishes, fit
from serving.bulk.model_form import FieldForm, ModelForm, TensorForm
from serving.errors import BadRequest

ROW = ModelForm("mlp", (TensorForm("x", "FP32", (-1, 3)),), (TensorForm("y", "FP32", (-1, 1)),), max_rows=64)
SEVERAL = ModelForm("two", (TensorForm("a", "INT64", (-1,)), TensorForm("b", "BYTES", (-1, 1))), ())
FIELDS = (FieldForm("hour", "FP32", required=True), FieldForm("gust", "FP32", required=False))
FLIGHT = ModelForm("flight", ROW.inputs, ROW.outputs, ("tail", "hour"), FIELDS, by_entity=True)


def columns(text: str) -> list[Column]:
    """`a b:TEXT`; numbers where nothing else is said."""
    return [Column(n, Kind[k or "NUMBER"]) for n, _, k in (one.partition(":") for one in text.split())]


def refusal(form: ModelForm, text: str, wishes: Wishes | None = None) -> str:
    with pytest.raises(BadRequest) as refused:
        fit(form, columns(text), wishes or Wishes())
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "wishes", "taken"),
    [
        ("id:TEXT f1 f0 f2", Wishes(), ("f1", "f0", "f2")),
        ("f1 x:LIST f0 f2", Wishes(), ("x",)),
        ("a b v:LIST", Wishes(), ("v",)),
        ("id f0 f1 f10 f2", Wishes(("f0", "f2", "f1")), ("f0", "f2", "f1")),
        ("id f2 f0 f1", Wishes(("f*",)), ("f2", "f0", "f1")),
        ("v*:LIST va:LIST", Wishes(("v*",)), ("v*",)),
    ],
)
def test_a_row_of_the_only_input_is_so_many_columns_in_their_order_or_one_of_lists(
    text: str, wishes: Wishes, taken: tuple[str, ...]
) -> None:
    assert fit(ROW, columns(text), wishes).taken == taken


def test_inputs_take_the_columns_of_their_names() -> None:
    assert fit(SEVERAL, columns("b:TEXT id a"), Wishes()).taken == ("a", "b")


def test_entities_and_request_features_take_the_columns_of_their_names() -> None:
    found = fit(FLIGHT, columns("hour tail:TEXT"), Wishes(keep=()))
    assert (found.ids, [one.name for one in found.fields]) == (("tail", "hour"), ["hour"])
    assert found.taken == ("tail", "hour")


def test_finished_rows_of_a_model_by_entity_are_sent_as_tensors() -> None:
    assert fit(FLIGHT, columns("x:LIST"), Wishes()).inputs
    assert fit(FLIGHT, columns("a b c"), Wishes(columns=("a", "b", "c"))).inputs


@pytest.mark.parametrize(
    ("form", "text", "wishes", "says"),
    [
        (ROW, "f0 f1", Wishes(), "takes 3 values a row, and 2 columns hold numbers (f0, f1)"),
        (ROW, "id f0 f1 f2", Wishes(), "4 columns hold numbers (id, f0, f1, f2); name a column 'x' with lists"),
        (ROW, "f0 f1 f2", Wishes(("f0", "g")), "--columns: there is no column 'g'; the columns are f0, f1, f2"),
        (ROW, "f0 f1 f2", Wishes(("f0",)), "--columns names 1"),
        (ROW, "f0 f1 f2", Wishes(keep=("id",)), "--keep: there is no column 'id'"),
        (ROW, "f0 f0", Wishes(), "the column 'f0' is there twice"),
        (
            SEVERAL,
            "a c",
            Wishes(),
            "the column 'b' is missing, which two needs; it does not know c; its inputs are a, b",
        ),
        (SEVERAL, "a b", Wishes(("a",)), "--columns is for models of one input"),
        (
            FLIGHT,
            "tail gust id",
            Wishes(),
            "'hour' is missing, which flight needs; it does not know id; its fields are",
        ),
        (FLIGHT, "tail hour gusts", Wishes(), "does not know gusts, and the column 'gust' is left to defaults"),
        (ModelForm("m", (TensorForm("x", "FP32", (4, 1)),), ()), "x", Wishes(), "takes 4 rows at a time"),
        (ModelForm("m", (), ()), "x", Wishes(), "tells no inputs yet"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_known(form: ModelForm, text: str, wishes: Wishes, says: str) -> None:
    assert says in refusal(form, text, wishes)


def test_a_column_that_the_model_does_not_know_is_no_mistake_where_all_others_are_there_or_it_is_named() -> None:
    assert fit(FLIGHT, columns("tail hour gust label"), Wishes()).taken == ("tail", "hour", "gust")
    assert fit(FLIGHT, columns("tail hour label"), Wishes(keep=("label",))).taken == ("tail", "hour")
