"""What tritonclient.http does with a server: `python -m tests.e2e.clients.drivers.tritonclient_http HTTP GRPC`.

It sends no content type, its tensors are binary unless told otherwise, and its health calls look at the status alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.e2e.clients.drivers.checking import Server, main
from tests.e2e.clients.drivers.samples import (
    BRAIN,
    DATATYPES,
    DOUBLED,
    HALVES,
    TEXTS,
    WHOLE,
    Array,
    agree,
    encoded,
    of_several,
    several,
)


def client(server: Server, concurrency: int = 1) -> triton.InferenceServerClient:
    """A client of the server."""
    return triton.InferenceServerClient(server.http, concurrency=concurrency)


def tensors(inputs: Mapping[str, Array], *, binary: bool = True) -> list[triton.InferInput]:
    """Inputs, in the body's binary part or in its JSON."""
    made = [triton.InferInput(name, list(array.shape), DATATYPES[array.dtype.name]) for name, array in inputs.items()]
    return [
        tensor.set_data_from_numpy(array, binary_data=binary)
        for tensor, array in zip(made, inputs.values(), strict=True)
    ]


def answered(result: triton.InferResult) -> dict[str, Array | None]:
    """Every output of an answer."""
    return {one["name"]: result.as_numpy(one["name"]) for one in result.get_response()["outputs"]}


def binary_outputs(result: triton.InferResult) -> list[bool]:
    """Of each output in order, whether it came in the binary part."""
    return ["binary_data_size" in one.get("parameters", {}) for one in result.get_response()["outputs"]]


def check_binary_inputs_and_all_outputs_binary_since_none_was_listed(server: Server) -> None:
    result = client(server).infer("several", tensors(several()))
    agree(answered(result), of_several(several()))
    assert binary_outputs(result) == [True] * 3


def check_json_inputs_and_binary_outputs_without_a_header_length(server: Server) -> None:
    result = client(server).infer("several", tensors(several(), binary=False))
    agree(answered(result), of_several(several()))
    assert binary_outputs(result) == [True] * 3


def check_json_both_ways(server: Server) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in ("sum", "kept", "next")]
    result = client(server).infer("several", tensors(several(), binary=False), outputs=wanted)
    agree(answered(result), of_several(several()))
    assert binary_outputs(result) == [False] * 3


def check_listed_outputs_come_in_order_each_as_it_was_asked_for(server: Server) -> None:
    wanted = [
        triton.InferRequestedOutput("next", binary_data=True),
        triton.InferRequestedOutput("sum", binary_data=False),
    ]
    result = client(server).infer("several", tensors(several()), outputs=wanted)
    expected = of_several(several())
    agree(answered(result), {"next": expected["next"], "sum": expected["sum"]})
    assert [one["name"] for one in result.get_response()["outputs"]] == ["next", "sum"]
    assert binary_outputs(result) == [True, False]


def check_json_and_binary_inputs_in_one_request(server: Server) -> None:
    inputs = several()
    mixed = [*tensors({name: inputs[name] for name in ("a", "b")}), *tensors({"keep": inputs["keep"]}, binary=False)]
    mixed += tensors({"i": inputs["i"]})
    agree(answered(client(server).infer("several", mixed)), of_several(inputs))


def check_texts_with_zero_bytes_and_beyond_ascii(server: Server) -> None:
    for binary in (True, False):
        result = client(server).infer("echo-strings", tensors({"x": TEXTS}, binary=binary))
        agree(answered(result), {"y": encoded(TEXTS)})


def check_half_precision_of_both_kinds_and_the_widest_integers(server: Server) -> None:
    with client(server) as one:
        agree(answered(one.infer("echo-bfloat16", tensors({"x": BRAIN}))), {"y": BRAIN})
        agree(answered(one.infer("echo-half", tensors({"x": HALVES}))), {"y": HALVES})
        agree(answered(one.infer("echo-int64", tensors({"x": WHOLE}))), {"y": WHOLE})


def check_single_values_and_no_rows(server: Server) -> None:
    assert "no rows" in _refused(client(server), "echo-double", {"x": np.zeros((0, 2), np.float64)})
    with client(server) as one:
        agree(
            answered(one.infer("scalar", tensors({"x": np.array(1.5, np.float32)}))), {"y": np.array(2.5, np.float32)}
        )


def check_compression_both_ways(server: Server) -> None:
    for coding in ("gzip", "deflate"):
        result = client(server).infer(
            "several",
            tensors(several(2000)),
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
        agree(answered(result), of_several(several(2000)))
        assert result.get_response()["model_name"] == "several"


def check_id_version_priority_timeout_and_parameters(server: Server) -> None:
    result = client(server).infer(
        "doubler",
        tensors({"x": DOUBLED}),
        model_version="1",
        request_id="a request, №1",
        priority=2,
        timeout=30_000_000,
        parameters={"note": "of the caller's own"},
    )
    agree(answered(result), {"y": 2 * DOUBLED})
    response = result.get_response()
    assert response["id"] == "a request, №1", response
    assert (response["model_name"], response["model_version"]) == ("doubler", "1"), response


def check_requests_at_once(server: Server) -> None:
    with client(server, concurrency=8) as one:
        asked = [one.async_infer("doubler", tensors({"x": DOUBLED + np.float32(number)})) for number in range(64)]
        for number, request in enumerate(asked):
            agree(answered(request.get_result()), {"y": 2 * (DOUBLED + np.float32(number))})


def check_health(server: Server) -> None:
    one = client(server)
    assert one.is_server_live()
    assert one.is_server_ready()
    assert one.is_model_ready("several")
    assert one.is_model_ready("several", "1")
    assert not one.is_model_ready("several", "7")
    assert not one.is_model_ready("nobody")


def check_metadata(server: Server) -> None:
    one = client(server)
    assert "binary_tensor_data" in one.get_server_metadata()["extensions"]
    found = one.get_model_metadata("several", "1")
    assert found["name"] == "several"
    assert found["versions"] == ["1"]
    assert {tensor["name"]: tensor["datatype"] for tensor in found["inputs"]} == {
        "a": "FP32",
        "b": "FP64",
        "keep": "BOOL",
        "i": "INT32",
    }
    assert {tensor["name"]: tensor["shape"] for tensor in found["inputs"]}["a"] == [-1, 2]


def check_configuration(server: Server) -> None:
    found = client(server).get_model_config("several")
    assert found["name"] == "several"
    assert [one["name"] for one in found["output"]] == ["sum", "kept", "next"]
    assert {one["name"]: one["data_type"] for one in found["input"]}["keep"] == "TYPE_BOOL"


def check_repository_index(server: Server) -> None:
    found = {(one["name"], one["version"]): one["state"] for one in client(server).get_model_repository_index()}
    assert found["several", "1"] == "READY"


def check_statistics_count_rows_and_batches(server: Server) -> None:
    one = client(server)
    before = _counted(one)
    one.infer("fixed-batch", tensors({"x": np.ones((4, 3), np.float32)}))
    after = _counted(one)
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert after["execution_count"] == before["execution_count"] + 1
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]


def check_refusals_are_read(server: Server) -> None:
    one = client(server)
    wrong = (
        ("nobody", {"x": DOUBLED}, "nobody"),
        ("doubler", {"x": DOUBLED[:, :3]}, "shape"),
        ("doubler", {"z": DOUBLED}, "z"),
    )
    for model, inputs, word in wrong:
        said = _refused(one, model, inputs)
        assert word in said, said
        assert "exception occurred in the client" not in said, said


def check_loading_without_a_token_is_refused_in_words(server: Server) -> None:
    try:
        client(server).load_model("several")
    except InferenceServerException as error:
        assert "exception occurred in the client" not in str(error), error
        assert str(error.message()), error
    else:
        raise AssertionError("loaded without a token")


def _counted(one: triton.InferenceServerClient) -> dict[str, Any]:
    (found,) = one.get_inference_statistics("fixed-batch", "1")["model_stats"]
    return dict(found)


def _refused(one: triton.InferenceServerClient, model: str, inputs: Mapping[str, Array]) -> str:
    try:
        one.infer(model, tensors(inputs))
    except InferenceServerException as error:
        return str(error)
    raise AssertionError(f"{model} took {inputs}")


if __name__ == "__main__":
    main(globals(), "tritonclient")
