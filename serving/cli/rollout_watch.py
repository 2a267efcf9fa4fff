"""`sluice rollout wait`, and `status --watch`: looks at a rollout until it is over, whoever is away meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from serving.cli.failure import CommandFailed

if TYPE_CHECKING:
    from serving.cli.control_client import ControlClient

Seen = Mapping[str, Any]
_LOOK_EVERY_S = 1.0
# A control app or a control Redis that was killed is back sooner, and the rollout goes on meanwhile.
_PATIENCE_S = 60.0


def looks(client: ControlClient, rollout_id: str) -> Iterator[Seen]:
    """The rollout once a second, last when it is over; who does not answer meanwhile is asked again for a minute.

    Raises:
        CommandFailed: the first look fails, or all of a minute.
    """
    from serving.cli.output import note

    seen: Seen = client.get(f"/rollouts/{rollout_id}")
    answered_at, away = time.monotonic(), False
    yield seen
    while not seen["over"]:
        time.sleep(_LOOK_EVERY_S)
        try:
            seen = client.get(f"/rollouts/{rollout_id}")
        except CommandFailed as failed:
            if time.monotonic() >= answered_at + _PATIENCE_S:
                raise
            if not away:
                note(f"{failed.message}; it is asked again for {_PATIENCE_S:.0f} s")
            away = True
        else:
            answered_at, away = time.monotonic(), False
        # The same again where nobody answered, so that who waits keeps to its time.
        yield seen


def watch(client: ControlClient, rollout_id: str, *, as_json: bool) -> None:
    """Show it with each look."""
    for seen in looks(client, rollout_id):
        show(seen, as_json=as_json, anew=True)


def show(seen: Seen, *, as_json: bool, anew: bool = False) -> None:
    """One look; `anew` on an empty screen."""
    from serving.cli.output import console, print_json
    from serving.cli.rollout_screen import tree

    if as_json:
        print_json(seen)
        return
    out = console()
    if anew and out.is_terminal:
        out.clear()
    # What is looked at again and again has to fit on a screen.
    out.print("\n".join(tree(seen, judged_by=not anew)), markup=False)


def over(client: ControlClient, rollout_id: str, timeout_s: float, *, silent: bool) -> Seen:
    """The rollout once it is over.

    Raises:
        CommandFailed: it is not within this time, or nothing answers for a minute.
    """
    from serving.cli.rollout_screen import in_short
    from serving.cli.spinner import spinner

    until = time.monotonic() + timeout_s
    with spinner(f"waiting for {rollout_id}", silent=silent) as tell:
        looked = looks(client, rollout_id)
        seen = next(looked)
        while not seen["over"]:
            if time.monotonic() >= until:
                raise CommandFailed(f"{rollout_id} is still {seen['phase'].replace('_', ' ')}: {seen['sentence']}")
            tell(in_short(seen))
            seen = next(looked)
    return seen
