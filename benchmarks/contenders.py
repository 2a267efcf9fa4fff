"""Who is measured: one entry for each contender, naming the program that starts it and what is special about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.install import (
    BENTOML_PYTHON,
    KSERVE_PYTHON,
    LITSERVE_PYTHON,
    MLSERVER_PYTHON,
    PEERS_PYTHON,
    PYTRITON_PYTHON,
)
from benchmarks.workload import WORKLOADS

ROOT = Path(__file__).parent.parent
PROJECT_PYTHON = Path(sys.executable)
COPY = tuple(name for name in WORKLOADS if name.startswith("copy-"))
LARGE = ("frames", "text", *COPY)
# In JSON and as messages, for those who know both.
BOTH = ("mlp", "grpc")


@dataclass(frozen=True, slots=True)
class Contender:
    """`family` groups contenders whose best is meant by a target; `arguments` are those of its program alone.

    `computes` is False for one that sends a fixed answer. `root` is the checkout whose program it is.
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
    root: Path = ROOT

    def command(self, ports: tuple[int, int, int], models: Path, scratch: Path) -> list[str]:
        """What starts it, from the checkout's root; `ports` are HTTP's, gRPC's and that of the metrics."""
        named = zip(("--port", "--grpc-port", "--metrics-port"), ports, strict=True)
        options = {**dict(named), "--models": models, "--scratch": scratch}
        flags = [text for name, value in options.items() for text in (name, str(value))]
        given = [argument.format(models=models) for argument in self.arguments]
        return [str(self.python), "-m", f"benchmarks.peers.{self.program}", *flags, *given]


def _sluice(name: str, title: str, engine: str, workers: int) -> Contender:
    arguments = ("--engine", engine, "--workers", str(workers))
    workloads = ("mlp", "gbdt", "flights", "binary", "grpc", *LARGE) if workers == 1 else ("mlp", "flights")
    return Contender(name, title, "sluice", "sluice", PROJECT_PYTHON, arguments, workloads, ready_s=90)


def _entities(name: str, title: str, near_mb: int) -> Contender:
    arguments = ("--engine", "ray", "--near-mb", str(near_mb))
    return Contender(name, title, "sluice", "sluice_entities", PROJECT_PYTHON, arguments, ("entities", "mlp"), 90)


def _mosec(name: str, title: str, wait_ms: int, max_batch: int) -> Contender:
    # One worker: on two cores a second one added nothing, as the client and the server of mosec need the other.
    arguments = ("--wait-ms", str(wait_ms), "--max-batch", str(max_batch), "--workers", "1")
    family = "mosec" if max_batch > 1 else "mosec-unbatched"
    return Contender(name, title, family, "mosec_server", PEERS_PYTHON, arguments, ("mlp", "gbdt"))


def _mlserver(name: str, title: str, max_batch: int) -> Contender:
    arguments = ("--max-batch", str(max_batch))
    return Contender(name, title, "mlserver", "mlserver_server", MLSERVER_PYTHON, arguments, BOTH)


def _ray_fastest(name: str, title: str, batched: str) -> Contender:
    # Two: HAProxy and client leave enough of two cores that a second replica adds more than it takes.
    arguments = ("--batched", batched, "--replicas", "2")
    return Contender(name, title, "ray-serve", "ray_serve_fastest", PEERS_PYTHON, arguments, ready_s=120)


CONTENDERS = (
    _sluice("sluice-ray", "Sluice, Ray pool", "ray", 1),
    _sluice("sluice-ray-2", "Sluice, Ray pool, two gateway workers", "ray", 2),
    _sluice("sluice-in-process", "Sluice, in-process engine", "in-process", 1),
    _sluice("sluice-in-process-2", "Sluice, in-process engine, two gateway workers", "in-process", 2),
    _entities("sluice-entities", "Sluice, Ray pool, feature views, no near cache", 0),
    _entities("sluice-entities-warm", "Sluice, Ray pool, feature views, near cache", 64),
    Contender(
        "fastapi-redis", "FastAPI + redis-py + onnxruntime by hand", "fastapi-redis", "fastapi_redis", PEERS_PYTHON,
        workloads=("entities",),
    ),
    Contender(
        "bare", "bare httptools + uvloop handler, model inline", "bare", "bare_handler", PEERS_PYTHON,
        workloads=("mlp", "gbdt", "flights"),
    ),
    Contender(
        "bare-binary", "bare httptools + uvloop handler, np.frombuffer, model inline", "bare", "bare_binary",
        PEERS_PYTHON, workloads=("binary", "frames"),
    ),
    Contender("plain-copy", "uvloop, the body sent back", "copy", "plain_copy", PEERS_PYTHON, workloads=COPY),
    Contender(
        "grpc-echo", "grpc.aio, a fixed message", "grpc-echo", "grpc_echo", PEERS_PYTHON, workloads=("grpc",),
    ),
    Contender("kserve", "KServe, model inline", "kserve", "kserve_server", KSERVE_PYTHON, workloads=BOTH),
    _mlserver("mlserver-64", "MLServer, adaptive batches of 64", 64),
    _mlserver("mlserver-unbatched", "MLServer, no batches", 0),
    Contender(
        "bentoml-64", "BentoML, adaptive batches of 64", "bentoml", "bentoml_server", BENTOML_PYTHON,
        ("--max-batch", "64"),
    ),
    Contender(
        "bentoml-unbatched", "BentoML, no batches", "bentoml", "bentoml_server", BENTOML_PYTHON, ("--max-batch", "1"),
    ),
    Contender(
        "litserve-64", "LitServe, batches of 64, no wait", "litserve", "litserve_server", LITSERVE_PYTHON,
        ("--max-batch", "64", "--wait-ms", "0"),
    ),
    Contender(
        "pytriton-64", "PyTriton, dynamic batches of 64, no wait", "pytriton", "pytriton_server", PYTRITON_PYTHON,
        ("--max-batch", "64", "--wait-us", "0"), BOTH,
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


def earlier(checkout: Path) -> tuple[Contender, ...]:
    """Sluice as another checkout has it, with the environment that was installed there."""
    python = checkout.resolve() / ".venv" / "bin" / "python"
    return tuple(
        replace(contender, name=f"{name}-earlier", title=f"{contender.title}, earlier", python=python, root=checkout)
        for name in ("sluice-ray", "sluice-in-process")
        for contender in CONTENDERS
        if contender.name == name
    )
