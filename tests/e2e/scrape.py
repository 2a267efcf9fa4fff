"""The metrics of a running session, as a scraper sees them."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.sluice_up import SluiceUp

_LABEL = re.compile(r'(\w+)="([^"]*)"')
_TOLD_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the page."""

    name: str
    labels: Mapping[str, str]
    value: float


class Scrape:
    """All samples of one moment."""

    def __init__(self, session: SluiceUp) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{session.metrics_port}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        self._samples = [_sample(line) for line in lines if line and not line.startswith("#")]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples that carry these labels; 0 where there is none."""
        return sum(
            one.value for one in self._samples if one.name == name and labels.items() <= dict(one.labels).items()
        )


def told(session: SluiceUp) -> Scrape:
    """A scrape that counts all that was answered before: the worker tells once a second, in order."""
    refused = {"name": "sluice_requests_total", "outcome": "unknown_model"}
    before = Scrape(session).total(**refused)
    with session.connect() as connection:
        assert connection.post("/v2/models/marker/infer", {}).status == 404
    ends = time.monotonic() + _TOLD_WITHIN_S
    while (now := Scrape(session)).total(**refused) <= before:
        assert time.monotonic() < ends, "a refused request was never counted"
        time.sleep(0.05)
    return now


class BatchCount:
    """Batches from the moment it is made to `end`, of a session with one worker."""

    def __init__(self, session: SluiceUp) -> None:
        self._session = session
        self._before = told(session)
        self._after = self._before

    def end(self) -> None:
        """Everything was answered."""
        self._after = told(self._session)

    def batches(self, model: str, **labels: str) -> int:
        """How many batches of the model ran."""
        return self._more("sluice_batch_rows_count", model, labels)

    def rows(self, model: str, **labels: str) -> int:
        """How many rows they had together."""
        return self._more("sluice_batch_rows_sum", model, labels)

    def largest(self, model: str) -> int:
        """An upper bound of the rows of the largest batch: the bound of its bucket; 0 where there was none."""
        bounds = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
        batches = self.batches(model)
        if not batches:
            return 0
        return next(bound for bound in bounds if self._up_to(model, bound) == batches)

    def _up_to(self, model: str, bound: int) -> int:
        return self._more("sluice_batch_rows_bucket", model, {"le": f"{bound}.0"})

    def _more(self, name: str, model: str, labels: Mapping[str, str]) -> int:
        now, before = (scrape.total(name, model=model, **labels) for scrape in (self._after, self._before))
        return int(now - before)


def _sample(line: str) -> Sample:
    name, _, value = line.rpartition(" ")
    kind, _, labels = name.partition("{")
    return Sample(kind, dict(_LABEL.findall(labels)), float(value))
