"""`python -m serving.runtime.inspection`: opens models that may crash, one line of JSON in and one out for each."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import threading
from typing import TextIO

from serving.errors import ServingError
from serving.runtime.hosted_facts import dump_hosted
from serving.runtime.loaded_model import LoadedModel
from serving.runtime.source import load_source


def main(timeout_s: int) -> None:
    """Answer every line until the other end is closed; a model that takes longer ends the process with SIGALRM."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Nothing that a model's native code prints may come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _answer(sys.stdin, answers, timeout_s)


def _answer(questions: TextIO, answers: TextIO, timeout_s: int) -> None:
    for line in questions:
        # Not handled: the default action ends the process also where native code never returns to Python.
        signal.alarm(timeout_s)
        answer = _inspected(line)
        signal.alarm(0)
        answers.write(answer + "\n")
        answers.flush()


def _inspected(line: str) -> str:
    try:
        return dump_hosted(LoadedModel.open(load_source(line)).hosted)
    except ServingError as error:
        return json.dumps({"error": error.message})
    except Exception as error:  # noqa: BLE001 - whatever a model raises is what was to be found out
        return json.dumps({"error": f"it cannot be opened: {type(error).__name__}: {error}"})


def _end_with_parent() -> None:
    # Without an event asked for, poll reports one thing only: that nobody can write to our input any more.
    watched = select.poll()
    watched.register(0, 0)
    watched.poll()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
