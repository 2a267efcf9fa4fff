"""What each Grafana dashboard shows, as expressions of Prometheus; `dashboards.py` makes Grafana's JSON of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """`shown` is (expression, legend) for each line; `unit` is Grafana's name of one."""

    title: str
    shown: tuple[tuple[str, str], ...]
    unit: str = "short"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels stand three beside each other."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


# Grafana puts what was chosen at the top of the page in the place of $job and $model.
_JOB = 'job=~"$job"'
_MODEL = f'{_JOB}, model=~"$model"'


def _rate(metric: str, by: str, extra: str = "", of: str = _MODEL) -> str:
    return f"sum by ({by}) (rate({metric}{{{of}{extra}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str, extra: str = "") -> str:
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', f'{by}, le', extra)})"


def _mean(metric: str, by: str) -> str:
    return f"{_rate(f'{metric}_sum', by)} / {_rate(f'{metric}_count', by)}"


_TOTAL, _QUEUE = ', stage="total"', ', stage="queue"'
_NOT_OK = ', outcome!="ok"'

_REQUESTS = Panel("Requests", ((_rate("sluice_requests_total", "model"), "{{model}}"),), "reqps")
_ERRORS = Panel(
    "Errors by reason",
    ((_rate("sluice_requests_total", "model, outcome", _NOT_OK), "{{model}} {{outcome}}"),),
    "reqps",
    "Reasons are those of docs/errors.md.",
)
_P99 = Panel(
    "Latency, 99 of 100",
    (
        (_quantile(0.99, "sluice_stage_seconds", "model", _TOTAL), "{{model}}"),
        (f"max by (model) (sluice_latency_goal_seconds{{{_MODEL}}})", "{{model}} promised"),
    ),
    "s",
)

OVERVIEW = Dashboard(
    "sluice-overview",
    "Sluice: overview",
    (
        _REQUESTS,
        _ERRORS,
        _P99,
        Panel(
            "Error budget, burn rate over an hour",
            ((f"model:sluice_failures:ratio_rate1h{{{_MODEL}}} / 0.001", "{{model}}"),),
            text="1: the budget lasts exactly the month; over 14.4 somebody is paged.",
        ),
        Panel(
            "Late answers, burn rate over an hour",
            ((f"model:sluice_late:ratio_rate1h{{{_MODEL}}} / 0.01", "{{model}}"),),
            text="Of models with a latency_slo_ms.",
        ),
        Panel(
            "Workers and readiness",
            (
                (f"sum by (instance) (sluice_workers{{{_JOB}}})", "{{instance}} workers"),
                (f"max by (instance) (sluice_ready{{{_JOB}}})", "{{instance}} ready"),
            ),
        ),
        Panel(
            "Replicas",
            (
                (f"min by (pool) (sluice_pool_replicas{{{_JOB}}})", "{{pool}} answer"),
                (f"max by (pool) (sluice_pool_min_replicas{{{_JOB}}})", "{{pool}} at least"),
            ),
        ),
        Panel(
            "Processes started again",
            ((f"sum by (part, reason) (increase(sluice_restarts_total{{{_JOB}}}[$__range]))", "{{part}} {{reason}}"),),
        ),
        Panel(
            "Memory",
            (
                (f"max by (instance) (sluice_memory_used_bytes{{{_JOB}}})", "{{instance}} in use"),
                (f"min by (instance) (sluice_memory_limit_bytes{{{_JOB}}})", "{{instance}} limit"),
                (f"sum by (instance) (sluice_worker_memory_bytes{{{_JOB}}})", "{{instance}} workers"),
            ),
            "bytes",
        ),
        Panel(
            "Requests lose to the loop",
            ((f"max by (instance) (sluice_loop_lag_seconds{{{_JOB}}})", "{{instance}}"),),
            "s",
            "A worker over 20 ms has more to do than its processor allows.",
        ),
        Panel("Connections", ((f"sum by (instance) (sluice_connections{{{_JOB}}})", "{{instance}}"),)),
        Panel("In flight", ((f"sum by (instance) (sluice_inflight_bytes{{{_JOB}}})", "{{instance}}"),), "bytes"),
    ),
)

MODEL = Dashboard(
    "sluice-model",
    "Sluice: model",
    (
        _REQUESTS,
        _ERRORS,
        Panel(
            "Latency",
            tuple(
                (_quantile(share, "sluice_stage_seconds", "model", _TOTAL), f"{{{{model}}}} {share:g}")
                for share in (0.5, 0.9, 0.99)
            ),
            "s",
        ),
        Panel(
            "Where the time goes",
            ((_mean("sluice_stage_seconds", "stage"), "{{stage}}"),),
            "s",
            "Mean of each stage.",
        ),
        Panel(
            "Wait for a slot, 99 of 100",
            ((_quantile(0.99, "sluice_stage_seconds", "model", _QUEUE), "{{model}}"),),
            "s",
        ),
        Panel("Rows waiting", ((f"sum by (model, version) (sluice_queue_rows{{{_MODEL}}})", "{{model}} {{version}}"),)),
        Panel(
            "Rows of a batch",
            (
                (_mean("sluice_batch_rows", "model, version"), "{{model}} {{version}}"),
                (
                    f"min by (model, version) (sluice_batch_window_rows{{{_MODEL}}})",
                    "{{model}} {{version}} at most",
                ),
            ),
        ),
        Panel(
            "Rows refused",
            ((_rate("sluice_refused_rows_total", "model, reason"), "{{model}} {{reason}}"),),
            "rowsps",
        ),
        Panel("Rows", ((_rate("sluice_rows_total", "model, version"), "{{model}} {{version}}"),), "rowsps"),
        Panel(
            "Estimate of a run",
            (
                (f"max by (model, version) (sluice_run_fixed_seconds{{{_MODEL}}})", "{{model}} {{version}} any"),
                (f"max by (model, version) (sluice_run_row_seconds{{{_MODEL}}})", "{{model}} {{version}} a row"),
            ),
            "s",
        ),
        Panel(
            "Time left when a batch was taken, 1 of 100",
            ((_quantile(0.01, "sluice_batch_slack_seconds", "model"), "{{model}}"),),
            "s",
            "At or below 0 the goal had passed.",
        ),
        Panel(
            "Versions ready",
            ((f"min by (model, version) (sluice_version_ready{{{_MODEL}}})", "{{model}} {{version}}"),),
        ),
    ),
)

_OF_VARIANT = "model, version, variant"
_VARIANT = "{{model}} {{version}} {{variant}}"
_ASKED = _rate("sluice_requests_total", _OF_VARIANT)
_FAILED = _rate("sluice_requests_total", _OF_VARIANT, _NOT_OK)

ROLLOUT = Dashboard(
    "sluice-rollout",
    "Sluice: rollout",
    (
        Panel("Requests by variant", ((_ASKED, _VARIANT),), "reqps"),
        Panel(
            "Share of the requests",
            ((f"{_ASKED} / on (model) group_left () {_rate('sluice_requests_total', 'model')}", _VARIANT),),
            "percentunit",
        ),
        Panel(
            "Share of failures",
            ((f"({_FAILED} or 0 * {_ASKED}) / {_ASKED}", _VARIANT),),
            "percentunit",
        ),
        Panel(
            "Run, 99 of 100", ((_quantile(0.99, "sluice_stage_seconds", _OF_VARIANT, ', stage="run"'), _VARIANT),), "s"
        ),
        Panel("Answer, 99 of 100", ((_quantile(0.99, "sluice_stage_seconds", _OF_VARIANT, _TOTAL), _VARIANT),), "s"),
        Panel(
            "Rows of a batch",
            ((_mean("sluice_batch_rows", _OF_VARIANT), _VARIANT),),
        ),
        Panel(
            "Phase and step",
            (
                (f"max by (model, rollout, phase) (sluice_rollout_phase{{{_MODEL}}})", "{{model}} {{phase}}"),
                (f"max by (model, rollout) (sluice_rollout_step{{{_MODEL}}})", "{{model}} step"),
                (f"max by (model, rollout) (sluice_rollout_steps{{{_MODEL}}})", "{{model}} steps"),
            ),
        ),
        Panel(
            "Share that the canary is to get",
            ((f"max by (model, rollout) (sluice_rollout_weight{{{_MODEL}}})", "{{model}}"),),
            "percentunit",
        ),
        Panel(
            "Evidence against the canary",
            (
                (f"max by (model, gate) (sluice_rollout_evidence{{{_MODEL}}})", "{{model}} {{gate}}"),
                (f"max by (model, gate) (sluice_rollout_evidence_needed{{{_MODEL}}})", "{{model}} {{gate}} needed"),
            ),
            text="At what is needed a gate decides.",
        ),
    ),
)

FEATURES = Dashboard(
    "sluice-features",
    "Sluice: features",
    (
        Panel(
            "Values by status",
            ((_rate("sluice_feature_values_total", "view, status"), "{{view}} {{status}}"),),
            "cps",
            "present, or why a default stood in.",
        ),
        Panel(
            "Share missing",
            ((f"view:sluice_features_missing:ratio_rate10m{{{_MODEL}}}", "{{model}} {{view}}"),),
            "percentunit",
        ),
        Panel(
            "Reading features, 99 of 100",
            ((_quantile(0.99, "sluice_stage_seconds", "model", ', stage="features"'), "{{model}}"),),
            "s",
        ),
        Panel(
            "Reads without an answer",
            ((_rate("sluice_feature_read_errors_total", "reason", of=_JOB), "{{reason}}"),),
            "cps",
        ),
        Panel(
            "Nodes left alone",
            ((f"sum by (node) (sluice_feature_node_left{{{_JOB}}})", "{{node}}"),),
            text="By workers.",
        ),
        Panel(
            "Near cache, looked up",
            ((_rate("sluice_near_cache_look_ups_total", "outcome", of=_JOB), "{{outcome}}"),),
            "cps",
        ),
        Panel(
            "Near cache, rows",
            (
                (f"sum by (instance) (sluice_near_cache_rows{{{_JOB}}})", "{{instance}} rows"),
                (f"sum by (instance) (sluice_near_cache_bytes{{{_JOB}}})", "{{instance}} bytes"),
            ),
        ),
        Panel(
            "Near cache, told of writes",
            (
                (f"min by (instance) (sluice_near_cache_heard{{{_JOB}}})", "{{instance}} heard"),
                (_rate("sluice_near_cache_invalidations_total", "what", of=_JOB), "{{what}} a second"),
            ),
        ),
        Panel(
            "Near cache, rows that left for want of room or were read anew",
            (
                (_rate("sluice_near_cache_evictions_total", "instance", of=_JOB), "{{instance}} left"),
                (_rate("sluice_near_cache_refreshes_total", "instance", of=_JOB), "{{instance}} read anew"),
            ),
            "cps",
        ),
    ),
)

DASHBOARDS = (OVERVIEW, MODEL, ROLLOUT, FEATURES)
