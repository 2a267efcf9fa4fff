"""One load test as the command line begins and ends it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from serving.cli.loadtest_run import heed_interrupts

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def handlers() -> Iterator[None]:
    """As they were before."""
    kept = {each: signal.getsignal(each) for each in ENDS}
    yield
    for each, handler in kept.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("end", ENDS)
def test_whoever_ends_a_load_ends_it_as_ctrl_c_does(end: signal.Signals) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heed_interrupts()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(end)
