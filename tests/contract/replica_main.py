"""A replica in a process of its own: SECRET VERSIONS, where versions are JSON of [model, version, path]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from serving.inference import VersionKey
from serving.pool.model_host import ModelHost
from serving.pool.wire_server import WireServer
from serving.runtime.loaded_model import LoadedModel, ModelSource


def main() -> None:
    """Say where it listens, then answer until the input ends."""
    secret, versions = sys.argv[1:]
    host = ModelHost(LoadedModel.open)
    host.load([ModelSource(VersionKey(model, version), Path(path)) for model, version, path in json.loads(versions)])
    server = WireServer(host, secret.encode(), ["tcp:127.0.0.1:0"])
    server.start()
    sys.stdout.write(server.addresses[0] + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
