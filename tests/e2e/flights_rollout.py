"""Rollouts of the flights example under load: a session with all its versions, flights to ask, and who answered."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments.flights.sample import CONFIGURATION, MODEL, MODELS, TRIAL_MODELS, Flight, load_test_flights
from serving.cli.control_client import ControlClient
from serving.cli.demo_features import load_tables
from serving.cli.failure import CommandFailed
from serving.config.document import read_yaml
from serving.config.effective import effective
from serving.features.store.redis_store import RedisStore
from serving.testing.load_client import Failure, Load, Question
from tests.e2e.doubling import LONG
from tests.e2e.parts import PATIENCE_S, until
from tests.e2e.sluice_up import SluiceUp

Seen = Mapping[str, Any]
PATH = f"/v1/models/{MODEL}:predict"
# Beside other tests one version may wait for a processor where the other does not, which counts as evidence of latency
# (docs/rollouts.md, "What it does not see"): only long runs have the machine for themselves.
BESIDE_OTHERS: Mapping[str, object] = {} if LONG else {"gates": {"latency": {"allowed": 4}}, "guardrail": False}
SUNDAY = 6
_REFUSED = 503
FLIGHTS = load_test_flights().flights
ON_SUNDAYS = [flight for flight in FLIGHTS if flight.request["weekday"] == SUNDAY]
OTHERS = [flight for flight in FLIGHTS if flight.request["weekday"] != SUNDAY]


@contextlib.contextmanager
def flights_session(folder: Path) -> Iterator[SluiceUp]:
    """Two workers, replicas that fit two processors, versions 1 to 6 of which 1 answers; a clean end is asserted."""
    models = folder / "models"
    shutil.copytree(MODELS, models)
    shutil.copytree(TRIAL_MODELS, models, dirs_exist_ok=True)
    settings = read_yaml(CONFIGURATION.read_text(), CONFIGURATION.name).values
    settings["models"][MODEL]["routes"] = {"stable": 1}
    settings["pools"] = {"default": {"num_cpus": 0.5, "memory_mb": 256}}
    settings["http"] = {"workers": 2}
    config = folder / "sluice.yaml"
    # JSON is YAML.
    config.write_text(json.dumps(settings))
    session = SluiceUp("--models", str(models), "--config", str(config), engine="ray")
    try:
        session.wait_until_ready()
        with RedisStore(f"unix://{session.run_dir}/features.sock") as store:
            load_tables(store, effective(CONFIGURATION, {}, {}).settings)
        yield session
        session.close()
    finally:
        session.destroy()


def control(session: SluiceUp) -> ControlClient:
    """The session's control API."""
    facts = session.registered()
    token = Path(str(facts["token_file"])).read_text().strip()
    return ControlClient(f"http://127.0.0.1:{facts['control_port']}", token)


@dataclass(slots=True)
class Rollout:
    """One rollout, asked about over the control API."""

    api: ControlClient
    id: str

    @classmethod
    def begin(cls, session: SluiceUp, version: int, steps: Sequence[Mapping[str, Any]], **plan: object) -> Rollout:
        """Of that version, beside version 1; each request is of another caller, and every one counts."""
        api = control(session)
        until(lambda: answers(api), "the control app answers")
        body = {"canary": version, "plan": {"steps": steps, **plan}, "sticky": True, "dry_run": False, "by": "a test"}
        return cls(api, str(api.post(f"/models/{MODEL}/rollouts", {}, body)["id"]))

    def seen(self) -> Seen:
        """As `sluice rollout status --json` has it; asked again while a part of the session is being restarted."""
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                found: Seen = self.api.get(f"/rollouts/{self.id}")
            except CommandFailed:
                assert time.monotonic() < ends
                time.sleep(0.2)
            else:
                return found

    def until_phase(self, *phases: str, within_s: float = 120.0) -> Seen:
        """Return when it is in one of them; how it stood is in the message when it does not come there."""
        ends = time.monotonic() + within_s
        while (seen := self.seen())["phase"] not in phases:
            assert not seen["over"], f"{seen['phase']}: {seen['sentence']}"
            assert time.monotonic() < ends, f"still {seen['phase']}: {seen['sentence']}; {seen['said']}"
            time.sleep(0.2)
        return seen

    def order(self, verb: str) -> None:
        """What a person says."""
        self.api.post(f"/rollouts/{self.id}:{verb}", {"by": "a test"})

    def obeys(self, verb: str) -> bool:
        """What a person says is done, where there is a controller who may."""
        return done(self.api, f"/rollouts/{self.id}:{verb}", {"by": "a test"})

    def history(self) -> list[Any]:
        """What was done."""
        entries: list[Any] = self.api.get(f"/rollouts/{self.id}/history")["entries"]
        return entries


def give_all_to_version_1(session: SluiceUp) -> None:
    """For the next rollout; one that is not over ends with it."""
    until(lambda: done(control(session), f"/models/{MODEL}:pin", {"version": 1, "by": "a test"}), "version 1 has all")


def done(api: ControlClient, path: str, query: Mapping[str, object]) -> bool:
    """Whether the control app took the order; it takes none before its controller has the lease."""
    try:
        api.post(path, query)
    except CommandFailed:
        return False
    return True


def answers(api: ControlClient) -> bool:
    """Whether the control app runs."""
    try:
        api.get("/rollouts")
    except CommandFailed:
        return False
    return True


@dataclass(slots=True)
class Answers:
    """When version 1 answered, and when another one did or failed; all by the time of day, as the audit has it."""

    stable: list[float] = field(default_factory=list)
    canary: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def told(self, status: int, head: str, _body: bytes) -> None:
        """On the client's thread."""
        # Version 1 answers every flight: an error of the model is the canary's. What was refused reached neither.
        if status == 500:
            self.errors.append(time.time())
        elif status == 200:
            (self.stable if "x-sluice-version: 1\r\n" in f"{head}\r\n" else self.canary).append(time.time())

    def stable_since(self, moment: float) -> float | None:
        """When the stable version answered for the first time since then."""
        return next((at for at in self.stable if at >= moment), None)

    def share_since(self, moment: float) -> tuple[int, int]:
        """Answers since then: of the canary, of both."""
        canary, stable = (sum(at >= moment for at in list(one)) for one in (self.canary, self.stable))
        return canary, canary + stable


@dataclass(slots=True)
class Asking:
    """Real flights, asked by ever new callers; once `faulty`, one in five is on a Sunday, where version 3 raises."""

    answers: Answers = field(default_factory=Answers)
    faulty: bool = False
    headers: str = ""

    def load(self, session: SluiceUp, rate: float) -> Load:
        """At a constant rate, until it is stopped."""
        return Load(session.port, self.question, most=10_000_000, for_s=900, rate=rate, callers=16)

    def question(self, number: int) -> Question:
        """One flight."""
        if self.faulty and number % 5 == 0:
            return self._of(ON_SUNDAYS[number // 5 % len(ON_SUNDAYS)], number)
        return self._of(OTHERS[number % len(OTHERS)], number)

    def _of(self, flight: Flight, number: int) -> Question:
        body = json.dumps({"instances": [flight.instance()]}).encode()
        return Question(PATH, body, _is_a_chance, f"x-sluice-key: caller-{number}\r\n{self.headers}", self.answers.told)


def _is_a_chance(body: bytes) -> bool:
    (prediction,) = json.loads(body)["predictions"]
    on_time, late = map(float, prediction["probabilities"])
    return 0 < late < 1 and abs(on_time + late - 1) < 1e-5


def refused_for_load(failure: Failure) -> bool:
    """Said at once, where the machine has other things to do: nothing that a rollout has a part in."""
    return failure.status == _REFUSED and "is busy" in failure.text
