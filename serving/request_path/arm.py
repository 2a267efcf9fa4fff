"""One arm of a trial: what the requests that were assigned to it came to, counted until somebody takes it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from serving.errors import BadRequest, ServingError
from serving.inference import Outputs, Request, Tensor
from serving.request_path.judged import Judged
from serving.request_path.run_counts import RunCounts, size_of
from serving.request_path.tallies import Difference, First, Tally, Took
from serving.request_path.trial_scores import RowScores, rows_not_finite
from serving.request_path.unread_outputs import UnreadOutputs
from serving.routing.table import TURN_S, Trial

# Another hash than that of the split, which a sample of keys must not depend on.
_SAMPLE_SEED = 0x51AC
_LOW_32 = 0xFFFFFFFF
# Of a worker, between two flushes.
MOST_DIFFERENCES = 20
# What is kept of keys between two flushes, and of those that were told before; beyond, the key is asked about again.
_MOST_FIRSTS = 20_000
_MOST_TOLD = 200_000
# What a run of the canary may take longer than a bound. Replicas of its own have fewer requests, and so colder caches:
# an identical model of 95 us ran for 145 us there, which is several times as many answers over a bound.
SLACK_S = 0.0002


class Room:
    """What is kept of keys between two flushes, of both arms alike: lost by one alone, events would speak for it."""

    def __init__(self) -> None:
        self.taken = 0


class Arm:
    """One arm of a trial: what a request that was assigned to it came to is counted here, whoever answered it.

    Counts per request cost some additions; nothing is looked up by name. Only on the loop's thread.
    """

    def __init__(self, trial: Trial, scores: RowScores | None, room: Room, *, canary: bool) -> None:
        self.trial = trial
        self._room = room
        self.canary = canary
        self.scores = scores
        self.counts = False
        self._bounds_s = [bound / 1e6 for bound in trial.latency_bounds_us]
        self._slack_s = SLACK_S if canary else 0.0
        self._goal_s = trial.goal_us / 1e6 if trial.goal_us else inf
        # Who copies this arm's requests, and the arm that counts what becomes of the copies.
        self.mirror: Offer | None = None
        self.copies: Arm | None = None
        self._sticky = trial.sticky
        # Without a share of the canary's there is nothing to compare, and so no need to know keys again.
        self._by_key = trial.sticky and trial.weight_bp > 0
        self._told: set[tuple[str, int]] = set()
        # How slow each key was told to be: bounds below that were told too.
        self._slowest: dict[int, int] = {}
        self._slowest_leading: dict[int, int] = {}
        self._turn_ends_s = 0.0
        self._unread = UnreadOutputs(trial.score_output)
        self._clear()

    def assigned(self, key: bytes | None) -> bool:
        """A request was given to this arm; False where nothing that comes of it is counted."""
        if self._sticky:
            if key is None:
                return False
            number = _number(key)
            if not self._sampled(number):
                return True
            if self._by_key:
                self._first("split", "split", number)
        self._split += 1
        return True

    def leads(self, key: bytes | None, at_s: float) -> bool:
        """A run that begins now is the first of its turn: what slows runs one after the other counts once a turn.

        Where keys count once, one beyond the sample leaves the turn to the next: its run would be no evidence.
        """
        if at_s < self._turn_ends_s or (self._by_key and (key is None or not self._sampled(_number(key)))):
            return False
        self._turn_ends_s = (at_s // TURN_S + 1.0) * TURN_S
        return True

    def ran(self, request: Request, took: Took, received_at: float) -> None:
        """A batch ran whose first request of this arm is `request`: its answers are slow together, and count once.

        `received_at` is that of the oldest, which need not be the first: batches are filled by level. Where keys count
        once, it is the first one's key that was slow: who that is was settled before the run.
        """
        place = bisect_left(self._bounds_s, took.run_s - self._slack_s)
        size = size_of(took.rows)
        self._runs.ran(size, place)
        if took.landed_at - received_at > self._goal_s:
            self._late_runs += 1
        if not self._by_key:
            if took.leads:
                self._runs.led(size, place)
        elif request.key is not None:
            self._key_ran(_number(request.key), place, size, leads=took.leads)

    def answered(self, judged: Judged, outputs: Outputs, run_s: float) -> None:
        """They were answered in one batch, after a run of so long; shadows get their copies of it."""
        requests, rows = judged.requests, judged.rows
        count = len(requests)
        self.requests += count
        for request in requests:
            if request.degraded:
                self._missing += 1
        # Only rows of requests that have one each, and of all who are in the batch, come to their number.
        if not self._by_key and self._unread.keep(outputs, count):
            if self._unread.full:
                self._read()
        else:
            self._look_at(judged, outputs)
        mirror, copies = self.mirror, self.copies
        if mirror is not None and copies is not None:
            for place, request in enumerate(requests):
                mirror(Answered(request, judged.inputs[place], outputs, rows[place], run_s, copies))

    def failed(self, request: Request, why: ServingError) -> None:
        """It was answered with an error; one of the caller's own making says nothing of a version."""
        if isinstance(why, BadRequest):
            return
        self.requests += 1
        self._errors += 1
        if self._by_key and request.key is not None:
            self._failed_key(_number(request.key))

    def stood_in(self, request: Request) -> None:
        """Another version answers, since nothing that lives can run this one: its failure, whatever comes of it."""
        self.requests += 1
        self._errors += 1
        if self._by_key and request.key is not None:
            self._failed_key(_number(request.key))

    def crashed(self) -> None:
        """A replica of its version went away with a batch."""
        self._crashes += 1

    @property
    def bounds_s(self) -> Sequence[float]:
        """What runs are held against."""
        return self._bounds_s

    def happened(self, event: str, seen: str = "", key: bytes | None = None) -> None:
        """Something of a shadow; where keys count once it does so for the first that was `seen` of this one."""
        self._shadowed[event] = self._shadowed.get(event, 0) + 1
        if self._sticky and seen and key is not None:
            number = _number(key)
            if self._sampled(number):
                self._first(seen, event, number)

    def shows(self, size: float) -> bool:
        """A difference of this size would be among the largest."""
        return len(self._differences) < MOST_DIFFERENCES or size > min(self._differences).size

    def differed(self, difference: Difference) -> None:
        """Remember one of the largest differences between a shadow and stable."""
        self._differences.append(difference)
        if len(self._differences) > MOST_DIFFERENCES:
            self._differences.remove(min(self._differences))

    def take(self) -> Tally | None:
        """What was counted since the last time; None where that is nothing."""
        if not (self.requests or self._split or self._firsts or self._crashes or self._lost or self._shadowed):
            return None
        self._read()
        tally = Tally(
            self.trial,
            self.canary,
            self.requests,
            self._events(),
            tuple(self._firsts),
            self._crashes,
            self._lost,
            tuple(self._differences),
            self._runs.by_event(),
        )
        self._clear()
        if len(self._told) > _MOST_TOLD:
            self._told.clear()
            self._slowest.clear()
            self._slowest_leading.clear()
        return tally

    def _clear(self) -> None:
        self.requests = 0
        self._split = self._errors = self._missing = self._invalid = self._crashes = self._lost = 0
        self._late_runs = 0
        self._runs = RunCounts(len(self._bounds_s), by_key=self._by_key)
        self._scores = [0] * (len(self.trial.score_edges) + 1)
        self._firsts: list[First] = []
        self._room.taken = 0
        self._shadowed: dict[str, int] = {}
        self._differences: list[Difference] = []

    def _events(self) -> dict[str, int]:
        found = {
            "split": self._split,
            "errors": self._errors,
            "features_missing": self._missing,
            "outputs_invalid": self._invalid,
            "late_runs": self._late_runs,
        }
        found |= {f"scores.{place}": count for place, count in enumerate(self._scores)} | self._shadowed
        return {event: count for event, count in found.items() if count}

    def _failed_key(self, number: int) -> None:
        if self._sampled(number):
            self._first("keys", "keys", number)
        self._first("errors", "errors", number)

    def _key_ran(self, number: int, place: int, size: int, *, leads: bool) -> None:
        if not self._sampled(number):
            return
        self._runs.sampled(size)
        if leads:
            self._runs.led(size, place)
        if place:
            slowest = self._slowest_leading if leads else self._slowest
            told = slowest.get(number, 0)
            if place > told:
                slowest[number] = place
                for bound in range(told, place):
                    seen = f"slow.{bound}"
                    self._first(seen, f"{seen}.{size}", number, step_only=not leads)

    def _read(self) -> None:
        """Count what was left to be looked at."""
        rows = self._unread.rows
        if rows:
            outputs = self._unread.take()
            self._invalid += len(rows_not_finite(outputs))
            scores = None if self.scores is None else self.scores.of(outputs, range(rows))
            if scores is not None and self.scores is not None:
                for place, count in enumerate(self.scores.count(scores)):
                    self._scores[place] += count

    def _look_at(self, judged: Judged, outputs: Outputs) -> None:
        bad_rows = rows_not_finite(outputs)
        scores = None if self.scores is None else self.scores.of(outputs, judged.rows)
        bins = None if scores is None or self.scores is None else self.scores.bins(scores)
        for place, request in enumerate(judged.requests):
            valid = not bad_rows or bad_rows.isdisjoint(range(judged.rows[place], judged.rows[place] + request.rows))
            score_bin = -1 if bins is None else bins[place]
            if not valid:
                self._invalid += 1
            if score_bin >= 0:
                self._scores[score_bin] += 1
            if self._by_key and request.key is not None:
                self._key_answered(_number(request.key), score_bin, missing=bool(request.degraded), valid=valid)

    def _key_answered(self, number: int, score_bin: int, *, missing: bool, valid: bool) -> None:
        # What few keys have is counted of all of them, and what every key has of the sample.
        if missing:
            self._first("features_missing", "features_missing", number)
        if not valid:
            self._first("outputs_invalid", "outputs_invalid", number)
        if not self._sampled(number):
            return
        self._first("keys", "keys", number)
        if score_bin >= 0:
            # Its first score alone: the first in each bin would use one coin several times.
            self._first("scores", f"scores.{score_bin}", number)

    def _first(self, seen: str, event: str, number: int, *, step_only: bool = False) -> None:
        told = f"{seen} in the step" if step_only else seen
        if (told, number) in self._told:
            return
        if self._room.taken >= _MOST_FIRSTS:
            self._lost += 1
            return
        self._room.taken += 1
        self._told.add((told, number))
        self._firsts.append(First(seen, event, number, self._sampled(number), step_only))

    def _sampled(self, number: int) -> bool:
        return (number & _LOW_32) < self.trial.key_sample


def _number(key: bytes) -> int:
    """By what a key is known where it is counted."""
    return xxh3_64_intdigest(key, _SAMPLE_SEED)


class Answered(NamedTuple):
    """A request that stable just answered from `row` of `outputs`, after a run of so long; `arm` counts its copy."""

    request: Request
    inputs: Sequence[Tensor]
    outputs: Outputs
    row: int
    run_s: float
    arm: Arm


Offer = Callable[[Answered], None]
