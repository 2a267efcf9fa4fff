"""What tritonclient.http.aio does with a server: it sends `application/octet-stream` and many requests at once."""

from __future__ import annotations

import asyncio

import numpy as np
import tritonclient.http.aio as triton
from tritonclient.utils import InferenceServerException

from tests.e2e.clients.drivers.checking import Server, main
from tests.e2e.clients.drivers.samples import DOUBLED, TEXTS, agree, encoded, of_several, several
from tests.e2e.clients.drivers.tritonclient_http import answered, binary_outputs, tensors


async def check_binary_both_ways(server: Server) -> None:
    async with triton.InferenceServerClient(server.http) as one:
        result = await one.infer("several", tensors(several()))
        agree(answered(result), of_several(several()))
        assert binary_outputs(result) == [True] * 3


async def check_json_inputs_and_texts(server: Server) -> None:
    async with triton.InferenceServerClient(server.http) as one:
        agree(answered(await one.infer("several", tensors(several(), binary=False))), of_several(several()))
        agree(answered(await one.infer("echo-strings", tensors({"x": TEXTS}))), {"y": encoded(TEXTS)})


async def check_requests_at_once(server: Server) -> None:
    async with triton.InferenceServerClient(server.http) as one:
        results = await asyncio.gather(
            *[one.infer("doubler", tensors({"x": DOUBLED + np.float32(number)})) for number in range(64)]
        )
    for number, result in enumerate(results):
        agree(answered(result), {"y": 2 * (DOUBLED + np.float32(number))})


async def check_compression_both_ways(server: Server) -> None:
    async with triton.InferenceServerClient(server.http) as one:
        for coding in ("gzip", "deflate"):
            result = await one.infer(
                "several",
                tensors(several(2000)),
                request_compression_algorithm=coding,
                response_compression_algorithm=coding,
            )
            agree(answered(result), of_several(several(2000)))


async def check_health_metadata_and_index(server: Server) -> None:
    async with triton.InferenceServerClient(server.http) as one:
        assert await one.is_server_live()
        assert await one.is_server_ready()
        assert await one.is_model_ready("several")
        assert not await one.is_model_ready("nobody")
        assert (await one.get_model_metadata("several"))["name"] == "several"
        assert (await one.get_model_config("several"))["name"] == "several"
        assert any(found["name"] == "several" for found in await one.get_model_repository_index())
        assert (await one.get_inference_statistics("several"))["model_stats"][0]["name"] == "several"


async def check_refusals_are_read(server: Server) -> None:
    async with triton.InferenceServerClient(server.http) as one:
        try:
            await one.infer("nobody", tensors({"x": DOUBLED}))
        except InferenceServerException as error:
            assert "nobody" in str(error), error
            assert "exception occurred in the client" not in str(error), error
        else:
            raise AssertionError("an unknown model answered")


if __name__ == "__main__":
    main(globals(), "tritonclient")
