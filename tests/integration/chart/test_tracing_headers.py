"""Headers for the receiver of traces come from a Secret, to the gateway alone."""

from __future__ import annotations

from pathlib import PurePosixPath

import yaml

from tests.integration.chart.helm import CHART, pods, rendered

PRODUCTION = CHART / "ci" / "production-values.yaml"


def test_the_gateway_reads_the_headers_of_its_receiver_where_the_secret_is_mounted() -> None:
    (found,) = (one for one in rendered(PRODUCTION) if one["metadata"]["name"] == "one-sluice-config")
    file = PurePosixPath(yaml.safe_load(found["data"]["sluice.yaml"])["tracing"]["headers_file"])
    (deployment,) = (one for one in rendered(PRODUCTION) if one["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (volume,) = (one for one in spec["volumes"] if one["name"] == "tracing")
    assert volume["secret"]["secretName"] == "trace-receiver"
    assert volume["secret"]["items"] == [{"key": "otlp-headers", "path": file.name}]
    (mounted,) = (one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "tracing")
    assert (mounted["mountPath"], mounted["readOnly"]) == (str(file.parent), True)


def test_no_replica_has_the_key_of_the_receiver() -> None:
    # They make no spans: a gateway makes those of replicas too.
    with_it = [pod for pod in pods(rendered(PRODUCTION)) if "trace-receiver" in str(pod)]
    assert len(with_it) == 1
