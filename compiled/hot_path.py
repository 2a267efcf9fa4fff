"""The modules that are compiled: what each request and each batch goes through, and what those call at every turn.

They are compiled as one group, since calls and attributes within it cost a tenth of those that cross its bounds.
"""

from __future__ import annotations

HOT_PATH = (
    *("serving.deadline", "serving.inference", "serving.observation"),
    # The edge
    "serving.edge.budget",
    "serving.edge.typed_elements",
    "serving.edge.http.answers",
    "serving.edge.http.codec",
    "serving.edge.http.connection",
    "serving.edge.http.edge",
    "serving.edge.http.elements",
    "serving.edge.http.exchange",
    "serving.edge.http.intake",
    "serving.edge.http.output_texts",
    "serving.edge.http.rendering",
    "serving.edge.http.request_head",
    "serving.edge.http.rows",
    # The request path and its queue
    "serving.request_path.flight",
    "serving.request_path.intake",
    "serving.request_path.predict",
    "serving.request_path.queues",
    "serving.request_path.variants",
    "serving.batching.admission",
    "serving.batching.arrivals",
    "serving.batching.drain",
    "serving.batching.estimates",
    "serving.batching.fair_share",
    "serving.batching.gate",
    "serving.batching.large_answer",
    "serving.batching.latency_model",
    "serving.batching.learned",
    "serving.batching.loop_lag",
    "serving.batching.micro_batcher",
    "serving.batching.pace",
    "serving.batching.percentile",
    "serving.batching.row_queue",
    "serving.batching.surroundings",
    "serving.batching.window",
    # The tensor stream, on both sides
    "serving.backends.balance",
    "serving.backends.pool_client",
    "serving.backends.replica_connection",
    "serving.backends.room",
    "serving.wire.batch_frame",
    "serving.wire.frame",
    "serving.wire.frame_reader",
    "serving.wire.tensors",
    "serving.pool.batch_answer",
    "serving.pool.inbox",
    "serving.pool.wire_connection",
    "serving.runtime.tensor_arrays",
    # Counting
    *("serving.telemetry.buckets", "serving.telemetry.recorder", "serving.telemetry.usage"),
)
