"""The events of jobs."""

from dataclasses import dataclass

from app.core.background.events import Event


@dataclass(frozen=True, kw_only=True)
class JobFinished(Event):
    """A member's job has ended: it has succeeded, failed or been cancelled."""

    name = "job.finished"

    job_id: int
    kind: str | None
    user_id: int
    status: str
