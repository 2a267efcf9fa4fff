"""Why no prediction works yet, in words that help whoever waits for the session to become ready."""

from __future__ import annotations

from serving.processes.session_plan import EMBEDDED, SessionPlan


def reason_to_wait(plan: SessionPlan) -> str:
    """One sentence; where the control Redis is somebody else's, it is asked first, which takes two seconds at most."""
    if plan.engine != "in-process" and plan.control_url != EMBEDDED:
        # Imported now: redis' client takes 100 ms, which a session that starts well need not spend.
        from serving.state.connection import problem_with  # noqa: PLC0415

        problem = problem_with(plan.control_url)
        if problem:
            return f"the control Redis does not answer, and replicas are found through it ({problem})"
    return "no worker can predict yet: models or pools are still being loaded"
