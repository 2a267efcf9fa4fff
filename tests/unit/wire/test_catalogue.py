"""What a replica hosts arrives whole, and nothing else passes for a catalogue."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import StreamRefused
from serving.inference import Hosted, Signature, TensorSpec, VersionKey
from serving.wire.catalogue import Catalogue, CatalogueReader, decode_catalogue, encode_catalogue
from serving.wire.frame import CATALOGUE, Frame, encode
from serving.wire.frame_reader import FrameReader

spec = st.builds(
    TensorSpec, st.text(max_size=6), st.sampled_from(["FP32", "BYTES"]), st.lists(st.integers(-1, 9)).map(tuple)
)
specs = st.lists(spec, max_size=3).map(tuple)
key = st.builds(VersionKey, st.text(max_size=6), st.integers(1, 99))
hosted = st.builds(
    Hosted,
    key,
    st.builds(Signature, specs, specs),
    st.booleans(),
    st.text(max_size=9),
    st.integers(0, 999),
    st.floats(0, 1),
)
catalogues = st.builds(
    Catalogue,
    st.dictionaries(st.integers(0, 2**16 - 1), hosted, max_size=4),
    st.dictionaries(key, st.text(max_size=9), max_size=3),
    st.booleans(),
)


def frame_of(data: bytes) -> Frame:
    (frame,) = FrameReader(2**20).feed(data)
    return frame


@given(catalogues)
def test_a_catalogue_comes_out_as_it_went_in(catalogue: Catalogue) -> None:
    assert decode_catalogue(frame_of(encode_catalogue(catalogue))) == catalogue


# So few slots that both have something to say of some.
few = st.dictionaries(st.integers(0, 3), hosted, max_size=4)


@given(few, few)
def test_what_a_slot_says_again_is_the_same_object_and_all_else_is_read(
    early: dict[int, Hosted], late: dict[int, Hosted]
) -> None:
    first, second = Catalogue(early), Catalogue(late)
    reader = CatalogueReader()
    before = reader.read(frame_of(encode_catalogue(first)))
    both = replace(second, slots={**first.slots, **second.slots})
    after = reader.read(frame_of(encode_catalogue(both)))
    assert after == both
    assert all(after.slots[slot] is hosted for slot, hosted in before.slots.items() if slot not in second.slots)
    assert reader.read(frame_of(encode_catalogue(second))) == second


def test_a_newer_pool_may_say_more() -> None:
    document = {"settled": True, "hosted": [], "refused": [], "devices": ["gpu"]}
    assert decode_catalogue(frame_of(encode(CATALOGUE, json.dumps(document).encode()))) == Catalogue(settled=True)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_catalogue_or_refused(payload: bytes) -> None:
    with contextlib.suppress(StreamRefused):
        decode_catalogue(Frame(CATALOGUE, 0, 0, payload, 0, len(payload)))


@pytest.mark.parametrize("document", [{}, {"hosted": [{}], "refused": [], "settled": True}, {"hosted": 3}, []])
def test_what_lacks_a_field_is_refused(document: object) -> None:
    with pytest.raises(StreamRefused, match="catalogue that cannot be read"):
        decode_catalogue(frame_of(encode(CATALOGUE, json.dumps(document).encode())))
