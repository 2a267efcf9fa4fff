"""What tritonclient.grpc does with a server: it always sends raw contents, and reads nothing but raw contents."""

from __future__ import annotations

import queue
from collections.abc import Mapping

import numpy as np
import tritonclient.grpc as triton
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

PATIENCE_S = 30


def client(server: Server) -> triton.InferenceServerClient:
    """A client of the server."""
    return triton.InferenceServerClient(server.grpc)


def tensors(inputs: Mapping[str, Array]) -> list[triton.InferInput]:
    """Inputs as raw contents."""
    made = [triton.InferInput(name, list(array.shape), DATATYPES[array.dtype.name]) for name, array in inputs.items()]
    return [tensor.set_data_from_numpy(array) for tensor, array in zip(made, inputs.values(), strict=True)]


def answered(result: triton.InferResult) -> dict[str, Array | None]:
    """Every output of an answer."""
    return {one.name: result.as_numpy(one.name) for one in result.get_response().outputs}


def check_all_outputs_since_none_was_listed(server: Server) -> None:
    agree(answered(client(server).infer("several", tensors(several()))), of_several(several()))


def check_listed_outputs_come_in_order(server: Server) -> None:
    wanted = [triton.InferRequestedOutput("next"), triton.InferRequestedOutput("sum")]
    result = client(server).infer("several", tensors(several()), outputs=wanted)
    expected = of_several(several())
    agree(answered(result), {"next": expected["next"], "sum": expected["sum"]})
    assert [one.name for one in result.get_response().outputs] == ["next", "sum"]


def check_texts_with_zero_bytes_and_beyond_ascii(server: Server) -> None:
    agree(answered(client(server).infer("echo-strings", tensors({"x": TEXTS}))), {"y": encoded(TEXTS)})


def check_half_precision_of_both_kinds_and_the_widest_integers(server: Server) -> None:
    one = client(server)
    agree(answered(one.infer("echo-bfloat16", tensors({"x": BRAIN}))), {"y": BRAIN})
    agree(answered(one.infer("echo-half", tensors({"x": HALVES}))), {"y": HALVES})
    agree(answered(one.infer("echo-int64", tensors({"x": WHOLE}))), {"y": WHOLE})


def check_single_values(server: Server) -> None:
    one = client(server)
    agree(answered(one.infer("scalar", tensors({"x": np.array(1.5, np.float32)}))), {"y": np.array(2.5, np.float32)})


def check_compression_and_a_message_over_four_megabytes(server: Server) -> None:
    large = np.array([["ü" * 2_000_000, "x" * 1_500_000]], object)
    for coding in ("gzip", "deflate", None):
        result = client(server).infer("echo-strings", tensors({"x": large}), compression_algorithm=coding)
        agree(answered(result), {"y": encoded(large)})


def check_id_version_priority_timeout_and_parameters(server: Server) -> None:
    result = client(server).infer(
        "doubler",
        tensors({"x": DOUBLED}),
        model_version="1",
        request_id="a request, №1",
        priority=2,
        timeout=30_000_000,
        client_timeout=PATIENCE_S,
        parameters={"note": "of the caller's own"},
    )
    agree(answered(result), {"y": 2 * DOUBLED})
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("a request, №1", "doubler", "1"), response


def check_requests_at_once(server: Server) -> None:
    ended: queue.Queue[tuple[int, triton.InferResult, object]] = queue.Queue()
    one = client(server)
    for number in range(64):
        inputs = tensors({"x": DOUBLED + np.float32(number)})
        one.async_infer("doubler", inputs, lambda result, error, number=number: ended.put((number, result, error)))
    for number, result, error in [ended.get(timeout=PATIENCE_S) for _ in range(64)]:
        assert error is None, error
        agree(answered(result), {"y": 2 * (DOUBLED + np.float32(number))})


def check_requests_that_are_cancelled_are_told_so_and_the_others_are_answered(server: Server) -> None:
    ended: queue.Queue[tuple[int, triton.InferResult, object]] = queue.Queue()
    one = client(server)
    calls = []
    for number in range(32):
        inputs = tensors({"x": DOUBLED + np.float32(number)})
        calls.append(
            one.async_infer("slow", inputs, lambda result, error, number=number: ended.put((number, result, error)))
        )
    for call in calls[16:]:
        call.cancel()
    cancelled = set()
    for number, result, error in [ended.get(timeout=PATIENCE_S) for _ in calls]:
        if error is None:
            agree(answered(result), {"y": 2 * (DOUBLED + np.float32(number))})
        else:
            assert "cancel" in str(error).lower(), error
            cancelled.add(number)
    assert cancelled, "all of them were answered before"
    assert cancelled <= set(range(16, 32)), cancelled


def check_a_stream_of_requests(server: Server) -> None:
    ended: queue.Queue[tuple[triton.InferResult, object]] = queue.Queue()
    one = client(server)
    one.start_stream(lambda result, error: ended.put((result, error)))
    for number in range(64):
        one.async_stream_infer("doubler", tensors({"x": DOUBLED + np.float32(number)}), request_id=str(number))
    for result, error in [ended.get(timeout=PATIENCE_S) for _ in range(64)]:
        assert error is None, error
        agree(answered(result), {"y": 2 * (DOUBLED + np.float32(int(result.get_response().id)))})
    one.async_stream_infer("nobody", tensors({"x": DOUBLED}))
    result, error = ended.get(timeout=PATIENCE_S)
    assert result is None, result
    assert "nobody" in str(error), error
    # One refusal ends no stream.
    one.async_stream_infer("doubler", tensors({"x": DOUBLED}), enable_empty_final_response=True)
    result, error = ended.get(timeout=PATIENCE_S)
    assert error is None, error
    assert result.get_response().parameters["triton_final_response"].bool_param
    agree(answered(result), {"y": 2 * DOUBLED})
    one.stop_stream()


def check_health(server: Server) -> None:
    one = client(server)
    assert one.is_server_live()
    assert one.is_server_ready()
    assert one.is_model_ready("several")
    assert one.is_model_ready("several", "1")


def check_metadata(server: Server) -> None:
    one = client(server)
    assert one.get_server_metadata().name
    found = one.get_model_metadata("several", "1")
    assert (found.name, list(found.versions)) == ("several", ["1"])
    assert {tensor.name: (tensor.datatype, list(tensor.shape)) for tensor in found.inputs}["a"] == ("FP32", [-1, 2])


def check_configuration(server: Server) -> None:
    found = client(server).get_model_config("several").config
    assert found.name == "several"
    assert [one.name for one in found.output] == ["sum", "kept", "next"]


def check_repository_index(server: Server) -> None:
    found = {(one.name, one.version): one.state for one in client(server).get_model_repository_index().models}
    assert found["several", "1"] == "READY"


def check_statistics_count_rows_and_batches(server: Server) -> None:
    one = client(server)
    (before,) = one.get_inference_statistics("fixed-batch", "1").model_stats
    one.infer("fixed-batch", tensors({"x": np.ones((4, 3), np.float32)}))
    (after,) = one.get_inference_statistics("fixed-batch", "1").model_stats
    assert after.execution_count == before.execution_count + 1
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns


def check_refusals_have_their_status_and_words(server: Server) -> None:
    wrong = (
        ("nobody", {"x": DOUBLED}, "NOT_FOUND", "nobody"),
        ("doubler", {"x": DOUBLED[:, :3]}, "INVALID_ARGUMENT", "shape"),
        ("doubler", {"z": DOUBLED}, "INVALID_ARGUMENT", "z"),
        ("echo-double", {"x": np.zeros((0, 2), np.float64)}, "INVALID_ARGUMENT", "no rows"),
    )
    for model, inputs, status, word in wrong:
        try:
            client(server).infer(model, tensors(inputs))
        except InferenceServerException as error:
            assert status in str(error.status()), error
            assert word in str(error.message()), error
        else:
            raise AssertionError(f"{model} took {inputs}")


def check_a_deadline_that_is_over_is_told_so(server: Server) -> None:
    # The last number is how many rounds of some microseconds the run takes.
    long = np.array([[1, 0, 0, 50_000]], np.float32)
    try:
        client(server).infer("telling", tensors({"x": long}), client_timeout=0.01)
    except InferenceServerException as error:
        assert "DEADLINE_EXCEEDED" in str(error.status()), error
    else:
        raise AssertionError("answered in less time than a run takes")


if __name__ == "__main__":
    main(globals(), "tritonclient")
