"""Finds out in a process of its own what a version is, since loading one can crash or never end."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

from serving.errors import ModelUnservable
from serving.inference import Hosted
from serving.runtime import low_priority
from serving.runtime.hosted_facts import load_hosted
from serving.runtime.source import ModelSource, dump_source

_PROGRAM = (sys.executable, "-m", "serving.runtime.inspection")


class Inspector:
    """Opens versions one after the other in one child process, and in a new one after a crash.

    A child costs 0.3 s to start, which is why sound versions share it.
    """

    def __init__(self, timeout_s: float = 60.0) -> None:
        self._timeout_s = max(1, math.ceil(timeout_s))
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inspect(self, source: ModelSource) -> Hosted:
        """What `LoadedModel.open` would find.

        Raises:
            ModelUnservable: also where the version crashes its process or does not become ready in time.
        """
        child = self._running()
        answer = _asked(child, dump_source(source))
        if not answer:
            raise ModelUnservable(f"{source.path}: {self._epitaph(child)}")
        values = json.loads(answer)
        if "error" in values:
            raise ModelUnservable(values["error"])
        return load_hosted(values)

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None:
            self._child = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
                [*_PROGRAM, str(self._timeout_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            # From its first moment: what it imports takes longer than most models.
            low_priority.take(self._child.pid)
        return self._child

    def _epitaph(self, child: subprocess.Popen[str]) -> str:
        self._child = None
        child.communicate()
        code = child.returncode
        if code == -signal.SIGALRM:
            return f"it is not ready after {self._timeout_s} s; make it smaller, or allow more time"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return (
            f"loading it ended its process ({how}); check its custom operators and its size against the memory, "
            "and export it again"
        )


def _asked(child: subprocess.Popen[str], question: str) -> str:
    if child.stdin is None or child.stdout is None:
        return ""
    try:
        child.stdin.write(question + "\n")
        child.stdin.flush()
    except BrokenPipeError:
        return ""
    return child.stdout.readline()
