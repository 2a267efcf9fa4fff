"""What a load test is, as people write it in YAML: whom it asks for what, how often, and what must hold."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from loadtests.generator.outcomes import GRPC_STATUS, SAID
from serving.config.section import Section, noted

MOST_RATE = 200_000.0
MOST_REQUESTS = 20_000_000
MOST_SECONDS = 86_400.0
MOST_PROCESSES = 64
MOST_SEED = 2**31
# Of a status of HTTP.
_DIGITS = 3
# Of a string of HPACK whose length is one byte.
_LONGEST_TEXT = 126
# All of them in one frame of 16 KB.
_MOST_METADATA = 50
# What a call has anyway, and what HTTP/2 has no place for (RFC 9113, section 8.2.2).
_OF_HTTP2 = frozenset({"content-type", "te", "host", "connection", "keep-alive", "transfer-encoding", "upgrade"})

Rate = Annotated[float, Field(ge=0, le=MOST_RATE)]
Lasting = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(gt=0, le=1_000)]
Milliseconds = Annotated[float, Field(gt=0, le=600_000)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")]
# RFC 9110, section 5: what is no token or has a line end would make two requests of one.
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[ -~]*$")]


def _wrong(text: str) -> PydanticCustomError:
    # A type that serving.config.problems shows in its own words.
    return PydanticCustomError("queue", "{text}", {"text": text})


class Keys(Section):
    """Which of the payload's entries a request is made of: hit rates of caches follow from it."""

    pick: Literal["zipf", "uniform", "once", "listed"] = noted(
        "`zipf`: few keys are asked for often; `once`: each key once before any again, so that caches stay cold; "
        "`listed`: as the payload's file lists them, which may be a record of real ones, round and round.",
        "zipf",
    )
    exponent: float = noted(
        "Of Zipf's law: the key of rank r is asked for in proportion to r to minus this.", 1.1, gt=0, le=5
    )


class User(Section):
    """One kind of request; several make a mix."""

    name: Word = noted("Its figures are told by this name.")
    share: float = noted("Its part of all requests, in proportion to the others'.", 1.0, gt=0, le=1e6)
    protocol: Literal["json", "binary", "grpc"] = noted(
        "`binary`: the tensors' bytes behind the JSON. `grpc`: then all users' is, and `target` where gRPC is served.",
        "json",
    )
    path: str | None = noted("Where requests go; by default as the payload says.", None, pattern=r"^/\S*$")
    payload: str = noted("`flights`, `flight-rows`, or a file of JSON lines: {body: ..., answer: ...}.", "flights")
    headers: dict[HeaderName, HeaderText] = noted(
        "Sent with each request; with gRPC as its metadata, the same for all users.", default_factory=dict
    )
    keys: Keys = noted("Which entries are asked for.", Keys())
    check: Share = noted("The share of answers that are compared with the known ones, where the payload has them.", 0.0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, text in self.headers.items() if self.protocol == "grpc" else ():
            if name.lower() in _OF_HTTP2:
                raise _wrong(f"gRPC sends a {name} of its own; leave it out")
            if max(len(name), len(text)) > _LONGEST_TEXT:
                raise _wrong(f"header {name}: names and values have at the most {_LONGEST_TEXT} characters with gRPC")
        if self.protocol == "grpc" and len(self.headers) > _MOST_METADATA:
            raise _wrong(f"{len(self.headers)} headers; with gRPC there is room for {_MOST_METADATA}")
        return self


class Stage(Section):
    """A piece of the load's shape; stages follow one another."""

    name: Word | None = noted("Its figures are told by this name.", None)
    for_s: Lasting = noted("How long it lasts.")
    rate: Rate = noted("Requests a second.", 0.0)
    to: Rate | None = noted("The rate at the end: a ramp.", None)
    steps: int | None = noted("The ramp goes up in so many steps.", None, ge=2, le=100)
    curve: Literal["line", "day"] = noted("`day`: from `rate` at night to `to` at noon, and back.", "line")
    warm_up: bool = noted("Asked, and left out of figures and gates.", default=False)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.to is None and (self.steps is not None or self.curve == "day"):
            raise _wrong("steps and curve say how the rate gets to `to`, which is missing")
        if self.steps is not None and self.curve == "day":
            raise _wrong("a day has no steps; name one of both")
        return self


class Goodput(Section):
    """Requests rightly answered in time, out of all that should have left."""

    share: Share = noted("At least this share.")
    within_ms: Milliseconds = noted("In so many milliseconds from when it was due.")


class Gates(Section):
    """What must hold; what is not named is not judged."""

    p50_ms: Milliseconds | None = noted("Half of the right answers took at the most so long.", None)
    p90_ms: Milliseconds | None = noted("The same of 90 %.", None)
    p99_ms: Milliseconds | None = noted("The same of 99 %.", None)
    p999_ms: Milliseconds | None = noted("The same of 99.9 %.", None)
    goodput: Goodput | None = noted("Requests answered rightly and in time.", None)
    errors: Share | None = noted("At the most this share has no right answer, for whatever reason.", None)
    errors_by: dict[str, Share] = noted(
        "The same by kind: a status such as 503 or `gRPC UNAVAILABLE`, `unanswered`, `connection lost`, `unsent`, "
        "`wrong answer`.",
        default_factory=dict,
    )
    degraded: Share | None = noted("At the most this share of all is answered with defaults, as answers tell.", None)
    duration_s: Lasting | None = noted("Measured for at least so long, warm-up left out; MLPerf's rule has 600.", None)
    percentile_rule: bool = noted(
        "By MLPerf's early stopping: p99_ms holds with a confidence of 99 %; who has no right answer counts as late.",
        default=False,
    )

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        """A gate that nothing can miss is none."""
        if self.percentile_rule and self.p99_ms is None:
            raise _wrong("percentile_rule is about p99_ms, which is missing")
        for kind in self.errors_by:
            if kind not in SAID.values() and not (kind != "200" and kind.isdecimal() and len(kind) == _DIGITS):
                kinds = ", ".join(said for number, said in SAID.items() if number > GRPC_STATUS)
                raise _wrong(f"{kind!r} is no kind of error: name a status such as 503, gRPC UNAVAILABLE, or {kinds}")
        return self


class AllGates(Gates):
    """Gates of the whole load, and of those that one variant answered."""

    variants: dict[Word, Gates] = noted("By variant, as x-sluice-variant tells it.", default_factory=dict)

    @model_validator(mode="after")
    def _last_together(self) -> Self:
        if any(theirs.duration_s is not None for theirs in self.variants.values()):
            raise _wrong("duration_s is of the whole load, and not of a variant")
        return self


class Reference(Section):
    """An earlier result that this one is held against, by ratios with intervals of 95 %, whose worse end counts."""

    result: str = noted("What `run --json` or `--report` wrote; looked for beside the scenario.", min_length=1)
    p50: Ratio | None = noted("p50 of a typical second is at the most so many times the reference's.", None)
    p99: Ratio | None = noted("The same of p99.", None)
    p999: Ratio | None = noted("The same of p99.9.", None)
    right_per_second: Ratio | None = noted("Right answers a second are at least so many times the reference's.", None)

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if not self.bounds():
            raise _wrong("a reference without a bound is held against nothing: name p50, p99, p999 or right_per_second")
        return self

    def bounds(self) -> dict[str, float]:
        """By figure."""
        named = ("p50", "p99", "p999", "right_per_second")
        return {name: bound for name in named if (bound := getattr(self, name)) is not None}


class Chaos(Section):
    """What is done to the server while it is asked: a program of `loadtests/chaos`."""

    at_s: float = noted("In seconds since the load began.", ge=0, le=MOST_SECONDS)
    do: Word = noted("Which program.")
    arguments: dict[str, str | int | float] = noted("Its options, without the dashes.", default_factory=dict)


class Generator(Section):
    """How the load is made."""

    loop: Literal["open", "closed"] = noted(
        "`open`: requests leave when they are due. `closed`: callers wait for answers, and so hide stalls.", "open"
    )
    callers: int = noted("Of a closed loop.", 16, ge=1, le=10_000)
    arrivals: Literal["poisson", "constant", "gamma"] = noted("How gaps vary.", "poisson")
    variation: float = noted("Of gamma's gaps: their standard deviation over their mean.", 3.0, gt=0.1, le=20)
    replay: str | None = noted(
        "A file with a due time in seconds on each line; instead of `shape` and `arrivals`.", None
    )
    seed: int = noted("The same seed is the same load.", 1, ge=0, le=MOST_SEED)
    processes: int | None = noted("By default one for each 10,000 requests a second.", None, ge=1, le=MOST_PROCESSES)
    outstanding: int = noted("Requests without an answer at a time, at the most.", 8_192, ge=1, le=60_000)
    timeout_s: float = noted("Longest wait for one answer.", 5.0, gt=0, le=600)


class Scenario(Section):
    """A whole file."""

    name: Word = noted("What it is called in reports.")
    about: str = noted("One sentence: what is found out.", "")
    target: str = noted("The server.", "http://127.0.0.1:8080", pattern=r"^https?://\S+$")
    metrics: str | None = noted(
        "Where the server's own metrics are, for the stages in the report.", None, pattern=r"^https?://"
    )
    users: list[User] = noted("Who asks for what.", min_length=1, max_length=32)
    shape: list[Stage] = noted("The rate over time.", default_factory=list, max_length=100)
    generator: Generator = noted("How the load is made.", Generator())
    gates: AllGates = noted("What must hold.", AllGates())
    reference: Reference | None = noted("An earlier result to compare with.", None)
    chaos: list[Chaos] = noted("What happens to the server meanwhile.", default_factory=list, max_length=50)

    @field_validator("users")
    @classmethod
    def _names_are_different(cls, users: list[User]) -> list[User]:
        if len({user.name for user in users}) < len(users):
            raise _wrong("two users have one name")
        return users

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.shape and self.generator.replay is None:
            raise _wrong("name either `shape` or `generator.replay`")
        if self.shape and self.generator.replay is not None:
            raise _wrong(
                "name either `shape` or `generator.replay`, not both: recorded times have a shape of their own"
            )
        if self.generator.loop == "closed" and self.generator.replay is not None:
            raise _wrong("a closed loop has no recorded times: callers ask when they were answered")
        if len({user.protocol == "grpc" for user in self.users}) > 1:
            raise _wrong("users of gRPC and of HTTP ask at different addresses: each needs a scenario of its own")
        if self.users[0].protocol == "grpc" and any(user.headers != self.users[0].headers for user in self.users):
            raise _wrong("users of gRPC have the same headers: every call begins alike; each mix needs a scenario")
        seconds = sum(stage.for_s for stage in self.shape)
        if seconds > MOST_SECONDS:
            raise _wrong(f"the stages last {seconds:g} s together; permitted: at the most {MOST_SECONDS:g}")
        if late := [action for action in self.chaos if self.shape and action.at_s >= seconds]:
            first = late[0]
            raise _wrong(f"chaos: {first.do} at {first.at_s:g} s comes after the end: the stages last {seconds:g} s")
        if self.generator.loop == "open" and self.expected > MOST_REQUESTS:
            raise _wrong(f"{self.expected:,.0f} requests; permitted: at the most {MOST_REQUESTS:,}, for memory's sake")
        if self.generator.loop == "open" and not self.expected and self.generator.replay is None:
            raise _wrong("no stage has a rate above 0")
        return self

    @property
    def expected(self) -> float:
        """About how many requests that makes."""
        return sum(
            (stage.rate + (stage.rate if stage.to is None else stage.to)) / 2 * stage.for_s for stage in self.shape
        )
