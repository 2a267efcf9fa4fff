"""Every command, typed as a person types it: what it prints when it works, and the one line when it does not."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from deployments.flights import sample
from serving.cli.command_line import app
from tests.architecture.checkout import ROOT, names_in
from tests.e2e.sluice_up import PROGRAM, SluiceUp, environment

DONE, FAILED, WRONG_USAGE, NOT_REACHABLE = range(4)
FLIGHT = (
    "--entity tailnum=N14228 --entity carrier=UA --entity origin=EWR --entity dest=FLL --set hour=17 --set minute=25 "
    "--set weekday=4 --set distance=1065 --set temp=43 --set humid=61.2 --set pressure=1011.8"
)

# Requests may leave a tenth of the latency late, which is more than any generator has to wait for a core.
LOAD = """
name: tiny
about: Whether anything answers.
users: [{name: rows, payload: flight-rows}]
shape: [{name: load, for_s: 10, rate: 20}]
gates: {errors: 0, p99_ms: 10000}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What is typed after `sluice`, how it ends, and what stands in what it prints (errors: on standard error)."""

    typed: str
    code: int
    says: str

    @property
    def command(self) -> str:
        """Without arguments: the longest name of a command that it begins with."""
        return max((name for name in commands() if f"{self.typed} ".startswith(f"{name} ")), key=len)


# In one session, one after the other; what stands in braces is filled in by `where`.
LINES = (
    Line("up --config nowhere.yaml", WRONG_USAGE, "nowhere.yaml cannot be read: No such file or directory"),
    Line("up --models nowhere --engine in-process", WRONG_USAGE, "model repository nowhere: there is no such folder"),
    Line("up --models {models} --engine in-process --http-port {http}", WRONG_USAGE, "is in use by another program"),
    Line("restart --http-port {http}", DONE, "replaced the workers of port {http} in "),
    Line("restart --http-port {dead}", NOT_REACHABLE, "no session of yours runs on port {dead}"),
    Line("restart --pool default --http-port {http}", FAILED, "this session runs no pools of its own"),
    Line("models list --url {url}", DONE, "flight-delay"),
    Line("models list --url {gone}", NOT_REACHABLE, "{gone} does not answer (connection refused)"),
    Line("models list --url http://h:port", WRONG_USAGE, "must look like http://127.0.0.1:8080"),
    Line("models show flight-delay --url {url}", DONE, "if left out"),
    Line("models show nothing --url {url}", FAILED, "there is no model 'nothing'; known are 'flight-delay'"),
    Line("models show flight-delay --url {gone}", NOT_REACHABLE, "does not answer"),
    Line("models show flight-delay --url {url}", DONE, "a batch of n rows "),
    Line("models show flight-delay --url {url} --control-url {gone} --token-file {token}", NOT_REACHABLE, "answer"),
    Line("models load flight-delay 2 --http-port {http}", DONE, "flight-delay/2 was loaded already"),
    Line("models load flight-delay 99 --http-port {http}", FAILED, "has no flight-delay/99; it has flight-delay/1, "),
    Line("models load nothing 1 --http-port {http}", FAILED, "has no nothing/1; it has no version of it"),
    Line("models load a/b 1 --http-port {http}", WRONG_USAGE, "'a/b' is no model's name"),
    Line("models load flight-delay two --http-port {http}", WRONG_USAGE, "'version'"),
    Line("models load flight-delay 1 --http-port {dead}", NOT_REACHABLE, "no session of yours runs on port {dead}"),
    Line("models load flight-delay 1 --control-url {gone} --token-file {token}", NOT_REACHABLE, "does not answer"),
    Line("models load flight-delay 1 --control-url {url} --token-file {config}", WRONG_USAGE, "it holds no token"),
    Line("models load flight-delay 1 --control-url {gone}", WRONG_USAGE, "name the token's file with --token-file"),
    Line("models unload flight-delay 2 --http-port {http}", FAILED, "answers every request that names no version"),
    Line("models unload flight-delay 1 --http-port {http}", DONE, "unloaded flight-delay/1"),
    Line("models unload flight-delay 1 --http-port {http}", FAILED, "has no version 1; known are [2]"),
    Line("models unload flight-delay 1 --http-port {dead}", NOT_REACHABLE, "no session of yours runs on port {dead}"),
    Line("models pin flight-delay 2 --http-port {http}", DONE, "flight-delay/2 answers every request"),
    Line("models pin flight-delay 9 --http-port {http}", FAILED, "has no version 9 that is served; known are [2]"),
    Line("models pin flight-delay 2 --http-port {dead}", NOT_REACHABLE, "no session of yours runs on port {dead}"),
    Line("rollout plan --requests-per-min 3000", DONE, "the last step needs about"),
    Line("rollout plan --plan nowhere.yaml", WRONG_USAGE, "nowhere.yaml: it cannot be read: No such file"),
    Line("rollout plan --plan {config}", WRONG_USAGE, "unknown key"),
    Line("rollout plan flight-delay --measure 1 --http-port {http}", FAILED, "had no request within 1 s; name"),
    Line("rollout plan nowhere --measure 1 --http-port {http}", FAILED, "there is no model 'nowhere'"),
    Line("rollout simulate --error-ratio 10 --runs 2", DONE, "rolled back"),
    Line("rollout simulate --world {config}", WRONG_USAGE, "world: unknown key"),
    Line("rollout status --http-port {http}", DONE, "no rollout yet; `sluice rollout start MODEL VERSION` begins one"),
    Line("rollout status flight-delay --http-port {http}", FAILED, "there is no rollout 'flight-delay'"),
    Line("rollout start flight-delay 2 --http-port {http}", FAILED, "start it with `sluice up --rollouts`"),
    Line("rollout freeze --http-port {http}", FAILED, "start it with `sluice up --rollouts`"),
    Line("rollout wait flight-delay --for ever --http-port {http}", WRONG_USAGE, "one of promoted, rolled-back"),
    Line("loadtest scenarios", DONE, "Whether the flights example answers rightly"),
    Line("loadtest run {folder}/load.yaml --target {url} --json {folder}/load.json", DONE, "passed"),
    Line("loadtest run {folder}/load.yaml --target {gone}", NOT_REACHABLE, "{gone} does not answer"),
    Line("loadtest run nowhere --target {url}", WRONG_USAGE, "there is no scenario 'nowhere'"),
    Line("loadtest report {folder}/load.json --to {folder}/load", DONE, "report.html"),
    Line("loadtest report nowhere.json", WRONG_USAGE, "nowhere.json cannot be read"),
    Line("loadtest compare {folder}/load.json {folder}/load.json", DONE, "p99 ms"),
    Line("loadtest compare {folder}/load.json nowhere.json", WRONG_USAGE, "nowhere.json cannot be read"),
    Line("loadtest find-capacity {folder}/load.yaml --step-s 1 --most-s 3 --target {url}", DONE, "no more than 1 step"),
    Line("loadtest find-capacity smoke --most-s 3 --target {url}", WRONG_USAGE, "have no room for a step of 15 s"),
    Line("logs show --http-port {http}", DONE, "all others"),
    Line("logs show --http-port {dead}", NOT_REACHABLE, "no session of yours runs on port {dead}"),
    Line("logs level serving.batching debug --http-port {http}", DONE, "serving.batching writes from debug on"),
    Line("logs level serving.batching default --http-port {http}", DONE, "serving.batching writes as the others do"),
    Line("logs level serving.batching loud --http-port {http}", WRONG_USAGE, "'loud' is not one of"),
    Line("models check {models} --config {config}", DONE, "rows of several callers run together"),
    Line("models check {folder}/empty --config {config}", FAILED, "has no model; put one at"),
    Line("models check nowhere --config {config}", WRONG_USAGE, "there is no such folder"),
    Line("features load {data}/plane.csv {features}", DONE, "rows into plane in "),
    Line("features load {data}/carrier.csv {features}", DONE, "rows into carrier in "),
    Line("features load {data}/route.csv {features}", DONE, "rows into route in "),
    Line("features load {folder}/bad.csv --view route {features}", FAILED, "1 of 1 rows was rejected and stands in "),
    Line("features load {data}/plane.csv --view route {features}", WRONG_USAGE, "the column 'origin' is missing"),
    Line("features load {folder}/empty --view route {features}", WRONG_USAGE, "cannot be read: Is a directory"),
    Line("features load nowhere.csv --view route {features}", WRONG_USAGE, "nowhere.csv cannot be read: No such file"),
    Line("features load {data}/plane.csv --view nothing {features}", WRONG_USAGE, "there is no feature view 'nothing'"),
    Line("features load {data}/plane.csv {unreachable}", NOT_REACHABLE, "the features Redis does not answer"),
    Line("features get plane --entity tailnum=N14228 {features}", DONE, "seats"),
    Line("features get plane --entity tailnum=none {features}", FAILED, "there is no row of plane, tailnum none"),
    Line("features get plane --entity tail=N14228 {features}", WRONG_USAGE, "'tail' does not identify a row of plane"),
    Line("features get plane --entity tailnum=N1 {unreachable}", NOT_REACHABLE, "the features Redis does not answer"),
    Line("features doctor plane {features}", DONE, "plane"),
    Line("features doctor nothing {features}", WRONG_USAGE, "nothing"),
    Line("features doctor plane {unreachable}", NOT_REACHABLE, "the features Redis does not answer"),
    Line("features bench {features}", DONE, "plane"),
    Line("features bench {unreachable}", NOT_REACHABLE, "the features Redis does not answer"),
    Line("features set plane --entity tailnum=N1 --set seats=149 {features}", DONE, "set seats of plane, tailnum N1"),
    Line(
        "features set plane --entity tailnum=N1 --set seats=many {features}", WRONG_USAGE, "--set seats: 'many' is no"
    ),
    Line("features set plane --entity tailnum=N1 --set seats=1 {unreachable}", NOT_REACHABLE, "does not answer"),
    Line("predict flight-delay {flight} --url {url}", DONE, '"probabilities":[0.6885134,0.3114866]'),
    Line("predict flight-delay --row 1,2 --url {url}", FAILED, "takes [-1, 20]"),
    Line("predict flight-delay --url {url}", WRONG_USAGE, "say what to predict with one of --input"),
    Line("predict flight-delay --row 1,2 --url {gone}", NOT_REACHABLE, "does not answer"),
    Line(
        "predict flight-delay --file {folder}/flights.csv --out {folder}/o.csv --url {url}",
        DONE,
        "predicted 1 row into ",
    ),
    Line(
        "predict flight-delay --file {folder}/bad.csv --out {folder}/o.csv --url {url}",
        WRONG_USAGE,
        "the columns tailnum, carrier, hour",
    ),
    Line("predict flight-delay --file nowhere.csv --out o.csv --url {url}", WRONG_USAGE, "No such file"),
    Line("predict flight-delay --file {folder}/flights.csv --url {url}", WRONG_USAGE, "--file and --out go together"),
    Line("predict flight-delay --row 1 --limit 1 --url {url}", WRONG_USAGE, "go with --file"),
    Line("predict flight-delay --file {folder}/flights.csv --out o.csv --url {gone}", NOT_REACHABLE, "does not answer"),
    Line("config show --config {config}", DONE, "feature_views.plane.entity"),
    Line("config show --config nowhere.yaml", WRONG_USAGE, "nowhere.yaml cannot be read"),
    Line("config check --config {config} --models {models}", DONE, "the configuration is valid"),
    Line("config check --config nowhere.yaml", FAILED, "nowhere.yaml cannot be read"),
    Line("config schema", DONE, '"$schema"'),
    Line("config diff {config} {config}", DONE, "nothing changes"),
    Line("config diff nowhere.yaml {config}", WRONG_USAGE, "nowhere.yaml cannot be read"),
    Line("conformance {url} --only http.health.*", DONE, "The server keeps every promise."),
    Line("conformance {gone}", NOT_REACHABLE, "{gone} does not answer"),
    Line("conformance", WRONG_USAGE, "say which server to check"),
    Line("completion bash", DONE, "complete -o default"),
    Line("completion tcsh", WRONG_USAGE, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
)
# Of rollouts.
JUDGED = ("start", "wait", "replay", "explain", "history")
ORDERS = ("promote", "pause", "resume", "abort", "freeze", "unfreeze")
# The whole names of tests that type the command; these start sessions of their own.
ELSEWHERE = {
    "demo": "tests/e2e/test_demo.py::test_once_predicts_real_flights_with_the_in_process_engine_and_stops_cleanly",
    "up": "tests/e2e/test_up.py::test_the_readmes_curl_gives_the_readmes_answer",
    # These need what Feast keeps, and a log of what was served.
    "features import-feast": (
        "tests/e2e/clients/test_feast.py::test_the_repository_is_imported_as_the_views_that_read_it"
    ),
    "features join-outcomes": (
        "tests/e2e/test_served_log.py::test_what_became_of_predictions_is_joined_to_the_log_by_the_command"
    ),
    # These need a control Redis.
    **dict.fromkeys(
        (f"rollout {verb}" for verb in JUDGED),
        "tests/e2e/test_rollouts.py::test_a_version_that_fails_on_some_rows_is_rolled_back_for_its_errors",
    ),
    **dict.fromkeys(
        (f"rollout {verb}" for verb in ORDERS),
        "tests/e2e/test_rollouts.py::test_without_its_controller_a_rollout_stays_as_it_is_and_the_next_one_goes_on",
    ),
}
READS = (
    *(
        "models list",
        "models show",
        "models check",
        "features get",
        "features doctor",
        "predict",
        "config show",
        "config diff",
        "config check",
    ),
    *("features bench", "rollout status", "rollout plan", "rollout simulate", "loadtest scenarios"),
    *("loadtest compare", "logs show"),
)


def commands(path: tuple[str, ...] = (), command: Any = None) -> Iterator[str]:
    """Every command that there is."""
    inner = getattr(command or typer.main.get_command(app), "commands", {})
    if not inner:
        yield " ".join(path)
    for name, below in inner.items():
        yield from commands((*path, name), below)


def sluice(typed: str, where: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *typed.format(**where).split()],
        cwd=folder,
        env=environment(TMPDIR=str(folder / "tmp"), XDG_RUNTIME_DIR=str(folder / "run")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def session() -> Iterator[SluiceUp]:
    """The flights, by entity, in one worker."""
    session = SluiceUp("--models", str(sample.MODELS), "--config", str(sample.CONFIGURATION), engine="in-process")
    try:
        yield session.wait_until_ready()
        session.close()
    finally:
        session.destroy()


@pytest.fixture(scope="module")
def where(session: SluiceUp) -> dict[str, str]:
    """What stands for the names in braces."""
    (session.folder / "empty").mkdir()
    header = (sample.DATA / "route.csv").read_text().splitlines()[0]
    (session.folder / "bad.csv").write_text(f"{header}\n{',' * header.count(',')}\n")
    flight = sample.load_test_flights().flights[0].instance()
    (session.folder / "flights.csv").write_text(
        f"{','.join(flight)}\n{','.join('' if cell is None else str(cell) for cell in flight.values())}\n"
    )
    (session.folder / "load.yaml").write_text(LOAD)
    dead, config = "9", str(sample.CONFIGURATION)
    return {
        "http": str(session.port),
        "dead": dead,
        "url": f"http://127.0.0.1:{session.port}",
        "gone": f"http://127.0.0.1:{dead}",
        "models": str(sample.MODELS),
        "config": config,
        "data": str(sample.DATA),
        "folder": str(session.folder),
        "token": str(session.registered()["token_file"]),
        "features": f"--config {config} --http-port {session.port}",
        "unreachable": f"--config {config} --redis-url redis://127.0.0.1:{dead}",
        "flight": FLIGHT,
    }


def test_every_command_is_typed_here_or_named_with_its_test() -> None:
    done = {line.command for line in LINES if line.code == DONE} | set(ELSEWHERE)
    assert done == set(commands())
    for command, test in ELSEWHERE.items():
        file, _, name = test.partition("::")
        assert name in names_in(ROOT / file), command


def test_every_read_can_be_had_as_json() -> None:
    flags = {name for name in commands() if "--json" in _options(name)}
    assert set(READS) <= flags
    # Changes tell programs too, where there is something to tell; the report of conformance goes into a file.
    changes = {"models load", "models unload", "models pin", "features load", "conformance"}
    loads = {f"loadtest {verb}" for verb in ("run", "find-capacity")}
    assert flags - set(READS) == changes | loads | {f"rollout {verb}" for verb in (*JUDGED, *ORDERS)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_command_as_a_person_types_it(session: SluiceUp, where: dict[str, str]) -> None:
    for line in LINES:
        ended = sluice(line.typed, where, session.folder)
        shown = f"{line.typed}\n{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        assert ended.returncode == line.code, shown
        printed = ended.stdout if line.code == DONE else ended.stderr
        assert line.says.format(**where) in printed, shown
        if line.code == DONE:
            assert ended.stderr == "", shown
        else:
            assert ended.stderr.startswith("sluice: "), shown
            assert ended.stderr.count("\n") == 1, shown
        assert "Traceback" not in ended.stdout + ended.stderr, shown


def test_each_read_gives_programs_one_document(session: SluiceUp, where: dict[str, str]) -> None:
    for command in READS:
        line = next(line for line in LINES if line.command == command and line.code == DONE)
        ended = sluice(f"{line.typed} --json", where, session.folder)
        assert (ended.returncode, ended.stderr) == (0, ""), line
        assert isinstance(json.loads(ended.stdout), dict), line


CURL = re.compile(r"^## (\S+ \S+)\n.+?```bash\n(curl .+?)\n```$", re.MULTILINE | re.DOTALL)
# What this session has none of: pools of its own, and rollouts.
NOT_HERE = ("/pools/", "rollouts")


@pytest.mark.slow
def test_each_line_of_the_page_of_the_control_api_is_answered(session: SluiceUp, where: dict[str, str]) -> None:
    # Other tests may have let it go, as a line of the page does.
    assert sluice("models load flight-delay 1 --http-port {http}", where, session.folder).returncode == DONE
    known = session.registered()
    token = Path(str(known["token_file"])).read_text().strip()
    lines = CURL.findall((ROOT / "docs" / "control-api.md").read_text())
    assert len(lines) > 20
    for operation, line in lines:
        typed = line.replace("127.0.0.1:8000", f"127.0.0.1:{known['control_port']}").replace("$TOKEN", token)
        status, document = as_curl_asks(shlex.split(typed.replace("\\\n", "")))
        right = {200, 400, 404, 409} if any(part in operation for part in NOT_HERE) else {200}
        assert status in right, (operation, status, document)
        assert isinstance(document, dict), operation


def as_curl_asks(words: list[str]) -> tuple[int, Any]:
    """Status and document, of a line with the options that the page uses."""
    told: dict[str, list[str]] = {"-X": [], "-H": [], "-d": [], "": []}
    assert words[:2] == ["curl", "-s"]
    left = iter(words[2:])
    for word in left:
        (told[word].append(next(left)) if word in told else told[""].append(word))
    (url,) = told[""]
    content = told["-d"][0].encode() if told["-d"] else None
    headers = dict(header.split(": ", 1) for header in told["-H"])
    method = told["-X"][0] if told["-X"] else None
    request = urllib.request.Request(url, content, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@pytest.fixture(scope="module")
def mistyped() -> dict[str, dict[str, Any]]:
    """How each command ended that was given an option which it has not."""
    names = sorted(commands())
    typed = json.dumps([f"{name} --qqq" for name in names])
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "tests.e2e.mistyped"],
        env=environment(),
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(zip(names, json.loads(ended.stdout), strict=True))


@pytest.mark.parametrize("command", sorted(commands()))
def test_an_option_that_is_not_there_is_one_line_that_says_where_to_look(
    command: str, mistyped: dict[str, dict[str, Any]]
) -> None:
    told = f"sluice: No such option: --qqq; `sluice {command} -h` shows how\n"
    assert mistyped[command] == {"returncode": WRONG_USAGE, "stdout": "", "stderr": told}


def _options(name: str) -> set[str]:
    found: Any = typer.main.get_command(app)
    for word in name.split():
        found = found.commands[word]
    return {option for parameter in found.params for option in parameter.opts}
