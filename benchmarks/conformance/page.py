"""`python -m benchmarks.conformance.page > docs/conformance.md`: the last results side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from benchmarks.conformance.run import RESULTS, Report

_NAMES = {"sluice": "Sluice", "mlserver": "MLServer", "kserve": "KServe"}
_INTRODUCTION = """# Conformance

`sluice conformance URL [--grpc HOST:PORT]` checks any server of the Open Inference Protocol, one named check for each
promise. `sluice conformance --write-models DIR` writes tiny ONNX models whose answers the suite knows; a server that
serves them has every check tried. `sluice conformance --list` shows each promise and where it is written.

* *required*: the specification, or an RFC below it, says so. *extension*: the document of an extension says so; tried
  where the server advertises it, or with `--all`. Both decide the exit code: 4 where a check fails.
* *recommended*: a client in use needs it, or callers are better off. Shown as *advice*, and decides nothing.

Below: Sluice and the two Python servers of the protocol as installed from PyPI, with the same models, each in an
environment of its own. MLServer and KServe run them in a custom runtime and a custom model, as their documentation has
those made (`benchmarks/conformance/peers`): there the model's author judges names of inputs and outputs. *-* is what a
server does not advertise, or what no model there can try; *(pass)* is what it does not advertise and does right.

To repeat it, in minutes:

    python -m benchmarks.conformance.run
    python -m benchmarks.conformance.page > docs/conformance.md
"""


def page() -> str:
    """The whole page."""
    reports = [json.loads((RESULTS / f"{name}.json").read_text()) for name in _NAMES]
    parts = (_servers(reports), _areas(reports), _checks(reports), _failures(reports))
    return "\n\n".join((_INTRODUCTION.rstrip(), *("\n".join(part) for part in parts))) + "\n"


def _servers(reports: list[Report]) -> Iterator[str]:
    yield "| server | version | date | passed | failed | advice | not tried | advertises |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in reports:
        words = [_word(check) for check in one["checks"]]
        counts = [words.count("pass"), words.count("**fail**"), words.count("advice")]
        rest = len(words) - sum(counts)
        told = ", ".join(one["extensions"]) or "nothing"
        figures = " | ".join(str(count) for count in (*counts, rest))
        yield f"| {_NAMES[one['server']]} | {one['version']} | {one['date'][:10]} | {figures} | {told} |"


def _areas(reports: list[Report]) -> Iterator[str]:
    yield "## By area\n\nPassed, of those that were tried.\n"
    yield "| area | " + " | ".join(_NAMES.values()) + " |\n|---|" + "---|" * len(_NAMES)
    areas = dict.fromkeys(check["area"] for check in reports[0]["checks"])
    for area in areas:
        cells = []
        for one in reports:
            words = [_word(check) for check in one["checks"] if check["area"] == area]
            tried = [word for word in words if word in ("pass", "**fail**", "advice")]
            silent = words.count("(pass)")
            also = f" ({silent} pass unadvertised)" if silent else ""
            cells.append((f"{tried.count('pass')} of {len(tried)}" if tried else "-") + also)
        yield f"| `{area}` | {' | '.join(cells)} |"


def _checks(reports: list[Report]) -> Iterator[str]:
    yield "## Every check\n"
    yield "| check | promise | severity | " + " | ".join(_NAMES.values()) + " |\n|---|---|---|" + "---|" * len(_NAMES)
    for checks in zip(*(one["checks"] for one in reports), strict=True):
        first = checks[0]
        words = " | ".join(_word(check) for check in checks)
        yield f"| `{first['id']}` | {_escaped(first['promise'])} | {first['severity']} | {words} |"


def _failures(reports: list[Report]) -> Iterator[str]:
    yield "## What failed, and how"
    for one in reports:
        wrong = [check for check in one["checks"] if _word(check) in ("**fail**", "advice")]
        yield f"\n### {_NAMES[one['server']]} {one['version']}\n"
        for check in wrong:
            yield f"* `{check['id']}` ({check['severity']}; {check['source']}): {_escaped(check['reason'] or '')}"
        if not wrong:
            yield "Nothing."


def _word(check: Report) -> str:
    if check["outcome"] == "skipped":
        return "(pass)" if check["with_all"] == "pass" else "-"
    if check["outcome"] == "fail":
        return "advice" if check["severity"] == "recommended" else "**fail**"
    return str(check["outcome"])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page())
