"""`sluice predict MODEL --file IN --out OUT`: every row of a table, through the bulk lane of a running gateway."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from serving.bulk.answer import Answered, from_predictions, from_tensors
from serving.bulk.asking import Asker, Reply, Shared
from serving.bulk.column_fit import Wishes, fit
from serving.bulk.finish import Target, Watch, refuse_target, write_out
from serving.bulk.http_gateway import HttpGateway
from serving.bulk.lane import Job, Lane
from serving.bulk.model_form import ModelForm, model_form
from serving.bulk.pace import Pace
from serving.bulk.patience import Patience
from serving.bulk.records import added_names, record_schema
from serving.bulk.senders import Senders
from serving.bulk.state import Identity, State
from serving.bulk.stopped import BulkStopped
from serving.bulk.table_input import open_table
from serving.cli.bulk_progress import Begin, bulk_progress
from serving.cli.failure import CommandFailed, ExitCode, wrong_usage
from serving.cli.gateway_client import GatewayClient, model_path

# Enough that the gateway always has rows of ours where it has nothing better to do.
_IN_FLIGHT = 4
# Of the model's queue, so that a file never takes the room of those who wait for one answer.
_SHARE_OF_QUEUE = 4
# Rows of low priority are passed over while others come, and are late, not lost.
_TIMEOUT_MS = 30_000
_OK = 200


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The flags of a file; `limit` 0 is none."""

    file: Path
    out: Path
    rejects: Path | None = None
    columns: tuple[str, ...] = ()
    keep: tuple[str, ...] | None = None
    prefix: str = ""
    limit: int | None = None
    priority: int | None = None
    patience_s: float = 600.0
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Sending:
    """How requests are sent, whatever is in them."""

    version: int | None = None
    timeout_ms: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Predicted:
    """What came of a file."""

    rows: int
    before: int
    rejected: int
    first: str
    took_s: float

    @property
    def rows_per_s(self) -> int:
        """How quick it was, from the first request to the output's name."""
        asked = self.rows + self.rejected - self.before
        return round(asked / self.took_s) if self.took_s else 0


def predict_file(
    client: GatewayClient, model: str, options: FileOptions, sending: Sending, *, silent: bool
) -> Predicted:
    """Predict every row and write the output, or keep what is done for the next start.

    Raises:
        BadRequest, CommandFailed: it does not fit, before anything is sent; or it ended early, and how it goes on.
    """
    form = _form(client, model, sending.version)
    table = open_table(options.file)
    fitted = fit(form, table.columns, Wishes(options.columns, options.keep))
    if sending.version is not None and not fitted.inputs:
        raise wrong_usage("--version goes with tensors; by entity the route always answers")
    names = tuple(column.name for column in table.columns)
    target = Target(options.out, options.rejects, names if options.keep is None else options.keep, options.prefix)
    added_names(form, options.prefix, target.keep)
    refuse_target(target, options.file)
    job = Job(table, form, fitted, options.limit, reject=options.rejects is not None)
    schema = record_schema(form)
    identity = Identity.of(options.file, model, sending.version, asked=fitted, answers=schema)
    state = State(options.out)
    try:
        with _stoppable() as stop:
            state.begin(identity, schema, restart=options.restart)
            shared = _shared(form, options, stop)
            senders = Senders([_asker(client, job, sending, shared, options) for _ in range(_IN_FLIGHT)])
            with bulk_progress(table.share, silent=silent) as begin:
                return _run(Lane(job, state, senders, shared), target, begin)
    except BulkStopped as stopped:
        raise _ended(stopped, state, client) from stopped
    except OSError as error:
        raise CommandFailed(f"{state.folder} cannot be written: {error.strerror or error}") from error
    finally:
        state.close()


def _run(lane: Lane, target: Target, begin: Begin) -> Predicted:
    began, before = time.monotonic(), lane.state.progress.rows
    lane.run(begin(f"predicting with {lane.job.form.name}", before))
    done = lane.state.progress
    watch = Watch(begin(f"writing {target.output.name}", 0), lane.shared.stop.is_set)
    written = write_out(lane.job, lane.state, target, watch)
    return Predicted(written, before, done.rejected, done.first, time.monotonic() - began)


def _form(client: GatewayClient, model: str, version: int | None) -> ModelForm:
    path = model_path(model, version)
    metadata = client.get(path)
    return model_form(metadata, _told(client, f"{path}/config"), _told(client, f"/v1/models/{quote(model, safe='')}"))


def _told(client: GatewayClient, path: str) -> Mapping[str, Any]:
    reply = client.ask("GET", path)
    return reply.body if reply.status == _OK and isinstance(reply.body, dict) else {}


def _shared(form: ModelForm, options: FileOptions, stop: threading.Event) -> Shared:
    most = max(1, form.queue_rows // _SHARE_OF_QUEUE // _IN_FLIGHT)
    pace = Pace(most=most, full=max(1, min(form.max_rows, most)))
    return Shared(pace, Patience(options.patience_s), stop, threading.Lock())


def _asker(client: GatewayClient, job: Job, sending: Sending, shared: Shared, options: FileOptions) -> Asker:
    form, url = job.form, urlsplit(client.url)
    by_entity = not job.fit.inputs
    path = (
        f"/v1/models/{quote(form.name, safe='')}:predict"
        if by_entity
        else model_path(form.name, sending.version) + "/infer"
    )
    headers = {**sending.headers, "x-sluice-priority": str(options.priority or form.priority_levels)}
    timeout_s = (sending.timeout_ms or _TIMEOUT_MS) / 1000
    gateway = HttpGateway(str(url.hostname), url.port or 80, url.path + path, headers, timeout_s)

    def read(reply: Reply, rows: int) -> Answered:
        if by_entity:
            return from_predictions(form, reply.body, reply.headers, rows)
        json_size = reply.headers.get("inference-header-content-length")
        return from_tensors(form, reply.body, None if json_size is None else int(json_size), rows)

    return Asker(gateway, read, shared)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Set by SIGINT and SIGTERM, which then end nothing by themselves."""
    stop = threading.Event()
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _ended(stopped: BulkStopped, state: State, client: GatewayClient) -> CommandFailed:
    kept = f"{state.progress.rows:,} rows are answered and kept in {state.folder}; the same command goes on from there"
    code = ExitCode.NOT_REACHABLE if stopped.unreachable else ExitCode.FAILED
    where = f"{client.url}: " if stopped.unreachable else ""
    return CommandFailed(f"{where}{stopped.message}; {kept}", ExitCode.INTERRUPTED if stopped.interrupted else code)
