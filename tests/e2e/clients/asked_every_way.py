"""Questions to a session in every way, by tritonclient in its own environment."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.clients.drivers.questions import Answer, Question, Way
from tests.e2e.clients.environments import environment
from tests.e2e.sluice_up import ROOT, SluiceUp
from tests.e2e.sluice_up import environment as variables

_WITHIN_S = 110.0


def ask_every_way(session: SluiceUp, questions: Sequence[Question], folder: Path) -> list[Mapping[Way, Answer]]:
    """What was answered to each question, by way; the files of it are put into `folder`."""
    asked, answered = folder / "questions.pickle", folder / "answers.pickle"
    asked.write_bytes(pickle.dumps(list(questions)))
    python = environment("mlserver") / "bin" / "python"
    addresses = [f"127.0.0.1:{session.port}", f"127.0.0.1:{session.grpc_port}"]
    said = subprocess.run(
        [python, "-m", "tests.e2e.clients.drivers.every_way", asked, answered, *addresses],
        cwd=ROOT,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )
    assert said.returncode == 0, said.stderr
    found: list[Mapping[Way, Answer]] = pickle.loads(answered.read_bytes())
    return found
