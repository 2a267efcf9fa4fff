"""Puts the traces of a gateway worker together, and tells their figures."""

from __future__ import annotations

import logging
import os
import random
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.config.tracing_section import TracingSection
from serving.errors import ConfigInvalid
from serving.processes.release import release
from serving.telemetry.catalogue import SPANS, TRACES
from serving.telemetry.recorder import Recorder
from serving.telemetry.tracing.sender import Receiver, SpanSender, poster
from serving.telemetry.tracing.tracer import Sources, TraceOptions, Tracer

log = logging.getLogger(__name__)

# RFC 9110, section 5.
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*?)[ \t]*")


@dataclass(frozen=True, slots=True)
class Tracing:
    """A worker's tracer, and what sends its spans."""

    tracer: Tracer
    sender: SpanSender

    def tell(self, recorder: Recorder) -> None:
        """The figures as they stand now; what was traced until then is on its way."""
        self._flush()
        for why, count in self.tracer.counts.items():
            recorder.counted(TRACES, (why,), count)
        sender = self.sender
        for outcome, count in (("sent", sender.sent), ("dropped", sender.dropped), ("lost", sender.lost)):
            recorder.counted(SPANS, (outcome,), count)

    async def stop(self) -> None:
        """Send what was traced until now, if the receiver takes it at once, and end."""
        self._flush()
        await self.sender.stop()

    def _flush(self) -> None:
        try:
            self.tracer.flush()
        except Exception:
            # Whoever tells figures tells others beside these.
            log.exception("spans could not be made and are lost")


def tracing_of(section: TracingSection, session: str, slot: int, recorder: Recorder) -> Tracing | None:
    """Traces as configured, not yet sent; None where none are, or where the file of headers cannot be used."""
    if section.endpoint is None:
        return None
    try:
        headers = {} if section.headers_file is None else receiver_headers(Path(section.headers_file))
    except ConfigInvalid as wrong:
        # The file may have been lost since the configuration was checked: a worker that ended for it would be started
        # again and again, and nobody be answered.
        log.error("%s; requests are answered, and not traced", wrong.message)  # noqa: TRY400 - no traceback helps
        return None
    receiver = Receiver(section.endpoint, headers, section.timeout_s)
    sender = SpanSender(poster(receiver), release(), int(section.queue_mb * 1e6))
    chance = random.Random(os.urandom(16))  # noqa: S311 - ids of traces are unlike each other, and no secret
    sources = Sources(chance.random, chance.getrandbits, time.monotonic, time.time)
    return Tracing(Tracer(_options(section, session, slot), sender, recorder, sources), sender)


def receiver_headers(path: Path) -> Mapping[str, str]:
    """Headers from a file of `name: value` lines; empty lines are left out.

    Raises:
        ConfigInvalid: it cannot be read, or a line is no header; what the line holds is not said.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"tracing.headers_file: {path} cannot be read: {type(error).__name__}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            header = _HEADER.fullmatch(line)
            if header is None:
                raise ConfigInvalid(f"tracing.headers_file: line {number} of {path} is no header; write name: value")
            found[header[1]] = header[2]
    return found


def _options(section: TracingSection, session: str, slot: int) -> TraceOptions:
    return TraceOptions(
        share=section.sample,
        slow_s=None if section.slow_ms is None else section.slow_ms / 1000,
        failed=section.failed,
        follow_callers=section.follow_callers,
        per_s=section.max_per_s,
        service=section.service,
        attributes={
            "service.version": release(),
            "service.instance.id": f"{session}/{slot}",
            "host.name": socket.gethostname(),
            "process.pid": str(os.getpid()),
        },
    )
