"""The sections that say where models come from, where they run, and where state is kept."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from serving.config.section import Section, StateUrl, noted
from serving.errors import ConfigInvalid
from serving.features.store.store_address import SCHEMES, parse_store


def features_url(value: str) -> str:
    """`embedded`, or an address that gateways and commands can use.

    Raises:
        PydanticCustomError: it is no address, or has an option, a port or a database that nobody knows.
    """
    if value != "embedded":
        try:
            parse_store(value)
        except ConfigInvalid as error:
            raise PydanticCustomError("features_url", "{problem}", {"problem": error.message}) from error
    return value


Slots = Annotated[int, Field(ge=1, le=256)] | Literal["auto"]
_PERMITTED = f"embedded, {'://, '.join(SCHEMES[:-1])}:// or {SCHEMES[-1]}://"
FeaturesUrl = Annotated[str, AfterValidator(features_url), Field(json_schema_extra={"permitted": _PERMITTED})]


class EngineSection(Section):
    """What hosts the models."""

    kind: Literal["ray", "in-process", "external"] = noted(
        "ray: replicas in processes of their own, on a Ray cluster of the session's own; in-process: inside the "
        "gateway workers, without Ray and Redis; external: replicas that others run (`deployments.serve_app` on a Ray "
        "cluster), found through `state.control_url`, with their secret in SLUICE_POOL_SECRET.",
        "ray",
    )


class RepositorySection(Section):
    """Where models are read from."""

    models_dir: str | None = noted("Folder with `<model>/<version>/model.onnx`.", None, min_length=1)


class StateSection(Section):
    """Redis or Valkey; two servers, since an evicting cache must not evict a routing table.

    The in-process engine uses the one of features only if a model takes features of a view, and the other one only with
    `rollouts`.
    """

    control_url: StateUrl = noted("Routing table, members of pools, and rollouts.", "embedded")
    rollouts: bool = noted(
        "true: the in-process engine has the state of `control_url` too, without which nothing can be rolled out. "
        "Sessions that share one share its routing table.",
        default=False,
    )
    features_url: FeaturesUrl = noted(
        "Features. With TLS `rediss://USER:PASSWORD@HOST:6379/0`, and as options after `?` the files `ssl_ca_certs` "
        "(else the machine's authorities are trusted), `ssl_certfile` and `ssl_keyfile`; characters of a password that "
        "an address gives a meaning to are percent-encoded. A cluster: `redis+cluster://HOST:PORT,HOST:PORT`; a master "
        "that Sentinels know: `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/0`, into which one gets with the options "
        "`sentinel_username` and `sentinel_password`; both with TLS as `rediss+`. With `read_from=replica` rows "
        "are read from replicas, and from masters where none answers.",
        "embedded",
    )
    features_timeout_ms: int = noted(
        "Longest wait for one read of features; then models answer by their `on_missing`.", 50, ge=1, le=60_000
    )
    features_deadline_percent: float = noted(
        "Of what is left of a request's deadline when its features are asked for, reading them may take so much, where "
        "that is less than `features_timeout_ms`; the rest is for its model.",
        50.0,
        ge=1,
        le=100,
    )
    features_hedge_percent: float = noted(
        "Of 100 reads of features, so many may be asked of a replica as well when the master takes longer than 95 of "
        "100 did; the answer that comes first counts. A replica may be behind its master. 0 asks masters only.",
        0.0,
        ge=0,
        le=5,
    )
    features_memory_mb: int = noted("Memory of the embedded feature cache.", 256, ge=16, le=1 << 20)
    dir: str | None = noted(
        "Folder for what a gateway needs when it starts without Redis (last table and members), and for what was "
        "learned of run times; by default it lives and ends with the session.",
        None,
        min_length=1,
    )


class PoolSection(Section):
    """One Ray Serve deployment whose replicas each host all versions of the pool."""

    min_replicas: int = noted("Fewest replicas.", 1, ge=1, le=10_000)
    max_replicas: int = noted(
        "Most replicas. With more than `min_replicas` their number follows the load: more, at most twice as many at "
        "once, where requests wait for over half of what their model's `latency_slo_ms` (else `deadline_ms`) leaves "
        "beside a run; one fewer where nobody waits and the others would be busy for 60 % of the time at most.",
        1,
        ge=1,
        le=10_000,
    )
    scale_up_delay_s: float = noted(
        "Seconds for which requests must have waited too long without a break before replicas are added.",
        5.0,
        ge=0,
        le=86_400,
    )
    scale_down_delay_s: float = noted(
        "Seconds for which a replica must have been too many without a break before one is taken away.",
        300.0,
        ge=0,
        le=86_400,
    )
    memory_mb: int = noted("Memory that a replica asks Ray for.", 2_048, ge=64, le=1 << 22)
    num_cpus: float = noted("Processors that a replica asks Ray for.", 1.0, ge=0, le=1_024)
    slots: Slots = noted(
        "Batches that run at the same time in one replica; as many that run for more than 2 ms run beside them. auto: "
        "each replica measures when it starts, and takes one more, up to four and to its `num_cpus`, as long as that "
        "brings at least half of what the first one does.",
        1,
    )
    hedge_percent: float = noted(
        "Of 100 batches, so many may be sent to a second replica as well when the first one takes longer than 99 of "
        "100 are expected to; the answer that comes first counts. Never for requests of low priority.",
        0.0,
        ge=0,
        le=20,
    )
    look_us: int = noted(
        "Microseconds for which a replica looks for the next batch before it sleeps, where batches of few rows come "
        "right after one another from one gateway worker; 0 sleeps at once.",
        200,
        ge=0,
        le=10_000,
    )

    transport: Literal["stream", "serve_handle"] = noted(
        "How gateways reach the replicas of `sluice up`'s own cluster. stream: our tensor stream; serve_handle: Ray "
        "Serve's own handle, which takes milliseconds and makes each worker a part of the Ray cluster; for comparison, "
        "and to fall back on.",
        "stream",
    )

    @property
    def fixed_slots(self) -> int:
        """0 where each replica finds out."""
        return 0 if self.slots == "auto" else self.slots

    @model_validator(mode="after")
    def _slots_known(self) -> Self:
        if self.slots == "auto" and self.transport != "stream":
            raise PydanticCustomError(
                "slots",
                "with the transport {transport} no replica tells how many slots it has found; write a number for slots",
                {"transport": self.transport},
            )
        return self

    @model_validator(mode="after")
    def _replicas_in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise PydanticCustomError(
                "replicas",
                "min_replicas {fewest} is more than max_replicas {most}",
                {"fewest": self.min_replicas, "most": self.max_replicas},
            )
        if self.max_replicas > self.min_replicas and self.transport != "stream":
            raise PydanticCustomError(
                "replicas",
                "with the transport {transport} the number of replicas cannot follow the load; write the same number "
                "for min_replicas and max_replicas",
                {"transport": self.transport},
            )
        return self
