"""Every metric of the product: its name, labels and meaning. docs/metrics.md lists the same, and a test compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["histogram", "counter", "gauge"]
Merge = Literal["sum", "max", "min"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """`merge` says how the gauges of several workers become one."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    merge: Merge = "sum"


STAGES = ("decode", "route", "features", "queue", "run", "encode", "total")

STAGE_SECONDS = MetricSpec(
    "sluice_stage_seconds",
    "histogram",
    ("stage", "model", "version", "variant"),
    "Time in each stage of a prediction; version and variant are set for run and total.",
)
BATCH_ROWS = MetricSpec(
    "sluice_batch_rows", "histogram", ("model", "version", "variant"), "Rows that ran together in one batch."
)
BATCH_SLACK = MetricSpec(
    "sluice_batch_slack_seconds",
    "histogram",
    ("model", "version", "variant"),
    "Time that the first row of a batch had left to its goal when the batch was taken; 0 or less: it was over.",
)
REQUESTS = MetricSpec(
    "sluice_requests_total",
    "counter",
    ("model", "version", "variant", "outcome"),
    "Requests by outcome: ok, or the reason of the error; version and variant are empty where none was reached.",
)
ROWS = MetricSpec("sluice_rows_total", "counter", ("model", "version", "variant"), "Rows that went into batches.")
REFUSED_ROWS = MetricSpec(
    "sluice_refused_rows_total",
    "counter",
    ("model", "version", "reason"),
    "Rows of requests that a version was chosen for and that reached no batch of it, by the reason of the error.",
)
FEATURE_VALUES = MetricSpec(
    "sluice_feature_values_total",
    "counter",
    ("model", "version", "variant", "view", "feature", "status"),
    "Values that requests by entity asked for: present, stale_used (kept near, nothing answers), or why a default "
    "stood in or the request was refused.",
)
FEATURE_READ_ERRORS = MetricSpec(
    "sluice_feature_read_errors_total",
    "counter",
    ("reason",),
    "Reads of features without an answer: away, late, refused by the server, full (too many keys in flight), open (a "
    "node that mostly answered late or with errors is left alone), or budget (a request in a hurry went on without).",
)
CACHE_LOOK_UPS = MetricSpec(
    "sluice_near_cache_look_ups_total",
    "counter",
    ("outcome",),
    "Rows looked up in the workers' near caches: hit, negative (known to have no row), refreshing (used while it is "
    "read anew), joined (being read already), miss, or stale (a row of before: the features Redis did not answer).",
)
CACHE_REFRESHES = MetricSpec(
    "sluice_near_cache_refreshes_total", "counter", (), "Rows read anew before anybody had to wait for them."
)
CACHE_INVALIDATIONS = MetricSpec(
    "sluice_near_cache_invalidations_total",
    "counter",
    ("what",),
    "What the features Redis told the workers of writes: row for each key, all for each time that it was emptied.",
)
CACHE_EVICTIONS = MetricSpec(
    "sluice_near_cache_evictions_total", "counter", (), "Rows that left near caches because there was no room."
)
CACHE_ROWS = MetricSpec("sluice_near_cache_rows", "gauge", (), "Rows in near caches, ids without a row included.")
CACHE_BYTES = MetricSpec(
    "sluice_near_cache_bytes", "gauge", (), "Memory of near caches, all that belongs to rows counted."
)
CACHE_HEARD = MetricSpec(
    "sluice_near_cache_heard",
    "gauge",
    (),
    "1 while every worker is told of writes; 0: rows are read again after a second at most.",
    "min",
)
CACHE_TOLD_WITHIN = MetricSpec(
    "sluice_near_cache_told_within_seconds",
    "gauge",
    (),
    "How long what the features Redis does takes to be told to the worker that hears of it last, as each asks once a "
    "second: a write is seen by all after that.",
    "max",
)
FEATURE_NODES_LEFT = MetricSpec(
    "sluice_feature_node_left",
    "gauge",
    ("node",),
    "Workers that answer reads of this node of the features store without it: no connection, answers owed, or its "
    "circuit breaker is open.",
)
FEATURE_REDIRECTS = MetricSpec(
    "sluice_feature_redirects_total", "counter", (), "Keys of features that were on another node of the cluster."
)
SERVED_LOG_ROWS = MetricSpec(
    "sluice_served_log_rows_total",
    "counter",
    ("outcome",),
    "Rows of the served-feature log's sample: written (their file can be read), or dropped (no room in the queue, or "
    "the disk refused them).",
)
SHADOW_COPIES = MetricSpec(
    "sluice_shadow_copies_total",
    "counter",
    ("model", "version", "outcome"),
    "Copies of answered requests for a shadow: ok (it answered), failed, or dropped (no room, no time, or no replica).",
)
FEATURE_HEDGES = MetricSpec(
    "sluice_feature_hedged_reads_total", "counter", (), "Reads of features that were asked of a replica as well."
)
FEATURE_HEDGE_WINS = MetricSpec(
    "sluice_feature_hedge_wins_total", "counter", (), "Reads of those that the replica answered first."
)
TRACES = MetricSpec(
    "sluice_traces_total",
    "counter",
    ("why",),
    "Requests that were traced: sampled (by their caller's wish or by share), slow or failed; or limited: not traced, "
    "since there were more than `tracing.max_per_s`.",
)
SPANS = MetricSpec(
    "sluice_spans_total",
    "counter",
    ("outcome",),
    "Spans of traces: sent, dropped (no room in the queue, since the receiver is away or slow), or lost (it refused "
    "them, or the worker ended before it took them).",
)
QUEUE_ROWS = MetricSpec("sluice_queue_rows", "gauge", ("model", "version", "variant"), "Rows waiting for a batch.")
BATCH_WINDOW_ROWS = MetricSpec(
    "sluice_batch_window_rows",
    "gauge",
    ("model", "version", "variant"),
    "Most rows of a batch with which a row meets its goal in a busy queue, by the worker that allows the fewest.",
    "min",
)
LOOP_LAG = MetricSpec(
    "sluice_loop_lag_seconds", "gauge", (), "What a request loses to turns of the loop, in the busiest worker.", "max"
)
RUN_FIXED_SECONDS = MetricSpec(
    "sluice_run_fixed_seconds",
    "gauge",
    ("model", "version", "pool"),
    "Estimate of what any run takes, however few its rows; known once it has run, also in an earlier session.",
)
RUN_ROW_SECONDS = MetricSpec(
    "sluice_run_row_seconds", "gauge", ("model", "version", "pool"), "Estimate of what each row adds to a run."
)
RUN_MARGIN = MetricSpec(
    "sluice_run_margin",
    "gauge",
    ("model", "version", "pool"),
    "99 of 100 runs take at most this many estimates.",
)
LATENCY_GOAL = MetricSpec(
    "sluice_latency_goal_seconds",
    "gauge",
    ("model",),
    "The model's `latency_slo_ms`, rounded up to a bound of the buckets of `sluice_stage_seconds`, so that rules find "
    "the bucket; not there without one.",
    "max",
)
WORKER_MEMORY = MetricSpec(
    "sluice_worker_memory_bytes", "gauge", (), "Memory of the gateway workers, without what belongs to files."
)
MEMORY_USED = MetricSpec(
    "sluice_memory_used_bytes",
    "gauge",
    (),
    "Memory in use where the gateway runs, of all processes there: of its control group where that has a limit (a "
    "container), else of the machine.",
    "max",
)
MEMORY_LIMIT = MetricSpec(
    "sluice_memory_limit_bytes", "gauge", (), "What that may grow to before the kernel ends processes.", "min"
)
INFLIGHT_BYTES = MetricSpec("sluice_inflight_bytes", "gauge", (), "Bytes of requests and answers held by the gateway.")
CONNECTIONS = MetricSpec("sluice_connections", "gauge", (), "Open client connections.")
VERSION_READY = MetricSpec(
    "sluice_version_ready", "gauge", ("model", "version"), "1 when every gateway worker can run the version.", "min"
)
POOL_REPLICAS = MetricSpec(
    "sluice_pool_replicas", "gauge", ("pool",), "Replicas that answer, as the worker that sees the fewest does.", "min"
)
POOL_SLOTS = MetricSpec(
    "sluice_pool_slots", "gauge", ("pool",), "Batches that those replicas run at once, configured or found.", "min"
)
POOL_MIN_REPLICAS = MetricSpec(
    "sluice_pool_min_replicas", "gauge", ("pool",), "Fewest replicas that the pool is configured to have.", "max"
)
HEDGED_BATCHES = MetricSpec(
    "sluice_hedged_batches_total",
    "counter",
    ("pool",),
    "Batches that were sent to a second replica as well because the first was late; only where hedging is on.",
)
HEDGE_WINS = MetricSpec(
    "sluice_hedge_wins_total", "counter", ("pool",), "Batches of those that the second replica answered first."
)
WORKERS = MetricSpec("sluice_workers", "gauge", (), "Gateway workers that accept requests and can predict.")
RESTARTS = MetricSpec(
    "sluice_restarts_total", "counter", ("part", "reason"), "Processes started again, after a crash or in a roll."
)
ENGINE_REPLICAS = MetricSpec("sluice_engine_replicas", "gauge", ("pool",), "Replicas alive, as the engine reports.")
ENGINE_REPLICAS_WISHED = MetricSpec(
    "sluice_engine_replicas_wished",
    "gauge",
    ("pool",),
    "Replicas that a pool should have; only of pools whose number of replicas follows the load.",
)
_ROLLOUT = ("model", "rollout")
ROLLOUT_PHASE = MetricSpec(
    "sluice_rollout_phase",
    "gauge",
    (*_ROLLOUT, "phase"),
    "1 for the phase that a rollout is in; it and its other series stay for ten minutes after its end.",
)
ROLLOUT_VERDICT = MetricSpec(
    "sluice_rollout_verdict",
    "gauge",
    (*_ROLLOUT, "verdict", "reason"),
    "1 for the last verdict (pass, fail, inconclusive, error, waiting) and its reason: a gate, or what it waits for.",
)
ROLLOUT_WEIGHT = MetricSpec(
    "sluice_rollout_weight", "gauge", _ROLLOUT, "Share of the requests that the canary is to get, 0 to 1."
)
ROLLOUT_STEP = MetricSpec("sluice_rollout_step", "gauge", _ROLLOUT, "Step of the plan, from 1; 0 before the first one.")
ROLLOUT_STEPS = MetricSpec("sluice_rollout_steps", "gauge", _ROLLOUT, "Steps of the plan.")
ROLLOUT_REQUESTS = MetricSpec(
    "sluice_rollout_judged_requests",
    "gauge",
    (*_ROLLOUT, "arm"),
    "Requests that are in the evidence, of the canary and of the stable version.",
)
ROLLOUT_LATE = MetricSpec(
    "sluice_rollout_late_requests", "gauge", _ROLLOUT, "Requests that were told of too late to be judged."
)
ROLLOUT_EVIDENCE = MetricSpec(
    "sluice_rollout_evidence",
    "gauge",
    (*_ROLLOUT, "gate"),
    "Evidence against the canary by gate; split: that its share is not its weight; guardrail_errors, guardrail_slow, "
    "guardrail_over_goal: that the whole model is worse than before the start.",
)
ROLLOUT_NEEDED = MetricSpec(
    "sluice_rollout_evidence_needed", "gauge", (*_ROLLOUT, "gate"), "Evidence from which on a gate decides."
)
ROLLOUT_RATIO = MetricSpec(
    "sluice_rollout_ratio",
    "gauge",
    (*_ROLLOUT, "gate"),
    "How many times as often a gate's events happen on the canary; 0 where there is nothing to compare.",
)
ROLLOUT_RATIO_BOUND = MetricSpec(
    "sluice_rollout_ratio_bound",
    "gauge",
    (*_ROLLOUT, "gate", "bound"),
    "Bounds of that ratio, lower and upper, that hold at all times at once with 95 %.",
)
ROLLOUT_RATE_BOUND = MetricSpec(
    "sluice_rollout_rate_bound",
    "gauge",
    (*_ROLLOUT, "gate", "arm", "bound"),
    "Bounds of the share of requests with a gate's event on each arm, likewise.",
)
ROLLOUTS_FROZEN = MetricSpec("sluice_rollouts_frozen", "gauge", (), "1 while nothing of rollouts may change.", "max")
READY = MetricSpec("sluice_ready", "gauge", (), "1 once a prediction of every default model has worked.")
START_TIME = MetricSpec("sluice_start_time_seconds", "gauge", (), "When the supervisor started, in seconds since 1970.")
BUILD_INFO = MetricSpec("sluice_build_info", "gauge", ("version", "python"), "1; the labels tell what runs.", "max")

CATALOGUE: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        *(STAGE_SECONDS, BATCH_ROWS, BATCH_SLACK, REQUESTS, ROWS, REFUSED_ROWS, FEATURE_VALUES, FEATURE_READ_ERRORS),
        *(CACHE_LOOK_UPS, CACHE_REFRESHES, CACHE_INVALIDATIONS, CACHE_EVICTIONS, CACHE_ROWS, CACHE_BYTES, CACHE_HEARD),
        CACHE_TOLD_WITHIN,
        *(FEATURE_NODES_LEFT, FEATURE_REDIRECTS, FEATURE_HEDGES, FEATURE_HEDGE_WINS, SERVED_LOG_ROWS),
        *(TRACES, SPANS),
        *(QUEUE_ROWS, BATCH_WINDOW_ROWS, RUN_FIXED_SECONDS, RUN_ROW_SECONDS, RUN_MARGIN, LOOP_LAG),
        *(LATENCY_GOAL, INFLIGHT_BYTES, CONNECTIONS, WORKER_MEMORY, MEMORY_USED, MEMORY_LIMIT, SHADOW_COPIES),
        *(VERSION_READY, POOL_REPLICAS, POOL_MIN_REPLICAS, POOL_SLOTS, HEDGED_BATCHES, HEDGE_WINS),
        *(WORKERS, RESTARTS, ENGINE_REPLICAS, ENGINE_REPLICAS_WISHED),
        *(ROLLOUT_PHASE, ROLLOUT_VERDICT, ROLLOUT_WEIGHT, ROLLOUT_STEP, ROLLOUT_STEPS),
        *(
            ROLLOUT_REQUESTS,
            ROLLOUT_LATE,
            ROLLOUT_EVIDENCE,
            ROLLOUT_NEEDED,
            ROLLOUT_RATIO,
            ROLLOUT_RATIO_BOUND,
            ROLLOUT_RATE_BOUND,
            ROLLOUTS_FROZEN,
        ),
        *(READY, START_TIME, BUILD_INFO),
    )
}
