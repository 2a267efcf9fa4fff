"""Runs checks one after the other; whatever one of them meets, the next one is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from serving.conformance.check import Check, Failed, Outcome, Result, Skipped
from serving.conformance.grpc_client import GrpcFailed
from serving.conformance.http_client import NotReachable
from serving.conformance.server import Server

# The exchanges of a check that are worth reading are the last ones.
_EVIDENCE = 4


def run(checks: Iterable[Check], server: Server, *, unadvertised: bool = False) -> Iterator[Result]:
    """Try each; extensions that the server does not advertise only with `unadvertised`."""
    for check in checks:
        if check.extension and check.extension not in server.extensions and not unadvertised:
            yield Result(check, Outcome.SKIPPED, f"{check.extension} is not advertised")
        else:
            yield run_one(check, server)


def run_one(check: Check, server: Server, clock: Callable[[], float] = time.perf_counter) -> Result:
    """Try one promise."""
    server.http.transcript.clear()
    began = clock()
    try:
        check.run(server)
        outcome, reason = Outcome.PASS, ""
    except Failed as failed:
        outcome, reason = Outcome.FAIL, str(failed)
    except GrpcFailed as failed:
        # Checks that expect a refusal catch it themselves.
        outcome, reason = Outcome.FAIL, f"answered {failed}"
    except Skipped as skipped:
        outcome, reason = Outcome.SKIPPED, str(skipped)
    except NotReachable as away:
        # The server was there a moment ago: an unanswered request is a broken promise, a server that is gone an error.
        outcome, reason = (Outcome.FAIL if _alive(server) else Outcome.ERROR), str(away)
    except Exception as error:  # noqa: BLE001 - a defect of the suite is told and not the end of it
        outcome, reason = Outcome.ERROR, f"the suite failed: {type(error).__name__}: {error}"
    took_s = clock() - began
    told = tuple(server.http.transcript[-_EVIDENCE:]) if outcome in (Outcome.FAIL, Outcome.ERROR) else ()
    return Result(check, outcome, reason, told, took_s)


def _alive(server: Server) -> bool:
    probe = server.http.another()
    try:
        probe.ask("GET", "/v2/health/live")
    except NotReachable:
        return False
    finally:
        probe.close()
    return True
