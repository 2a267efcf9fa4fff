"""Puts the served-feature log of a gateway worker together, and tells its figures."""

from __future__ import annotations

import random
import time
from pathlib import Path

from serving.config.near_cache_sections import age_s
from serving.config.served_log_section import ServedLogSection
from serving.features.served_log.served_log import ServedLog
from serving.telemetry.catalogue import SERVED_LOG_ROWS
from serving.telemetry.recorder import Recorder


def served_log_of(section: ServedLogSection) -> ServedLog | None:
    """The log, not yet started; None where none is configured."""
    if section.folder is None:
        return None
    # An extra, and a large one.
    from serving.features.served_log.log_files import LogFiles, LogOptions  # noqa: PLC0415

    options = LogOptions(Path(section.folder), age_s(section.rotate), int(section.max_files_mb * 1e6), section.hash_ids)
    return ServedLog(LogFiles(options, time.monotonic), section.sample, random.random)


def tell_served_log(served_log: ServedLog, recorder: Recorder) -> None:
    """The figures as they stand now."""
    recorder.counted(SERVED_LOG_ROWS, ("written",), served_log.written)
    recorder.counted(SERVED_LOG_ROWS, ("dropped",), served_log.dropped)
