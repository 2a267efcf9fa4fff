"""An alert provoked on purpose: what is done to a session, how long it took to fire, and to clear afterwards."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.e2e.prometheus import Prometheus
from tests.e2e.sluice_up import SluiceUp

log = logging.getLogger(__name__)

_LOOKS_EVERY_S = 0.2
FIRES_WITHIN_S = 90.0
CLEARS_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Provocation:
    """`how` is a sentence for people, `done` has done it once entered; `by` is how much the rules hurry."""

    alerts: tuple[str, ...]
    how: str
    done: Callable[[SluiceUp], AbstractContextManager[None]]
    by: float = 60.0
    clears_within_s: float = CLEARS_WITHIN_S


@dataclass(frozen=True, slots=True)
class Fired:
    """One alert, and seconds: from the deed until it fired, and from when that was undone until it did not any more."""

    alert: str
    how: str
    by: float
    fired_s: float
    cleared_s: float

    def row(self) -> str:
        """For docs/operations/monitoring.md."""
        return f"| `{self.alert}` | {self.how} | {self.by:g} | {self.fired_s:.0f} s | {self.cleared_s:.0f} s |"


@dataclass(slots=True)
class Watch:
    """Looks at these alerts `since` a moment of the monotonic clock."""

    prometheus: Prometheus
    alerts: tuple[str, ...]
    since: float = field(default_factory=time.monotonic)
    seen: dict[str, float] = field(default_factory=dict)

    def until_all(self, *, fire: bool, within_s: float) -> dict[str, float]:
        """Seconds after `since` at which each fired, or did not fire any more."""
        while len(self.seen) < len(self.alerts):
            with suppress(OSError):
                firing = self.prometheus.firing()
                for one in self.alerts:
                    if (one in firing) is fire:
                        self.seen.setdefault(one, time.monotonic() - self.since)
            missing = set(self.alerts) - self.seen.keys()
            late = time.monotonic() > self.since + within_s
            assert not (missing and late), f"{missing} {'did not fire' if fire else 'did not clear'}: {firing}"
            time.sleep(_LOOKS_EVERY_S)
        return self.seen


def provoked(one: Provocation, session: SluiceUp, prometheus: Prometheus) -> list[Fired]:
    """Do it, see the alerts fire, undo it, see them clear."""
    Watch(prometheus, one.alerts).until_all(fire=False, within_s=CLEARS_WITHIN_S)
    before = prometheus.firing()
    with one.done(session):
        fired = Watch(prometheus, one.alerts).until_all(fire=True, within_s=FIRES_WITHIN_S)
        beside = prometheus.firing() - before - set(one.alerts)
        undone = time.monotonic()
    cleared = Watch(prometheus, one.alerts, undone).until_all(fire=False, within_s=one.clears_within_s)
    seen = [Fired(name, one.how, one.by, fired[name], cleared[name]) for name in one.alerts]
    for told in seen:
        log.warning("%s", told.row())
    log.warning("beside %s: %s", one.alerts, beside or "none")
    return seen


@contextmanager
def repeated(deed: Callable[[], None]) -> Iterator[None]:
    """Done again and again, beside what is entered."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(0.1):
            deed()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def table(seen: Iterable[Fired]) -> str:
    """As docs/operations/monitoring.md has it."""
    head = "| alert | provoked by | divided by | fired after | cleared after |\n|---|---|---|---|---|\n"
    return head + "\n".join(one.row() for one in seen) + "\n"
