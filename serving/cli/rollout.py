"""`sluice rollout ...`: begin a rollout, look at it, and tell it what to do."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from serving.cli import rollout_plan
from serving.cli.config import AsJson
from serving.cli.failure import CommandFailed, ExitCode
from serving.cli.models import ControlUrl, HttpPort, Name, TokenFile
from serving.cli.rollout_plan import PlanFile, read_plan

if TYPE_CHECKING:
    from serving.cli.control_client import ControlClient

Which = Annotated[str, typer.Argument(help="Id of a rollout, or a model for its last one.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(name="rollout", help="Roll a version out, judged.", no_args_is_help=True, rich_markup_mode=None)
    commands: tuple[tuple[Callable[..., None], str, str], ...] = (
        (start, "Begin to roll out a version.", "start flight-delay 2 --plan plan.yaml"),
        (rollout_plan.plan, "Check a plan, and what it comes to.", "plan flight-delay --plan plan.yaml"),
        (status, "Where rollouts stand, and why.", "status flight-delay --watch"),
        (promote, "Go on to the next step, or to the end.", "promote flight-delay --full"),
        (pause, "Stay at this weight.", "pause flight-delay"),
        (resume, "Go on where it was paused.", "resume flight-delay"),
        (abort, "Back to the stable version, and an end.", "abort flight-delay"),
        (history, "What was done, by whom, and why.", "history flight-delay"),
        (explain, "Every gate in a sentence with its numbers.", "explain flight-delay"),
        (replay, "Take every verdict again from its counts.", "replay flight-delay"),
        (wait, "Return when it is over.", "wait flight-delay --for promoted"),
        (freeze, "Nothing changes any more, not even back.", "freeze"),
        (unfreeze, "Go on after a freeze.", "unfreeze"),
        (rollout_plan.simulate, "Try the rule in a described world.", "simulate --error-ratio 2 --runs 20"),
    )
    for command, short, example in commands:
        group.command(command.__name__, short_help=short, epilog=f"Example: sluice rollout {example}")(command)
    app.add_typer(group)


def start(
    model: Name,
    version: Annotated[int, typer.Argument(help="Number of a version that is loaded.", min=1)],
    plan: PlanFile = None,
    sticky: Annotated[
        bool | None,
        typer.Option("--by-key/--by-request", help="What is counted; by default seen from the first requests."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it could begin.")] = False,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Begin to roll out a version beside the one that answers, judged against it step by step."""
    from serving.cli.spinner import spinner

    client = _client(http_port, control_url, token_file)
    body = {"canary": version, "plan": read_plan(plan), "sticky": sticky, "dry_run": dry_run, "by": me()}
    # Whether there is room for replicas of its own takes the engine a while.
    with spinner(f"asking whether {model}/{version} can begin", silent=as_json):
        done = client.post(f"/models/{quote(model, safe='')}/rollouts", {}, body)
    words = "could begin: " if dry_run else "has begun: "
    _tell(done, f"{words}{done['id']}, version {done['stable']} to {done['canary']}", as_json=as_json)


def status(
    which: Annotated[
        str | None, typer.Argument(help="Id of a rollout, or a model; without it all.", show_default=False)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until it is over.")] = False,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show all rollouts, or one of them with its steps, its gates and why it stands where it stands."""
    from serving.cli import rollout_watch
    from serving.cli.output import console, print_json, table
    from serving.cli.rollout_screen import COLUMNS, row

    client = _client(http_port, control_url, token_file)
    if which is not None:
        rollout_id = _id(client, which)
        if watch:
            rollout_watch.watch(client, rollout_id, as_json=as_json)
        else:
            rollout_watch.show(client.get(f"/rollouts/{rollout_id}"), as_json=as_json)
        return
    found = client.get("/rollouts")
    if as_json:
        print_json(found)
    elif found["rollouts"]:
        console().print(table(COLUMNS, map(row, found["rollouts"]), right=["canary's share"]))
    else:
        typer.echo("no rollout yet; `sluice rollout start MODEL VERSION` begins one")


def promote(
    which: Which,
    full: Annotated[bool, typer.Option("--full", help="To the end, whatever the gates say.")] = False,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Go on to the next step, also without its proof, or agree to the step that waits for approval."""
    client = _client(http_port, control_url, token_file)
    _order(client, which, "promote", {"full": "true" if full else None}, as_json=as_json)


def pause(
    which: Which,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Stay at this weight until somebody resumes; harm still rolls it back."""
    _order(_client(http_port, control_url, token_file), which, "pause", as_json=as_json)


def resume(
    which: Which,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a step; the gate that paused it pauses it no more."""
    _order(_client(http_port, control_url, token_file), which, "resume", as_json=as_json)


def abort(
    which: Which,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Give all traffic back to the stable version and end the rollout."""
    _order(_client(http_port, control_url, token_file), which, "abort", as_json=as_json)


def history(
    which: Which,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what was done in a rollout, by whom and why, the oldest first."""
    from serving.cli.output import console, print_json, table
    from serving.cli.rollout_screen import history_row

    found = _history(_client(http_port, control_url, token_file), which)
    if as_json:
        print_json(found)
        return
    console().print(table(["at", "who", "what", "step", "why"], map(history_row, found["entries"]), right=["step"]))


def explain(
    which: Which,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Say of every gate what was seen, how much evidence that is, and how much more would decide."""
    from serving.cli.output import print_json
    from serving.cli.rollout_screen import explained

    client = _client(http_port, control_url, token_file)
    seen = client.get(f"/rollouts/{_id(client, which)}")
    if as_json:
        print_json({name: seen[name] for name in ("id", "sentence", "gates", "lacking")})
        return
    for sentence in (seen["sentence"], *explained(seen)):
        typer.echo(sentence)


def replay(
    which: Which,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Take every verdict that changed something again, from the counts that were kept with it.

    Exit code 1 where one comes out otherwise.
    """
    from serving.cli.output import print_json

    found = _history(_client(http_port, control_url, token_file), which)
    entries = [one for one in found["entries"] if one["replayed"] is not None]
    how = {True: "same", False: "OTHERWISE", None: "REFUSED"}
    if as_json:
        print_json({"entries": entries})
    else:
        for one in entries:
            typer.echo(f"{how[one['same']]}: {one['what'].replace('_', ' ')}: {one['replayed']}")
    refused = sum(one["same"] is None for one in entries)
    other = sum(one["same"] is False for one in entries)
    if other:
        raise CommandFailed(f"{other} of {len(entries)} verdicts come out otherwise")
    if refused:
        raise CommandFailed(f"{refused} of {len(entries)} verdicts are of another release and cannot be taken again")
    if not as_json:
        typer.echo(f"{len(entries)} verdicts, all the same")


def wait(
    which: Which,
    wanted: Annotated[
        str, typer.Option("--for", help="promoted, or rolled-back: the end that is exit code 0; others are 4.")
    ] = "promoted",
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds, then exit code 1.", min=0)] = 86_400.0,
    http_port: HttpPort = 8080,
    control_url: ControlUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Return when a rollout is over: exit code 0 if it ended as wanted, 4 if not.

    A session that does not answer meanwhile is asked again for a minute.
    """
    from serving.cli.failure import wrong_usage
    from serving.cli.rollout_watch import over

    if wanted not in ("promoted", "rolled-back"):
        raise wrong_usage(f"--for {wanted}: one of promoted, rolled-back")
    client = _client(http_port, control_url, token_file)
    rollout_id = _id(client, which)
    seen = over(client, rollout_id, timeout_s, silent=as_json)
    ended = f"{rollout_id} {seen['phase'].replace('_', ' ')}: {seen['sentence']}"
    if seen["phase"] != wanted.replace("-", "_"):
        if as_json:
            _tell(seen, "", as_json=True)
        raise CommandFailed(ended, ExitCode.NOT_PROMOTED)
    _tell(seen, ended, as_json=as_json)


def freeze(
    http_port: HttpPort = 8080, control_url: ControlUrl = None, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """Let no rollout change any more but by people's orders: none goes on, none goes back, none begins."""
    done = _client(http_port, control_url, token_file).post("/rollouts:freeze", {"by": me()})
    _tell(done, "rollouts are frozen; `sluice rollout unfreeze` lets them go on", as_json=as_json)


def unfreeze(
    http_port: HttpPort = 8080, control_url: ControlUrl = None, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """Let rollouts go on; the time of each step begins anew."""
    done = _client(http_port, control_url, token_file).post("/rollouts:unfreeze", {"by": me()})
    _tell(done, "rollouts go on", as_json=as_json)


def _client(http_port: int, control_url: str | None, token_file: Path | None) -> ControlClient:
    from serving.cli.control_client import control_client

    return control_client(http_port, control_url, token_file)


def me() -> str:
    """The user's name, for the audit."""
    try:
        return getpass.getuser()[:100]
    except (OSError, KeyError):
        return "somebody"


def _id(client: ControlClient, which: str) -> str:
    for one in client.get("/rollouts")["rollouts"]:
        if which in (one["id"], one["model"]):
            return quote(str(one["id"]), safe="")
    raise CommandFailed(f"there is no rollout {which!r}, and none of a model of that name")


def _order(
    client: ControlClient, which: str, verb: str, query: dict[str, object] | None = None, *, as_json: bool
) -> None:
    done = client.post(f"/rollouts/{_id(client, which)}:{verb}", {**(query or {}), "by": me()})
    said = f"{done['id']} is {done['phase'].replace('_', ' ')}, {done['weight_percent']:g} % to the canary"
    _tell(done, said, as_json=as_json)


def _history(client: ControlClient, which: str) -> Any:  # noqa: ANN401 - JSON
    return client.get(f"/rollouts/{_id(client, which)}/history")


def _tell(done: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    from serving.cli.output import print_json

    if as_json:
        print_json(done)
    else:
        typer.echo(text)
