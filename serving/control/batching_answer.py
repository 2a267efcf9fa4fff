"""What the control API answers about batching, as its OpenAPI document shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field


class EstimateSeen(BaseModel):
    """A batch of n rows runs `fixed_s + row_s * n` seconds, 99 of 100 no longer than `margin` times that.

    Without `runs` it is what an earlier session learned, or a guess by the time of one warm row.
    """

    fixed_s: float
    row_s: float
    margin: float
    runs: int = Field(description="Runs that living workers have learned it from.")


class WindowSeen(BaseModel):
    """Rows of a batch."""

    most_rows: int = Field(description="With more a row that just missed one batch would miss its goal in the next.")
    enough_rows: int = Field(description="From here on more rows hardly raise what a slot does in a second.")
    max_rows: int = Field(description="What the configuration or the model allows at most.")


class SlackSeen(BaseModel):
    """Time that the first row of a batch had left to its goal when the batch was taken."""

    batches: int
    late: int = Field(description="Batches whose first row's time was over by then.")
    half_had_s: float | None = Field(description="Half of the batches had more than this.")
    most_had_s: float | None = Field(description="19 of 20 batches had more than this.")


class WorkerBatching(BaseModel):
    """One gateway worker's view; of two numbers the higher is the newer worker."""

    worker: int
    estimate: EstimateSeen
    drag: float
    window: WindowSeen
    queue_rows: dict[str, int]
    slots: int
    servers: int
    loop_lag_s: float


class VersionBatching(BaseModel):
    """A version in a role; `estimate` and what follows from it are null while nothing hosts it."""

    version: int
    variant: str
    pool: str
    estimate: EstimateSeen | None
    drag: float | None = Field(description="So many times the estimate requests of a busy queue really take.")
    window: WindowSeen | None
    goal_s: float | None
    promised: bool | None = Field(description="The goal is the model's latency_slo_ms, and not only its deadline.")
    queue_rows: dict[str, int] = Field(description="Rows that wait in all workers, by level of priority.")
    slots: int = Field(description="Batches that a worker may have under way at once.")
    servers: int = Field(description="How many of those run at the same time.")
    batches: int
    rows_per_batch: float
    slack: SlackSeen
    refused_rows: dict[str, int] = Field(description="Rows that reached no batch of it, by reason.")
    workers: list[WorkerBatching]


class Batching(BaseModel):
    """Of one model; what is counted is counted since the session began, and up to a second old."""

    model: str
    loop_lag_s: float = Field(description="What a request loses to turns of the loop, in the busiest worker.")
    refused_requests: dict[str, int] = Field(description="Requests that reached no batch, by reason.")
    versions: list[VersionBatching]
