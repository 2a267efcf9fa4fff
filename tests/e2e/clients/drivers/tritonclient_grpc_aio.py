"""What tritonclient.grpc.aio does with a server: unary requests and a stream on one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from tests.e2e.clients.drivers.checking import Server, main
from tests.e2e.clients.drivers.samples import DOUBLED, TEXTS, agree, encoded, of_several, several
from tests.e2e.clients.drivers.tritonclient_grpc import answered, tensors


async def check_requests_at_once(server: Server) -> None:
    async with triton.InferenceServerClient(server.grpc) as one:
        results = await asyncio.gather(
            *[one.infer("doubler", tensors({"x": DOUBLED + np.float32(number)})) for number in range(64)]
        )
    for number, result in enumerate(results):
        agree(answered(result), {"y": 2 * (DOUBLED + np.float32(number))})


async def check_several_datatypes(server: Server) -> None:
    async with triton.InferenceServerClient(server.grpc) as one:
        agree(answered(await one.infer("several", tensors(several()))), of_several(several()))
        agree(answered(await one.infer("echo-strings", tensors({"x": TEXTS}))), {"y": encoded(TEXTS)})


async def check_a_stream_of_requests(server: Server) -> None:
    async def asked() -> AsyncIterator[dict[str, object]]:
        for number in range(64):
            inputs = tensors({"x": DOUBLED + np.float32(number)})
            yield {"model_name": "doubler", "inputs": inputs, "request_id": str(number)}
            await asyncio.sleep(0)

    found = set()
    async with triton.InferenceServerClient(server.grpc) as one:
        async for result, error in one.stream_infer(asked()):
            assert error is None, error
            number = int(result.get_response().id)
            agree(answered(result), {"y": 2 * (DOUBLED + np.float32(number))})
            found.add(number)
    assert found == set(range(64)), found


async def check_a_stream_that_is_cancelled(server: Server) -> None:
    async def asked() -> AsyncIterator[dict[str, object]]:
        while True:
            yield {"model_name": "doubler", "inputs": tensors({"x": DOUBLED})}
            await asyncio.sleep(0.01)

    async with triton.InferenceServerClient(server.grpc) as one:
        stream = one.stream_infer(asked())
        result, error = await anext(aiter(stream))
        assert error is None, error
        agree(answered(result), {"y": 2 * DOUBLED})
        stream.cancel()
        agree(answered(await one.infer("doubler", tensors({"x": DOUBLED}))), {"y": 2 * DOUBLED})


async def check_health_metadata_and_statistics(server: Server) -> None:
    async with triton.InferenceServerClient(server.grpc) as one:
        assert await one.is_server_live()
        assert await one.is_server_ready()
        assert await one.is_model_ready("several")
        assert (await one.get_model_metadata("several")).name == "several"
        assert (await one.get_model_config("several")).config.name == "several"
        assert any(found.name == "several" for found in (await one.get_model_repository_index()).models)
        assert (await one.get_inference_statistics("several")).model_stats[0].name == "several"


async def check_refusals_have_their_status_and_words(server: Server) -> None:
    async with triton.InferenceServerClient(server.grpc) as one:
        try:
            await one.infer("nobody", tensors({"x": DOUBLED}))
        except InferenceServerException as error:
            assert "NOT_FOUND" in str(error.status()), error
            assert "nobody" in str(error.message()), error
        else:
            raise AssertionError("an unknown model answered")


if __name__ == "__main__":
    main(globals(), "tritonclient")
