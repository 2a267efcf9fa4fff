"""What is kept of answers stands in the place of its row."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bulk.answer import Answered
from serving.bulk.asking import Part
from serving.bulk.model_form import ModelForm, TensorForm
from serving.bulk.records import added_names, record, record_schema
from serving.errors import BadRequest

FORM = ModelForm("m", (), (TensorForm("y", "INT64", (-1,)), TensorForm("v", "INT64", (-1, 2))))


def answered(rows: list[int], version: int) -> Part:
    columns = {"y": pa.array(rows), "v": pa.array([[row, -row] for row in rows], pa.list_(pa.int64()))}
    return Part(rows, Answered(columns, version, f"d{version}"))


@given(fates=st.lists(st.sampled_from(["answered", "refused", "unsendable"]), min_size=1), data=st.data())
def test_each_row_has_its_own_answer_or_its_own_reason(fates: list[str], data: st.DataObject) -> None:
    bad = {row: f"bad {row}" for row, fate in enumerate(fates) if fate == "unsendable"}
    sent = [row for row in range(len(fates)) if row not in bad]
    parts = []
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        some, sent = sent[:size], sent[size:]
        parts += [Part([row], None, f"refused {row}") for row in some if fates[row] == "refused"]
        if good := [row for row in some if fates[row] == "answered"]:
            parts.append(answered(good, len(parts)))
    kept = record(FORM, len(fates), parts, bad)
    assert kept.schema == record_schema(FORM)
    for row, (fate, found) in enumerate(zip(fates, kept.to_pylist(), strict=True)):
        if fate == "answered":
            assert (found["rejected"], found["0"], found["1"]) == (None, row, [row, -row])
            assert found["degraded"] == f"d{found['version']}"
        else:
            assert found["rejected"] == (f"refused {row}" if fate == "refused" else f"bad {row}")
            assert (found["0"], found["1"], found["version"]) == (None, None, None)


def test_the_only_output_is_the_prediction_and_several_have_their_names() -> None:
    one = ModelForm("m", (), FORM.outputs[:1], by_entity=True)
    assert list(added_names(one, "", ("id",)).values()) == ["prediction", "model_version", "degraded"]
    assert list(added_names(FORM, "p_", ("y",)).values()) == ["p_y", "p_v", "p_model_version"]


def test_a_name_that_would_be_there_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="'y' twice; name the answers' apart with --prefix"):
        added_names(FORM, "", ("id", "y"))
