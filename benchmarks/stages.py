"""Where a request's time goes inside Sluice: its own histograms, before and after a load."""

from __future__ import annotations

import http.client
import re
import time

# Workers report to the supervisor, which renders; the last reports of a load need a moment.
SETTLE_S = 1.5
SAMPLE = re.compile(r"^(sluice_\w+?)_(sum|count)(?:\{(.*)\})? ([0-9.eE+-]+)")
STAGE = re.compile(r'stage="(\w+)"')
ROWS_METRIC = "sluice_batch_rows"
# Rows of a batch, on average: what is counted once for each batch is divided by it to be a request's share.
ROWS = "rows a batch"
Totals = dict[str, tuple[float, float]]


def scrape(port: int) -> Totals:
    """Sum and count of each stage so far, empty where nothing answers: the load is measured all the same."""
    time.sleep(SETTLE_S)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return parse(connection.getresponse().read().decode())
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def parse(exposition: str) -> Totals:
    """Sums (seconds, and rows) and counts of the histograms of stages and of rows, over all other labels."""
    totals: Totals = {}
    for line in exposition.splitlines():
        sample = SAMPLE.match(line)
        if sample is None:
            continue
        labelled = STAGE.search(sample[3] or "")
        stage = labelled[1] if labelled else ROWS if sample[1] == ROWS_METRIC else None
        if stage is None:
            continue
        total, count = totals.get(stage, (0.0, 0.0))
        value = float(sample[4])
        totals[stage] = (total + value, count) if sample[2] == "sum" else (total, count + value)
    return totals


def since(before: Totals, after: Totals) -> dict[str, float]:
    """Microseconds of each stage for one observation (a request, or a batch), and the rows of a batch, in between."""
    grown: dict[str, float] = {}
    for stage, (total, count) in after.items():
        total_before, count_before = before.get(stage, (0.0, 0.0))
        observed = count - count_before
        if observed > 0:
            grown[stage] = (total - total_before) / observed * (1 if stage == ROWS else 1e6)
    return grown
