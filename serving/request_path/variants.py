"""Who answers: each route's versions as live variants, each with its backend, its queue and its checks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from serving.backends.backend import Backend
from serving.batching.micro_batcher import MicroBatcher
from serving.batching.row_queue import Span
from serving.errors import NotReady, UnknownModel
from serving.features.plan import ReadPlan
from serving.features.plan_in_use import PlanInUse
from serving.inference import Holder, Hosted, Request, VersionKey
from serving.request_path.copies import behind_all
from serving.request_path.intake import Intake
from serving.request_path.queues import Queues
from serving.request_path.read_plans import NO_PLANS, Plan, ReadPlans
from serving.request_path.trials import Trials, stood_in
from serving.routing.split import STABLE, Buckets, choose_split, named_split
from serving.routing.table import EMPTY, Route, RouteTable, Served

# A version that no split names, asked for by its path.
DIRECT = "direct"
# A version that gets copies of what stable answered, and answers nobody.
SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Variant:
    """A version in a role, ready to be asked."""

    name: str
    key: VersionKey
    served: Served
    hosted: Hosted
    backend: Backend
    intake: Intake
    batcher: MicroBatcher
    most_rows: int
    holders: tuple[Holder, ...]
    deadline_s: float
    plan: Plan
    # None where its inputs are tensors and nothing else.
    in_use: PlanInUse | None


@dataclass(frozen=True, slots=True)
class Divided:
    """The variants that share a model's traffic, in the order of the buckets' splits: all of them can run now.

    `sharers` are those that have a share, the largest first.
    """

    buckets: Buckets
    variants: tuple[Variant, ...]
    sharers: tuple[Variant, ...]


# A model, a version of it, and its role: what is live is one variant of each.
Role = tuple[str, int, str]
RunBatch = Callable[[Variant, list[Span]], Awaitable[None]]


class Variants:
    """The live variants of the table in force; all are looked at anew when it changes, one when a backend tells of one.

    `run` answers a batch of a variant, `queues` makes what a variant's requests wait in, `plans` tells what each
    version reads.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        run: RunBatch,
        wheel: Holder,
        queues: Queues,
        plans: ReadPlans = NO_PLANS,
    ) -> None:
        self._backends = backends
        self._plans = plans
        self._run = run
        self._wheel = wheel
        self._queues = queues
        self._table: RouteTable = EMPTY
        self._live: dict[Role, Variant] = {}
        self._only: dict[str, Variant] = {}
        self._divided: dict[str, Divided] = {}
        self._gone: list[Variant] = []
        self._complete_once = False
        self._expected: frozenset[str] = frozenset()
        self.trials = Trials(time.time)
        for backend in backends.values():
            self.follow(backend)

    def follow(self, backend: Backend) -> None:
        """What it hosts may change from now on; `backends` has it, also where it came later."""
        backend.on_change(self._look)

    def expect(self, models: Iterable[str]) -> None:
        """Only pools of these models are waited for; others are in the table by gateways with other configurations."""
        self._expected = frozenset(models)

    def adopt(self, table: RouteTable) -> None:
        """Follow a new table; requests accepted before stay with the variant that they were given."""
        self._table = table
        self.trials.adopt(table)
        self._look(None)

    def choose(self, request: Request) -> Variant:
        """The variant that answers this request.

        Raises:
            UnknownModel: the table has no such model or version.
            BadRequest: the pinned variant does not exist.
            NotReady: it exists, but nothing hosts it now, nor stable in its place where the split chose it.
        """
        if request.version is None and request.pinned is None:
            only = self._only.get(request.model)
            if only is not None:
                return only
            divided = self._divided.get(request.model)
            if divided is not None:
                chosen = divided.variants[divided.buckets.place(request.key)]
                if self.trials.any:
                    self.trials.assign(request, chosen.name)
                return chosen
        route = self._route(request.model)
        name, version = self._wanted(route, request)
        if self.trials.any and request.version is None and request.pinned is None:
            # Who chose for himself says nothing of the others; and what nobody can serve is the trial's failure.
            self.trials.assign(request, name)
        variant = self._live.get((route.model, version, name))
        if variant is None and request.version is None and request.pinned is None:
            variant = self._stable(route)
            if variant is not None and variant.name != name:
                stood_in(request)
        if variant is None:
            raise NotReady(self._why_not(route, version))
        return variant

    def in_place_of(self, request: Request) -> Variant | None:
        """Who answers for a variant that nothing hosts any more; nobody where the caller chose it."""
        route = self._table.routes.get(request.model)
        if route is None or request.chosen is None or request.version is not None or request.pinned is not None:
            return None
        variant = self._stable(route)
        return None if variant is None or variant.key == request.chosen else variant

    def keeps(self, variant: Variant) -> bool:
        """It may still be given what it had accepted; not where another has replaced it, or nothing hosts it any more.

        One that left the table is waited for from here on, as if its queue had never been empty.
        """
        answers = self._live.get((variant.key.model, variant.key.version, variant.name))
        if answers is not None or variant.backend.hosted().get(variant.key) != variant.hosted:
            return answers is variant
        if all(gone is not variant for gone in self._gone):
            self._gone.append(variant)
            _give_slots(variant)
        return True

    def likely(self, model: str) -> Variant | None:
        """What `find` says of a model whose variants can all run now, in less time."""
        divided = self._divided.get(model)
        return self._only.get(model) if divided is None else divided.sharers[0]

    def asked(self, model: str, version: int | None, pinned: str | None) -> tuple[Variant, ...]:
        """Who may answer: who is asked for, else all that have a share, the largest first; raises as `choose`.

        Whatever the key: were those of one arm alone refused before they are counted, its share would not be the
        split's, and evidence wrong.
        """
        if version is not None:
            return (self.find(model, version),)
        if pinned is None:
            divided = self._divided.get(model)
            if divided is not None:
                return divided.sharers
            only = self._only.get(model)
            if only is not None:
                return (only,)
        route = self._route(model)
        if pinned is None:
            return self._sharers(route) or (self.find(model, None),)
        split = named_split(route, pinned)
        variant = self._live.get((model, split.version, split.variant))
        if variant is None:
            raise NotReady(self._why_not(route, split.version))
        return (variant,)

    def find(self, model: str, version: int | None) -> Variant:
        """The variant that a request without a sticky key is most likely to get; raises as `choose` does."""
        route = self._route(model)
        likely = version or max(route.splits, key=lambda split: split.weight_bp).version
        name = _roles(route, self._served(route, likely).version)[0]
        variant = self._live.get((model, likely, name))
        if variant is None and version is None:
            variant = self._stable(route)
        if variant is None:
            raise NotReady(self._why_not(route, likely))
        return variant

    def shadow(self, model: str, version: int) -> Variant | None:
        """The version as the model's shadow, if it is that and something hosts it."""
        return self._live.get((model, version, SHADOW))

    def models(self) -> list[str]:
        """Names of all models that have a route."""
        return sorted(self._table.routes)

    def routed(self, model: str, version: int) -> VersionKey:
        """The version, if it can be asked for by its path; raises UnknownModel where it cannot."""
        return VersionKey(model, self._served(self._route(model), version).version)

    def versions(self, model: str) -> tuple[int, ...]:
        """Versions of the model that can be asked for by their path."""
        return tuple(sorted(served.version for served in self._route(model).served))

    def ready(self) -> bool:
        """Every pool that a route leads to has lived once, and all that it could load could be asked; one still lives.

        All gateways lose a pool together: unready for it, they would take the models of every other pool with them.
        Pools of versions under trial are not waited for: a trial that crashes must not take the gateway out of service.
        """
        pools = {
            served.pool
            for route in self._awaited()
            for served in route.served
            if _roles(route, served.version)[0] in (STABLE, DIRECT)
        }
        lives = [pool in self._backends and self._backends[pool].settled() for pool in pools]
        self._complete_once = self._complete_once or (bool(lives) and all(lives))
        return self._complete_once and any(lives)

    def _awaited(self) -> Sequence[Route]:
        routes = tuple(self._table.routes.values())
        # Where orders left none of the expected ones, what there is must do.
        return [route for route in routes if route.model in self._expected] or routes

    def busy(self, key: VersionKey) -> bool:
        """Requests for this version wait or run, also such as were accepted before it left the table."""
        return any(v.key == key and not v.batcher.idle for v in (*self._live.values(), *self._gone))

    def leaving(self, key: VersionKey) -> bool:
        """Requests for this version wait or run that were accepted before it was routed or hosted otherwise."""
        return any(variant.key == key and not variant.batcher.idle for variant in self._gone)

    def all(self) -> list[Variant]:
        """Every live variant."""
        return list(self._live.values())

    def _look(self, key: VersionKey | None) -> None:
        """Bring variants in line with the table and with what backends host now: those of one version, or all.

        Where each of 1,600 versions that become ready had all others looked at, that took a worker 5 s.
        """
        routes = self._concerned(key)
        found: dict[Role, Variant] = {}
        for route in routes:
            for served in route.served:
                if key is None or served.version == key.version:
                    self._find(found, route, served)
        before = dict(self._live) if key is None else self._of_version(key)
        gone = [variant for role, variant in before.items() if found.get(role) is not variant]
        self._gone = [variant for variant in (*self._gone, *gone) if not variant.batcher.idle]
        # All of it between two requests, so that none is answered by half of it.
        for role in before.keys() - found.keys():
            del self._live[role]
        self._live.update(found)
        if key is None:
            self._only.clear()
            self._divided.clear()
        for route in routes:
            self._remember(route)
        # One that is gone runs until its queue is empty, or until nothing can run it any more.
        for backend in {id(variant.backend): variant.backend for variant in (*found.values(), *self._gone)}.values():
            self._queues.resize(backend)
        for variant in (*found.values(), *self._gone):
            _give_slots(variant)

    def _concerned(self, key: VersionKey | None) -> Sequence[Route]:
        if key is None:
            return tuple(self._table.routes.values())
        route = self._table.routes.get(key.model)
        return () if route is None else (route,)

    def _of_version(self, key: VersionKey) -> dict[Role, Variant]:
        """What is live of it: only in roles that the table in force gives it."""
        names = [name for route in self._concerned(key) for name in _roles(route, key.version)]
        roles = [(key.model, key.version, name) for name in names]
        return {role: self._live[role] for role in roles if role in self._live}

    def _find(self, found: dict[Role, Variant], route: Route, served: Served) -> None:
        """Add a variant for each role of a version that something hosts: the one that is live, where it still fits."""
        backend = self._backends.get(served.pool)
        hosted = backend.hosted().get(VersionKey(route.model, served.version)) if backend else None
        if backend is None or hosted is None:
            return
        for name in _roles(route, served.version):
            role = route.model, served.version, name
            live = self._live.get(role)
            # Equality, and no hash: to hash what all versions declare takes as long as all the rest.
            if live is None or live.served != served or live.hosted != hosted:
                # With any of it changed a new queue takes over, and the old one runs empty.
                live = self._make(name, served, hosted, backend)
            found[role] = live

    def _make(self, name: str, served: Served, hosted: Hosted, backend: Backend) -> Variant:
        batcher = self._queues.make(behind_all(served) if name == SHADOW else served, hosted, backend)
        plan = self._plans.plan_of(hosted)
        variant = Variant(
            name=name,
            key=hosted.key,
            served=served,
            hosted=hosted,
            backend=backend,
            intake=Intake(hosted),
            batcher=batcher,
            most_rows=batcher.pace.most_rows,
            holders=(self._wheel, batcher),
            deadline_s=served.deadline_ms / 1000,
            plan=plan,
            in_use=PlanInUse(plan, hosted.key, name) if isinstance(plan, ReadPlan) else None,
        )
        batcher.runs(partial(self._run, variant))
        return variant

    def _remember(self, route: Route) -> None:
        """Who answers a model's requests, where all who may can run: no name is looked up then for each of them."""
        self._only.pop(route.model, None)
        self._divided.pop(route.model, None)
        buckets = Buckets(route.salt, route.splits)
        found = [self._live.get((route.model, split.version, split.variant)) for split in buckets.splits]
        variants = tuple([variant for variant in found if variant is not None])
        if len(variants) < len(found):
            return
        if len(variants) == 1:
            self._only[route.model] = variants[0]
        else:
            self._divided[route.model] = Divided(buckets, variants, self._sharers(route))

    def _sharers(self, route: Route) -> tuple[Variant, ...]:
        """Who answers requests now, the largest share first: stable also for one that nothing hosts."""
        stable = self._stable(route)
        splits = sorted([split for split in route.splits if split.weight_bp], key=lambda split: -split.weight_bp)
        found = [self._live.get((route.model, split.version, split.variant), stable) for split in splits]
        return tuple([variant for variant in found if variant is not None])

    def _stable(self, route: Route) -> Variant | None:
        """Who answers for a variant that nothing hosts: a trial without replicas fails nobody's request."""
        found = (self._live.get((route.model, split.version, STABLE)) for split in route.splits)
        return next((variant for variant in found if variant is not None), None)

    def _route(self, model: str) -> Route:
        route = self._table.routes.get(model)
        if route is None:
            raise UnknownModel(f"there is no model {model!r}; known are {_some(self.models())}")
        return route

    def _served(self, route: Route, version: int) -> Served:
        for served in route.served:
            if served.version == version:
                return served
        known = sorted(served.version for served in route.served)
        raise UnknownModel(f"model {route.model!r} has no version {version}; known are {known}")

    def _wanted(self, route: Route, request: Request) -> tuple[str, int]:
        if request.version is not None:
            return _roles(route, self._served(route, request.version).version)[0], request.version
        pinned, key = request.pinned, request.key
        split = choose_split(route, key) if pinned is None else named_split(route, pinned)
        return split.variant, split.version

    def _why_not(self, route: Route, version: int) -> str:
        key = VersionKey(route.model, version)
        backend = self._backends.get(self._served(route, version).pool)
        refused = backend.refused().get(key) if backend else None
        if refused:
            return f"version {version} of model {route.model!r} could not be loaded: {refused}"
        return f"version {version} of model {route.model!r} is not ready; try again in a moment"


def _give_slots(variant: Variant) -> None:
    backend, key = variant.backend, variant.key
    variant.batcher.set_slots(backend.slots(key), backend.servers(key))


def _roles(route: Route, version: int) -> list[str]:
    """The shadow comes last: what a version does for callers is asked of the first."""
    roles = [split.variant for split in route.splits if split.version == version] or [DIRECT]
    shadow = None if route.trial is None else route.trial.shadow
    return roles if shadow is None or shadow.version != version else [*roles, SHADOW]


def _some(names: list[str], most: int = 20) -> str:
    shown = ", ".join(repr(name) for name in names[:most]) or "none"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
