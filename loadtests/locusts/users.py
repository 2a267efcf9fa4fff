"""Locust's users over the lean generator: Locust keeps users, statistics, UI and distribution, and sends nothing."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, cast

import gevent
from locust import User, constant, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.locusts.engine import Ended, Engine, of_worker
from loadtests.running.fleet import Load
from loadtests.running.permission import permitted_address
from loadtests.scenario.changed import changed
from loadtests.scenario.reading import find, read
from serving.errors import ConfigInvalid

_EVERY_S = 0.1
# Where the host is not this machine: SLUICE_YES_LOAD names it, as --yes-load does.
PERMITTED = "SLUICE_YES_LOAD"
SCENARIO = "SLUICE_SCENARIO"
JUDGE, JUDGED = "sluice-judge", "sluice-judged"
# Longer than answers are waited for.
_JUDGING_S = 30.0


class NotRight(Exception):
    """A request without a right answer."""


class Pump:
    """Of one Locust process: feeds its engine with what all users together make due, and tells Locust what ended."""

    def __init__(self, environment: Environment, scenario: str, rate_each: float) -> None:
        self.users = 0
        self._rate_each = rate_each
        self._environment = environment
        self._scenario = scenario
        self._stopping = False
        # Why the last test is invalid.
        self.problems: list[str] = []
        self._greenlet: gevent.Greenlet | None = None

    def begin(self) -> None:
        """Anew with each test."""
        if self._greenlet is None or self._greenlet.ready():
            self._stopping, self.problems = False, []
            self._greenlet = gevent.spawn(self._run)

    def end(self, **_: Any) -> None:  # noqa: ANN401 - what Locust's events carry
        """Wait for the last answers."""
        self._stopping = True
        if self._greenlet is not None:
            self._greenlet.join()

    def _run(self) -> None:
        try:
            engine = Engine(self._wanted())
        except ConfigInvalid as wrong:
            self._refuse(wrong)
            return
        try:
            engine.begin()
            while not self._stopping and not engine.full:
                engine.offer(self.users * self._rate_each)
                self._tell(engine)
                gevent.sleep(_EVERY_S)
            engine.stop()
            while engine.running:
                self._tell(engine)
                gevent.sleep(_EVERY_S)
            self._tell(engine)
            self._judge(engine)
        finally:
            engine.close()

    def _wanted(self) -> Load:
        """The scenario, on Locust's host."""
        file = find(self._scenario)
        scenario = changed(read(file), target=(self._environment.host or "").rstrip("/") or None)
        # Its master numbers workers from 0; who has no master is the first.
        own = of_worker(scenario, max(0, getattr(self._environment.runner, "worker_index", 0)))
        return Load(own, file.parent, permitted_address(scenario.target, os.environ.get(PERMITTED)))

    def _refuse(self, wrong: ConfigInvalid) -> None:
        """One sentence, and exit code 2."""
        sys.stderr.write(f"sluice: {wrong.message}\n")
        self._environment.process_exit_code = 2
        if self._environment.runner is not None:
            gevent.spawn(self._environment.runner.quit)

    def _tell(self, engine: Engine) -> None:
        for one in engine.ended():
            self._fire(one)

    def _fire(self, one: Ended) -> None:
        self._environment.events.request.fire(  # type: ignore[no-untyped-call] # Locust's own
            request_type="OPEN",
            name=one.name,
            response_time=one.took_ms,
            response_length=0,
            response=None,
            context={},
            exception=NotRight(one.problem) if one.problem else None,
            start_time=time.time() - one.took_ms / 1e3,
            url=None,
        )

    def _judge(self, engine: Engine) -> None:
        """A generator that could not keep up is told, an error of this process's report, and exit code 1."""
        self.problems = list(engine.check().problems)
        for problem in self.problems:
            if isinstance(self._environment.runner, WorkerRunner):
                # Its master counts it once, when it asks.
                sys.stderr.write(f"sluice: not the server's figures: {problem}\n")
                self._environment.process_exit_code = 1
            else:
                tell_invalid(self._environment, problem)


class Master:
    """Asks its workers at the end whether their generators kept up: its own report would not tell."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._answers: list[list[str]] = []
        runner.register_message(JUDGED, self.hear)

    def hear(self, environment: Environment, msg: Any) -> None:  # noqa: ANN401 - Locust's own
        """From one worker."""
        self._answers.append(msg.data["problems"])
        for problem in msg.data["problems"]:
            tell_invalid(environment, problem)

    def ask(self, **_: Any) -> None:  # noqa: ANN401 - what Locust's events carry
        """When the test stops; who does not answer in time could not keep up either."""
        self._answers.clear()
        self._runner.send_message(JUDGE)
        until = time.monotonic() + _JUDGING_S
        # One that has left meanwhile is Locust's to tell.
        while (missing := self._runner.worker_count - len(self._answers)) > 0 and time.monotonic() < until:
            gevent.sleep(_EVERY_S)
        if missing > 0:
            tell_invalid(self._runner.environment, f"{missing} workers did not say how their generators did")


def answer_master(environment: Environment, msg: object) -> None:  # noqa: ARG001 - what Locust's messages carry
    """Once the last answers are there; a worker without users has no generator."""
    pump = cast("Pump | None", getattr(environment, "open_loop_pump", None))
    if pump is not None:
        pump.end()
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.send_message(JUDGED, {"problems": pump.problems if pump is not None else []})


def tell_invalid(environment: Environment, problem: str) -> None:
    """On standard error, in the report, and by exit code 1."""
    sys.stderr.write(f"sluice: not the server's figures: {problem}\n")
    environment.stats.log_error("GENERATOR", "invalid: not the server's figures", problem)
    environment.process_exit_code = 1


@events.init.add_listener  # type: ignore[untyped-decorator] # Locust's own
def on_init(environment: Environment, **_: Any) -> None:  # noqa: ANN401 - what Locust's events carry
    """A master has no users and so no generator, and has to ask."""
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(JUDGE, answer_master, concurrent=True)
    if isinstance(environment.runner, MasterRunner):
        environment.events.test_stop.add_listener(Master(environment.runner).ask)  # type: ignore[no-untyped-call]


class OpenLoopUser(User):
    """So many requests a second for each user, whoever is unanswered; `-u 100` with a rate of 10 is 1,000 a second."""

    abstract = True
    rate = 10.0
    scenario = "steady"
    wait_time = constant(1)

    def on_start(self) -> None:
        """One more that asks."""
        self._pump = pump_of(self.environment, os.environ.get(SCENARIO, self.scenario), self.rate)
        self._pump.users += 1
        self._pump.begin()

    def on_stop(self) -> None:
        """One fewer."""
        self._pump.users -= 1

    @task
    def being_there(self) -> None:
        """Requests are sent by the generator."""


def pump_of(environment: Environment, scenario: str, rate: float) -> Pump:
    """The one of this process; nothing here may let another greenlet run, which would make a second one."""
    known = cast("Pump | None", getattr(environment, "open_loop_pump", None))
    if known is None:
        known = Pump(environment, scenario, rate)
        environment.open_loop_pump = known  # type: ignore[attr-defined] # as long as the environment lives
        environment.events.test_stop.add_listener(known.end)  # type: ignore[no-untyped-call] # Locust's own
    return known
