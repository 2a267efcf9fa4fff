"""Bodies that cannot be answered, each with its status and what its error must name."""

from __future__ import annotations

from tests.e2e.bad_request import (
    DOUBLER,
    GOOD_BODY,
    GOOD_ROW,
    PREDICT,
    Bad,
    infer,
    infer_one,
    instances,
    posted,
    tensor,
)

_DATA = '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":%s}]}'
# Two rows of `a`, `keep` and `i`, one of `b`.
_SEVERAL = [
    {"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]},
    {"name": "b", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]},
    {"name": "keep", "shape": [2], "datatype": "BOOL", "data": [True, False]},
    {"name": "i", "shape": [2], "datatype": "INT32", "data": [1, 2]},
]


def _data(text: str) -> bytes:
    return posted(DOUBLER, (_DATA % text).encode())


NOT_JSON = (
    Bad("empty body", posted(DOUBLER, b""), 400, ("body is empty",)),
    Bad("blanks", posted(DOUBLER, b"   \r\n"), 400, ("not JSON",)),
    Bad("broken JSON", posted(DOUBLER, b'{"inputs": [{"name": "x",'), 400, ("not JSON", "line 1 column")),
    Bad("rest after JSON", posted(DOUBLER, GOOD_BODY + b"}"), 400, ("not JSON",)),
    Bad("not UTF-8", posted(DOUBLER, GOOD_BODY.replace(b'"x"', b'"\xff\xfe"')), 400, ("not JSON", "UTF-8")),
    Bad("UTF-16", posted(DOUBLER, GOOD_BODY.decode().encode("utf-16")), 400, ("not JSON",)),
    Bad("lone surrogate", posted(DOUBLER, GOOD_BODY.replace(b'"x"', b'"\\ud800"')), 400, ("not JSON",)),
    Bad("form", posted(DOUBLER, b"x=1&y=2"), 400, ("not JSON",)),
    Bad("an array", posted(DOUBLER, [1, 2]), 400, ("JSON object", "array")),
    Bad("a number", posted(DOUBLER, 7), 400, ("JSON object", "7")),
    Bad("null", posted(DOUBLER, b"null"), 400, ("JSON object", "null")),
    Bad("deep arrays", _data("[" * 100_000 + "]" * 100_000), 400, ("not JSON", "depth")),
    Bad("deep objects", posted(DOUBLER, b'{"a":' * 5_000 + b"1" + b"}" * 5_000), 400, ("not JSON",)),
)

VALUES = (
    Bad("NaN", _data("[1,2,3,NaN]"), 400, ("JSON has no NaN",)),
    Bad("Infinity", _data("[1,2,3,-Infinity]"), 400, ("no infinity",)),
    Bad("number beyond doubles", _data("[1,2,3,1e999]"), 400, ("infinity",)),
    Bad("number beyond FP32", _data("[1,2,3,1e39]"), 400, ("'x'", "FP32", "1e+39")),
    Bad("400 digits", _data(f"[1,2,3,{'9' * 400}]"), 400, ("not JSON",)),
    Bad("30 digits beyond FP32 after all", _data(f"[1,2,3,{'9' * 45}]"), 400, ("'x'", "FP32")),
    Bad("null in data", _data("[1,2,3,null]"), 400, ("'x'", "null")),
    Bad("boolean in numbers", _data("[1,2,3,true]"), 400, ("'x'", "FP32", "true")),
    Bad("string in numbers", _data('[1,2,3,"4"]'), 400, ("'x'", "FP32", "'4'")),
    Bad("object in numbers", _data('[1,2,3,{"a":1}]'), 400, ("'x'", "an object")),
    Bad("data is no array", _data('"1234"'), 400, ("'x'", "`data`", "array")),
    Bad("data is null", _data("null"), 400, ("'x'", "`data`", "null")),
    Bad("fraction for INT64", infer_one("echo-int64", "INT64", [1, 1.5]), 400, ("'x'", "INT64", "1.5")),
    Bad("INT64 out of range", infer_one("echo-int64", "INT64", [1, 2**63]), 400, ("'x'", "INT64", str(2**63))),
    Bad("UINT8 out of range", infer_one("echo-uint8", "UINT8", [1, 256]), 400, ("'x'", "UINT8", "256")),
    Bad("number for BOOL", infer_one("echo-bool", "BOOL", [True, 1]), 400, ("'x'", "true or false", "1")),
    Bad("number for BYTES", infer_one("echo-strings", "BYTES", ["a", 1]), 400, ("'x'", "string", "1")),
    Bad("FP16", infer_one("echo-half", "FP16", [1, 2]), 400, ("FP16", "JSON")),
)

SHAPES = (
    Bad("too few values", infer(tensor(data=[1.0, 2.0])), 400, ("'x'", "needs 4 values", "has 2")),
    Bad("too many values", infer(tensor(data=[0.0] * 5)), 400, ("'x'", "needs 4 values", "has 5")),
    Bad("no values", infer(tensor(data=[])), 400, ("'x'", "needs 4 values", "has 0")),
    Bad("ragged", infer(tensor(shape=[2, 4], data=[GOOD_ROW, [1.0]])), 400, ("'x'", "nested", "[2, 4]")),
    Bad("nested otherwise", infer(tensor(data=[[[1.0], [2.0], [3.0], [4.0]]])), 400, ("'x'", "an array")),
    Bad("nested and flat", infer(tensor(shape=[2, 4], data=[GOOD_ROW, 1.0])), 400, ("'x'", "nested")),
    Bad("negative size", infer(tensor(shape=[-1, 4])), 400, ("'x'", "`shape`", "-1")),
    Bad("fractional size", infer(tensor(shape=[1.0, 4])), 400, ("'x'", "`shape`", "1.0")),
    Bad("boolean size", infer(tensor(shape=[True, 4])), 400, ("'x'", "`shape`", "true")),
    Bad("size as text", infer(tensor(shape=["1", 4])), 400, ("'x'", "`shape`", "'1'")),
    Bad("shape is a number", infer(tensor(shape=4)), 400, ("'x'", "`shape`")),
    Bad("2^60 rows", infer(tensor(shape=[2**60, 4])), 400, ("'x'", str(2**60))),
    Bad("sizes that overflow", infer(tensor(shape=[2**62, 2**62, 2**62])), 400, ("'x'", "2147483647")),
    Bad("sizes that overflow to 0", infer(tensor(shape=[2**32, 2**32], data=[])), 400, ("'x'", "2147483647")),
    Bad("more elements than are taken", infer(tensor(shape=[2**20, 4096])), 400, ("'x'", "max_elements")),
    Bad("a size beyond 64 bits", infer(tensor(shape=[2**80, 0], data=[])), 400, ("'x'",)),
    Bad("40 dimensions", infer(tensor(shape=[1] * 40, data=[1.0])), 400, ("'x'", "`shape`", "32")),
    Bad("another width", infer(tensor(shape=[1, 3], data=[1.0, 2.0, 3.0])), 400, ("'x'", "[1, 3]", "[-1, 4]")),
    Bad("a dimension less", infer(tensor(shape=[4])), 400, ("'x'", "[4]", "[-1, 4]")),
    Bad("a dimension more", infer(tensor(shape=[1, 1, 4])), 400, ("'x'", "[1, 1, 4]", "[-1, 4]")),
    Bad("no rows", infer(tensor(shape=[0, 4], data=[])), 400, ("no rows", "at least 1")),
    Bad(
        "more rows than the queue ever holds",
        infer(tensor(shape=[5_000, 4], data=[0.5] * 20_000)),
        413,
        ("5000 rows", "queue_rows"),
    ),
    Bad(
        "inputs of different rows",
        posted("/v2/models/several/infer", {"inputs": _SEVERAL}),
        400,
        ("'b'", "same number of rows"),
    ),
    Bad(
        "three rows for a model of four",
        posted("/v2/models/fixed-batch/infer", {"inputs": [tensor(shape=[3, 3], data=[0.0] * 9)]}),
        400,
        ("[3, 3]", "[4, 3]"),
    ),
)

FIELDS = (
    Bad("no inputs", posted(DOUBLER, {}), 400, ("`inputs` is missing",)),
    Bad("inputs are empty", infer(), 400, ("`inputs`", "at least one")),
    Bad("inputs are an object", posted(DOUBLER, {"inputs": {"x": GOOD_ROW}}), 400, ("`inputs` must be an array",)),
    Bad("an input that is a number", infer(7), 400, ("inputs[0]", "7")),
    *[
        Bad(f"no {field}", infer(tensor(**{field: None})), 400, ("inputs[0]", f"`{field}` is missing"))
        for field in ("name", "shape", "datatype", "data")
    ],
    Bad("name is a number", infer(tensor(name=3)), 400, ("inputs[0]", "`name`", "strings")),
    Bad("unknown input", infer(tensor(name="y")), 400, ("no input 'y'", "'x'")),
    Bad("an input missing", posted("/v2/models/several/infer", {"inputs": [_SEVERAL[0]]}), 400, ("'b'", "missing")),
    Bad("an input too many", infer(tensor(), tensor(name="z")), 400, ("no input 'z'",)),
    Bad("an input twice", infer(tensor(), tensor()), 400, ("'x'", "twice")),
    Bad("another datatype", infer(tensor(datatype="FP64")), 400, ("'x'", "FP64", "FP32")),
    Bad("unknown datatype", infer(tensor(datatype="FLOAT")), 400, ("'x'", "FLOAT", "FP32")),
    Bad("unknown field of an input", infer(tensor(dtype="FP32")), 400, ("'x'", "dtype")),
    Bad("unknown field of the request", infer(tensor(), input="x"), 400, ("input", "unknown field")),
    Bad("id is a number", infer(tensor(), id=7), 400, ("`id`", "7")),
    Bad("unknown output", infer(tensor(), outputs=[{"name": "z"}]), 400, ("unknown output 'z'", "y")),
    Bad("outputs are names", infer(tensor(), outputs=["y"]), 400, ("outputs[0]", "name")),
    Bad("an output twice", infer(tensor(), outputs=[{"name": "y"}, {"name": "y"}]), 400, ("twice",)),
    Bad("instances in place of inputs", posted(DOUBLER, {"instances": [GOOD_ROW]}), 400, ("`inputs`", ":predict")),
    Bad(
        "binary data announced",
        infer(tensor(data=None, parameters={"binary_data_size": 16})),
        400,
        ("Inference-Header-Content-Length", "`data`"),
    ),
    Bad("shared memory", infer(tensor(data=None, parameters={"shared_memory_region": "r"})), 400, ("shared memory",)),
    Bad("a sequence", infer(tensor(), parameters={"sequence_id": 1}), 400, ("sequence_id",)),
    Bad("a classification", infer(tensor(), outputs=[{"name": "y", "parameters": {"classification": 1}}]), 400, ("y",)),
)

INSTANCES = (
    Bad("no instances", posted(PREDICT, {}), 400, ("`instances` is missing",)),
    Bad("inputs in place of instances", posted(PREDICT, {"inputs": []}), 400, ("`instances`", "/infer")),
    Bad("instances are empty", instances(), 400, ("`instances`", "at least one")),
    Bad("a field is missing", instances({"x": GOOD_ROW}, {}), 400, ("instances[1]", "'x'", "missing")),
    Bad("an unknown field", instances({"x": GOOD_ROW, "y": 1}), 400, ("instances[0]", "'y'")),
    Bad("unknown field beside instances", instances({"x": GOOD_ROW}, inputs=1), 400, ("inputs",)),
    Bad("a single value for four", instances({"x": 1.0}), 400, ("instances[0]", "'x'", "4")),
    Bad("three values for four", instances({"x": [1, 2, 3]}), 400, ("'x'", "[4]")),
    Bad("null in an instance", instances({"x": [1, 2, 3, None]}), 400, ("'x'", "null")),
    Bad("a number among objects", instances({"x": GOOD_ROW}, 5), 400, ("instances[1]", "5")),
)


BODIES = (*NOT_JSON, *VALUES, *SHAPES, *FIELDS, *INSTANCES)
