"""What `helm test` runs: `python -m deployments.first_prediction HOST:PORT` asks each model for a prediction."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request

from serving.processes.readiness import Probe, Prober

_TIMEOUT_S = 10


def models_at(place: str) -> list[str]:
    """Every model that is served there.

    Raises:
        OSError: nobody answers.
    """
    with urllib.request.urlopen(f"http://{place}/v1/models", timeout=_TIMEOUT_S) as answer:
        models: list[str] = json.load(answer)["models"]
    return models


async def asked(place: str) -> dict[str, Probe]:
    """What each model makes of a sample of zeros; one that objects to it was reached all the same."""
    host, _, port = place.rpartition(":")
    prober = Prober(host, int(port), {})
    return {model: await prober.probe(model) for model in models_at(place)}


def main() -> int:
    """0 where every model was reached, and there is one."""
    (place,) = sys.argv[1:]
    try:
        probes = asyncio.run(asked(place))
    except OSError as error:
        sys.stderr.write(f"{place} does not answer: {error}\n")
        return 1
    for model, probe in probes.items():
        sys.stdout.write(f"{model}: {probe.verdict.replace('_', ' ')} {probe.text}".rstrip() + "\n")
    return int(not probes or any(probe.verdict == "not_yet" for probe in probes.values()))


if __name__ == "__main__":
    sys.exit(main())
