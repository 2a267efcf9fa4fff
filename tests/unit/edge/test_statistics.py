"""The document of the statistics extension, which both edges answer with."""

from __future__ import annotations

from serving.edge.statistics import statistics_document
from serving.inference import VersionKey
from serving.request_path.administration import VersionUsage
from serving.testing.administration import USAGE


def test_counts_and_times_are_laid_out_as_the_extension_says() -> None:
    (found,) = statistics_document([VersionUsage(VersionKey("mlp", 3), USAGE)])["model_stats"]
    assert found == {
        "name": "mlp",
        "version": "3",
        "last_inference": 1_700_000_000_250,
        "inference_count": 6,
        "execution_count": 2,
        "inference_stats": {
            "success": {"count": 3, "ns": 6_000_000},
            "fail": {"count": 1, "ns": 500_000_000},
            "queue": {"count": 3, "ns": 300_000},
            "compute_input": {"count": 3, "ns": 600_000},
            "compute_infer": {"count": 3, "ns": 4_000_000},
            "compute_output": {"count": 3, "ns": 200_000},
            "cache_hit": {"count": 0, "ns": 0},
            "cache_miss": {"count": 0, "ns": 0},
        },
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": {"count": 1, "ns": before},
                "compute_infer": {"count": 1, "ns": run},
                "compute_output": {"count": 1, "ns": 100_000},
            }
            for rows, before, run in ((2, 400_000, 1_000_000), (4, 200_000, 2_000_000))
        ],
        "memory_usage": [],
    }
