"""What KServe's InferenceGRPCClient does with a server: raw contents, typed contents, health."""

from __future__ import annotations

import asyncio

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferRequest
from kserve.protocol.infer_type import RequestedOutput

from tests.e2e.clients.drivers.checking import Server, main
from tests.e2e.clients.drivers.kserve_rest import answered, request_of
from tests.e2e.clients.drivers.samples import DOUBLED, HALVES, TEXTS, agree, encoded, of_several, several


async def check_raw_contents(server: Server) -> None:
    async with InferenceGRPCClient(server.grpc) as one:
        response = await one.infer(request_of("several", several(), binary=True))
        agree(answered(response), of_several(several()))
        response = await one.infer(request_of("echo-half", {"x": HALVES}, binary=True))
        agree(answered(response), {"y": HALVES})


async def check_typed_contents(server: Server) -> None:
    async with InferenceGRPCClient(server.grpc) as one:
        response = await one.infer(request_of("several", several(), binary=False))
        agree(answered(response), of_several(several()))
        response = await one.infer(request_of("echo-strings", {"x": TEXTS}, binary=False))
        agree(answered(response), {"y": encoded(TEXTS)})


async def check_id_version_and_outputs(server: Server) -> None:
    asked = request_of("several", several(), binary=True, request_id="17", request_outputs=[RequestedOutput("next")])
    asked.model_version = "1"
    async with InferenceGRPCClient(server.grpc) as one:
        response = await one.infer(asked)
    agree(answered(response), {"next": of_several(several())["next"]})
    assert (response.id, response.model_name, response.model_version) == ("17", "several", "1"), response


async def check_requests_at_once(server: Server) -> None:
    def asked(number: int) -> InferRequest:
        return request_of("doubler", {"x": DOUBLED + np.float32(number)}, binary=True)

    async with InferenceGRPCClient(server.grpc) as one:
        responses = await asyncio.gather(*[one.infer(asked(number)) for number in range(64)])
    for number, response in enumerate(responses):
        agree(answered(response), {"y": 2 * (DOUBLED + np.float32(number))})


async def check_health(server: Server) -> None:
    async with InferenceGRPCClient(server.grpc) as one:
        assert await one.is_server_live() is True
        assert await one.is_server_ready() is True
        assert await one.is_model_ready("several") is True


async def check_refusals_have_their_status_and_words(server: Server) -> None:
    async with InferenceGRPCClient(server.grpc) as one:
        try:
            await one.infer(request_of("nobody", {"x": DOUBLED}, binary=True))
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND, error
            assert "nobody" in error.details(), error
        else:
            raise AssertionError("an unknown model answered")


if __name__ == "__main__":
    main(globals(), "kserve")
