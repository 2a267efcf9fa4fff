"""The whole configuration, as the YAML file lays it out; what holds between sections is checked here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from serving.config.feature_sections import FeatureViewSection, Word
from serving.config.hosting import EngineSection, PoolSection, RepositorySection, StateSection
from serving.config.listeners import ControlSection, GrpcSection, HttpSection, MetricsSection
from serving.config.logs_section import LogsSection
from serving.config.near_cache_sections import FeaturesSection
from serving.config.section import Name, Section, noted
from serving.config.serving_models import CANARY, GATEWAY, TRIAL, ModelSection
from serving.config.tracing_section import TracingSection

_DEFAULT_POOL = "default"


class Settings(Section):
    """Every setting of a session; `model_dump(mode="json")` gives what `model_validate` takes back."""

    http: HttpSection = noted("Predictions over HTTP.", HttpSection())
    grpc: GrpcSection = noted("Predictions over gRPC.", GrpcSection())
    metrics: MetricsSection = noted("Prometheus metrics.", MetricsSection())
    logs: LogsSection = noted("What is written down of a running session.", LogsSection())
    tracing: TracingSection = noted("Traces of requests.", TracingSection())
    control: ControlSection = noted("The control API.", ControlSection())
    engine: EngineSection = noted("What hosts the models.", EngineSection())
    repository: RepositorySection = noted("Where models are read from.", RepositorySection())
    state: StateSection = noted("Redis or Valkey.", StateSection())
    pools: dict[Name, PoolSection] = noted("Pools by name.", default_factory=lambda: {_DEFAULT_POOL: PoolSection()})
    models: dict[str, ModelSection] = noted(
        "Models by name; a model of the repository that is not named here is served with defaults.",
        default_factory=dict,
    )
    features: FeaturesSection = noted("How features are read.", FeaturesSection())
    feature_views: dict[Word, FeatureViewSection] = noted(
        "What is known of entities, by the view's name; rows are in the features Redis.", default_factory=dict
    )

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Self:
        problems = [*self._misplaced_models(), *self._out_of_reach(), *self._unknown_features(), *self._not_installed()]
        if problems:
            raise PydanticCustomError("sections", "{problems}", {"problems": "\n".join(problems)})
        return self

    def _misplaced_models(self) -> Iterator[str]:
        if GATEWAY in self.pools:
            yield f"pools.{GATEWAY}: the name is taken; a model with pool {GATEWAY} runs inside the gateway's workers"
        for name in self.pools:
            if name.endswith(TRIAL):
                yield f"pools.{name}: names that end in {TRIAL} are taken, for the versions under trial of other pools"
            if name.endswith(CANARY):
                yield f"pools.{name}: names that end in {CANARY} are taken, for the canaries of rollouts"
        for name, model in self.models.items():
            if model.pool != GATEWAY and model.pool not in self.pool_names():
                known = ", ".join([*self.pool_names(), GATEWAY])
                yield f"models.{name}.pool: there is no pool {model.pool!r}; permitted: {known}"

    def _out_of_reach(self) -> Iterator[str]:
        if self.engine.kind != "external":
            return
        if self.state.control_url == "embedded":
            yield "state.control_url: the engine external needs the address of the Redis that its pools register with"
        for name, pool in self.pools.items():
            if pool.transport != "stream":
                yield f"pools.{name}.transport: the engine external reaches its pools over the tensor stream only"

    def _not_installed(self) -> Iterator[str]:
        if self.features.served_log.folder is not None and find_spec("pyarrow") is None:
            yield "features.served_log.folder: needs pyarrow: pip install 'sluice-gateway[parquet]'"

    def _unknown_features(self) -> Iterator[str]:
        if "request" in self.feature_views:
            yield "feature_views.request: the name is taken, for what the caller sends"
        for name, model in self.models.items():
            for one in model.inputs:
                yield from (f"models.{name}.inputs: {text}" for text in one.strangers(self.feature_views))

    def pool_names(self) -> list[str]:
        """The pools that a model can name, but for the gateway."""
        return list(dict.fromkeys([_DEFAULT_POOL, *self.pools]))

    def pool(self, name: str) -> PoolSection:
        """A pool's settings, or those of the pool that it stands beside; default exists without being named."""
        if name.endswith(CANARY):
            name = self.model(name.removesuffix(CANARY)).pool
        return self.pools.get(name.removesuffix(TRIAL), PoolSection())

    def model(self, name: str) -> ModelSection:
        """A model's settings; defaults for one that is not named."""
        return self.models.get(name, ModelSection())
