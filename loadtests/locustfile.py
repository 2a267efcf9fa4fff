"""Locust over the lean generator: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8080`, with or without UI.

`-u 100` is 1,000 requests a second; SLUICE_SCENARIO names whose users ask for what. `--headless`, `--master`,
`--worker` and `--processes` work as ever, each worker with a generator of its own.
"""

from __future__ import annotations

from loadtests.locusts.users import OpenLoopUser


class OpenLoop(OpenLoopUser):
    """Ten requests a second for each user."""

    rate = 10.0
