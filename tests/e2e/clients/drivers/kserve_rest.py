"""What KServe's InferenceRESTClient does with a server, in both protocols.

Its health calls read the answer's JSON, and an error's words are shown only where the content type is exactly
`application/json`. It never names a version.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from tests.e2e.clients.drivers.checking import Server, main
from tests.e2e.clients.drivers.samples import (
    DATATYPES,
    DOUBLED,
    HALVES,
    TEXTS,
    Array,
    agree,
    encoded,
    of_several,
    several,
)


def client(protocol: str = "v2") -> InferenceRESTClient:
    """A client of one protocol."""
    return InferenceRESTClient(RESTConfig(protocol=protocol))


def url(server: Server) -> str:
    """The server's address."""
    return f"http://{server.http}"


def request_of(model: str, inputs: Mapping[str, Array], *, binary: bool, **options: object) -> InferRequest:
    """A request, in the body's binary part or in its JSON."""
    tensors = []
    for name, array in inputs.items():
        tensor = InferInput(name, list(array.shape), DATATYPES[array.dtype.name])
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return InferRequest(model, tensors, **options)


def answered(response: InferResponse) -> dict[str, Array | None]:
    """Every output of an answer."""
    return {output.name: output.as_numpy() for output in response.outputs}


async def check_json(server: Server) -> None:
    async with client() as one:
        response = await one.infer(url(server), request_of("several", several(), binary=False), "several")
    agree(answered(response), of_several(several()))
    assert response.id
    assert response.model_name == "several"


async def check_binary_inputs(server: Server) -> None:
    async with client() as one:
        response = await one.infer(url(server), request_of("several", several(), binary=True), "several")
    agree(answered(response), of_several(several()))


async def check_binary_outputs(server: Server) -> None:
    for binary in (True, False):
        asked = request_of("several", several(), binary=binary, parameters={"binary_data_output": True})
        headers: dict[str, str] = {}
        async with client() as one:
            response = await one.infer(url(server), asked, "several", response_headers=headers)
        agree(answered(response), of_several(several()))
        assert headers["content-type"] == "application/octet-stream", headers


async def check_listed_outputs_come_in_order_each_as_it_was_asked_for(server: Server) -> None:
    wanted = [RequestedOutput("next", {"binary_data": True}), RequestedOutput("sum", {"binary_data": False})]
    asked = request_of("several", several(), binary=True, request_outputs=wanted)
    headers: dict[str, str] = {}
    async with client() as one:
        response = await one.infer(url(server), asked, "several", response_headers=headers)
    expected = of_several(several())
    agree(answered(response), {"next": expected["next"], "sum": expected["sum"]})
    assert [output.name for output in response.outputs] == ["next", "sum"]
    # What is left behind the document are three integers of four bytes.
    assert int(headers["content-length"]) - int(headers["inference-header-content-length"]) == 12, headers


async def check_half_precision_and_texts(server: Server) -> None:
    async with client() as one:
        halves = request_of("echo-half", {"x": HALVES}, binary=True, parameters={"binary_data_output": True})
        agree(answered(await one.infer(url(server), halves, "echo-half")), {"y": HALVES})
        texts = request_of("echo-strings", {"x": TEXTS}, binary=True, parameters={"binary_data_output": True})
        (output,) = (await one.infer(url(server), texts, "echo-strings")).outputs
    assert output.data == [text.decode() for text in encoded(TEXTS).ravel()], output


async def check_a_tensor_without_elements(server: Server) -> None:
    nothing = np.zeros((1, 0), np.float32)
    async with client() as one:
        for binary in (True, False):
            asked = request_of("open-length", {"x": nothing}, binary=binary, parameters={"binary_data_output": True})
            answer = await one.infer(url(server), asked, "open-length")
            # What onnxruntime takes for the mean of nothing.
            agree(answered(answer), {"mean": np.zeros(1, np.float32)})


async def check_a_plain_document(server: Server) -> None:
    document = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": DOUBLED.ravel().tolist()}]}
    async with client() as one:
        response = await one.infer(url(server), document, "doubler", headers={"x-request-timeout-ms": "20000"})
    agree(answered(response), {"y": 2 * DOUBLED})


async def check_health(server: Server) -> None:
    async with client() as one:
        assert await one.is_server_live(url(server)) is True
        assert await one.is_server_ready(url(server)) is True
        assert await one.is_model_ready(url(server), "several") is True
        assert await one.is_model_ready(url(server), "nobody") is False


async def check_the_first_protocol(server: Server) -> None:
    async with client("v1") as one:
        assert await one.is_server_live(url(server)) is True
        assert await one.is_model_ready(url(server), "doubler") is True
        answer = await one.infer(url(server), {"instances": [{"x": [1, 2, 3, 4]}, {"x": [0, 0, 0, 1]}]}, "doubler")
    assert answer == {"predictions": [[2.0, 4.0, 6.0, 8.0], [0.0, 0.0, 0.0, 2.0]]}, answer


async def check_refusals_are_read(server: Server) -> None:
    async with client() as one:
        for model, inputs, word in (("nobody", {"x": DOUBLED}, "nobody"), ("doubler", {"z": DOUBLED}, "'z'")):
            try:
                await one.infer(url(server), request_of(model, inputs, binary=True), model)
            except httpx.HTTPStatusError as error:
                assert word in str(error), error
            else:
                raise AssertionError(f"{model} took {inputs}")


async def check_requests_of_one_client_one_after_another(server: Server) -> None:
    async with client() as one:
        for number in range(32):
            row = DOUBLED + np.float32(number)
            response = await one.infer(url(server), request_of("doubler", {"x": row}, binary=True), "doubler")
            agree(answered(response), {"y": 2 * row})


if __name__ == "__main__":
    main(globals(), "kserve")
