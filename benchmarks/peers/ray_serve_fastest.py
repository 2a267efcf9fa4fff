"""Ray Serve in its fastest shape: HAProxy, throughput-optimised, plain ASGI, the model inside the ingress replica."""

# ruff: noqa: ANN401 -- ASGI has no types of its own, and a deployment none that Ray Serve names

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import options, ray_cluster

SETTINGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # The other core is for the replica; and a datagram per request to a Python process is nobody's best.
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
}
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def application(path: str, *, batched: bool) -> Asgi:
    """The ASGI application, made in the replica; `batched` runs rows that arrive together together, with no wait."""
    import orjson
    from ray import serve

    from benchmarks.peers.onnx_model import OnnxModel

    model = OnnxModel(Path(path))

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0)
    async def together(rows: list[list[float]]) -> list[dict[str, Any]]:
        return model.answers(rows)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        row = orjson.loads(body)["inputs"][0]["data"]
        content = orjson.dumps(await together(row) if batched else model.answers([row])[0])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


def deployment(path: str, replicas: int, *, batched: bool) -> Any:
    """One deployment and no handle."""
    from ray import serve

    class Ingress:
        pass

    ingress = serve.ingress(lambda: application(path, batched=batched))(Ingress)
    return serve.deployment(num_replicas=replicas, max_ongoing_requests=1000)(ingress).bind()


if __name__ == "__main__":
    given = options.read("batched", "replicas")
    # Read when Ray Serve is imported, here and in every process of the cluster.
    os.environ.update(SETTINGS)
    for setting in ("HAPROXY_STATS_PORT", "HAPROXY_METRICS_PORT", "FALLBACK_PROXY_HTTP_PORT"):
        os.environ[f"RAY_SERVE_{setting}"] = str(ray_cluster.free_port())
    app = deployment(
        str(given.models / "mlp" / "1" / "model.onnx"), int(given.replicas), batched=given.batched == "yes"
    )
    ray_cluster.run(app, given.port, given.scratch, {"enable_access_log": False, "log_level": "WARNING"})
