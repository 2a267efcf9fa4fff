"""Who is measured: one entry for each contender, naming the program that starts it and what is special about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.install import PEERS_PYTHON

PROJECT_PYTHON = Path(sys.executable)


@dataclass(frozen=True, slots=True)
class Contender:
    """`family` groups contenders whose best is meant by a target; `arguments` are those of its program alone.

    `computes` is False for one that sends a fixed answer.
    """

    name: str
    title: str
    family: str
    program: str
    python: Path
    arguments: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ("mlp",)
    ready_s: float = 60.0
    computes: bool = True

    def command(self, port: int, metrics_port: int, models: Path, scratch: Path) -> list[str]:
        """What starts it, from the checkout's root."""
        options = {"--port": port, "--metrics-port": metrics_port, "--models": models, "--scratch": scratch}
        flags = [text for name, value in options.items() for text in (name, str(value))]
        given = [argument.format(models=models) for argument in self.arguments]
        return [str(self.python), "-m", f"benchmarks.peers.{self.program}", *flags, *given]


def _sluice(name: str, title: str, engine: str, workers: int) -> Contender:
    arguments = ("--engine", engine, "--workers", str(workers))
    return Contender(name, title, "sluice", "sluice", PROJECT_PYTHON, arguments, ("mlp", "flights"), ready_s=90)


def _entities(name: str, title: str, engine: str) -> Contender:
    arguments = ("--engine", engine)
    return Contender(name, title, "sluice", "sluice_entities", PROJECT_PYTHON, arguments, ("entities", "mlp"), 90)


def _mosec(name: str, title: str, wait_ms: int, max_batch: int) -> Contender:
    # One worker: on two cores a second one added nothing, as the client and the server of mosec need the other.
    arguments = ("--wait-ms", str(wait_ms), "--max-batch", str(max_batch), "--workers", "1")
    return Contender(
        name, title, "mosec" if max_batch > 1 else "mosec-unbatched", "mosec_server", PEERS_PYTHON, arguments
    )


def _ray_fastest(name: str, title: str, batched: str) -> Contender:
    # Two: HAProxy and client leave enough of two cores that a second replica adds more than it takes.
    arguments = ("--batched", batched, "--replicas", "2")
    return Contender(name, title, "ray-serve", "ray_serve_fastest", PEERS_PYTHON, arguments, ready_s=120)


CONTENDERS = (
    _sluice("sluice-ray", "Sluice, Ray pool", "ray", 1),
    _sluice("sluice-ray-2", "Sluice, Ray pool, two gateway workers", "ray", 2),
    _sluice("sluice-in-process", "Sluice, in-process engine", "in-process", 1),
    _sluice("sluice-in-process-2", "Sluice, in-process engine, two gateway workers", "in-process", 2),
    _entities("sluice-entities", "Sluice, Ray pool, feature views", "ray"),
    Contender(
        "fastapi-redis", "FastAPI + redis-py + onnxruntime by hand", "fastapi-redis", "fastapi_redis", PEERS_PYTHON,
        workloads=("entities",),
    ),
    Contender(
        "bare", "bare httptools + uvloop handler, model inline", "bare", "bare_handler", PEERS_PYTHON,
        workloads=("mlp", "flights"),
    ),
    Contender(
        "nginx", "nginx, static answer (the bound)", "bound", "static_nginx", PROJECT_PYTHON,
        ("--answer", "{models}/answer.json"), computes=False,
    ),
    _mosec("mosec-0", "mosec, batches of 64, no wait", 0, 64),
    _mosec("mosec-1", "mosec, batches of 64, 1 ms wait", 1, 64),
    _mosec("mosec-unbatched", "mosec, no batches", 0, 1),
    Contender("fastapi", "FastAPI + pydantic + uvicorn", "fastapi", "fastapi_server", PEERS_PYTHON),
    Contender("ray-serve", "Ray Serve, all defaults", "ray-serve", "ray_serve_stock", PEERS_PYTHON, ready_s=120),
    _ray_fastest("ray-serve-fastest", "Ray Serve, HAProxy, model and @serve.batch in the ingress replica", "yes"),
    _ray_fastest("ray-serve-inline", "Ray Serve, HAProxy, model inline in the ingress replica", "no"),
)  # fmt: skip
