"""Frames of the decoding process: what comes back equals what the codec returns here."""

from __future__ import annotations

import io

import orjson
import pytest

from serving.edge.http import codec, instances
from serving.edge.http.oversize_process import LENGTHS, decoded, request_frame, serve
from serving.errors import BadRequest
from serving.inference import Signature, Tensor, TensorSpec

SIGNATURE = Signature((TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "BYTES", (-1,))), ())


def through(*frames: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Replies to requests, as the process writes them."""
    sink = io.BytesIO()
    serve(io.BytesIO(b"".join(b"".join(frame) for frame in frames)), sink)
    replies = []
    sink.seek(0)
    while lengths := sink.read(LENGTHS.size):
        head, blob = LENGTHS.unpack(lengths)
        replies.append((sink.read(head), sink.read(blob)))
    return replies


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return [(t.name, t.datatype, t.shape, bytes(t.data)) for t in left] == [
        (t.name, t.datatype, t.shape, bytes(t.data)) for t in right
    ]


def test_an_infer_request_comes_back_as_the_codec_decodes_it() -> None:
    tensors = [
        {"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]},
        {"name": "b", "shape": [1], "datatype": "BYTES", "data": ["x"]},
    ]
    body = orjson.dumps({"inputs": tensors, "id": "ü", "outputs": [{"name": "o"}]})
    ((head, blob),) = through(request_frame(None, body))
    tensors_back, asked = decoded(head, blob)
    here = codec.decode(body)
    assert same(tensors_back, here.inputs)
    assert isinstance(asked, codec.Asked)
    assert (asked.id_json, asked.outputs) == (here.id_json, here.outputs)


def test_instances_come_back_as_the_codec_decodes_them() -> None:
    body = orjson.dumps({"instances": [{"a": [1, 2], "b": "x"}, {"a": [3, 4], "b": "y"}]})
    ((head, blob),) = through(request_frame(SIGNATURE, body))
    tensors, count = decoded(head, blob)
    here, here_count = instances.decode(body, SIGNATURE)
    assert same(tensors, here)
    assert count == here_count == 2


def test_a_refusal_comes_back_as_one_and_the_process_goes_on() -> None:
    good = orjson.dumps({"instances": [{"a": [1, 2], "b": "x"}]})
    (refused, accepted) = through(request_frame(None, b"{"), request_frame(SIGNATURE, good))
    with pytest.raises(BadRequest, match="not JSON"):
        decoded(*refused)
    assert decoded(*accepted)[1] == 1
