"""The rules of jobs: how one is asked for, watched, cancelled and forgotten."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, insert, literal, or_, select, update

from app.core import clock
from app.core.background import outbox
from app.core.background.dispatcher import QUEUES, publish
from app.core.caller import Caller
from app.core.clients import storage
from app.core.db.base import BigId, Query, Record
from app.core.errors import Conflict, Gone, NotFound
from app.core.request_state import request_id
from app.core.unit_of_work import insert_on_conflict, rows_of
from app.extensions import db
from app.jobs.events import JobFinished
from app.jobs.kinds import queue_of, timetable
from app.jobs.models import CANCELLED, FINISHED, QUEUED, RUNNING, Heartbeat, Job
from app.users.models import User

RUN = "jobs.run"
REPORT_ALIVE = "jobs.report_alive"
TURN_SECONDS = 60  # between the turns of two jobs of one member
RESULTS_KEPT = timedelta(days=7)
MAX_UNFINISHED = 10  # jobs of one member's asking
RESULTS = "results"  # the folder of what jobs have made
WORKER, SCHEDULER = "worker", "scheduler"
ALIVE = timedelta(seconds=30)  # within which a worker or a scheduler that is well has been seen

SHOWN = (
    Job.id,
    Job.kind,
    Job.status,
    Job.done,
    Job.total,
    Job.result,
    Job.result_name,
    Job.error_code,
    Job.error_message,
    Job.created_at,
    Job.started_at,
    Job.finished_at,
)


def enqueue(
    kind: str,
    *,
    user_id: int | None = None,
    caused_by_id: int | None = None,
    params: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Ask for a job, as part of the unit of work under way, and return it as it is shown.

    Takes the name of its kind, its owner (None: the service itself), the member whose doing has led to it (by default
    its owner), and what its function needs to know, as JSON.
    """
    queue, caused_by_id = queue_of(kind), caused_by_id or user_id
    values = {
        "kind": kind,
        "queue": queue,
        "user_id": user_id,
        "caused_by_id": caused_by_id,
        "turn": turn_of(caused_by_id, queue),
        "params": dict(params or {}),
        "request_id": request_id(),
        "created_at": clock.now(),
        "due_at": clock.at_once(),
    }
    job = db.session.execute(insert(Job).values(values).returning(*SHOWN)).one()
    publish(RUN, queue, queue=queue)
    return shown(job)


def request_job(caller: Caller, kind: str, *, params: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for a job of the caller's own, whose row is locked for it, so that no two requests count the same.

    Raises Conflict (``too_many_jobs``) while MAX_UNFINISHED are queued or running; what is cancelled does not count.
    """
    own = Job.user_id == caller.member_id, Job.status.in_((QUEUED, RUNNING)), Job.cancel_requested.is_(False)
    if (db.session.scalar(select(func.count()).where(*own)) or 0) >= MAX_UNFINISHED:
        message = f"You have {MAX_UNFINISHED} jobs that are not finished. Wait for one, or cancel it."
        raise Conflict(message, code="too_many_jobs")
    return enqueue(kind, user_id=caller.member_id, params=params)


def turn_of(member_id: int | None, queue: str) -> ColumnElement[int]:
    """Return when it is the turn of a new job, in seconds since 1970; workers take jobs in this order.

    A member's jobs stand a minute apart, so that a thousand of one member's do not come before the first of another's
    (a virtual clock, as fair queuing in networks has it). Nothing waits for its turn while a worker is idle.
    """
    now = literal(int(clock.now().timestamp()), BigId)
    if member_id is None:
        return now
    unfinished = Job.caused_by_id == member_id, Job.queue == queue, Job.finished_at.is_(None)
    following = select(func.max(Job.turn) + TURN_SECONDS).where(*unfinished).scalar_subquery()
    return case((following > now, following), else_=now)


def shown(job: Record) -> dict[str, Any]:
    """Return a job as its owner sees it."""
    error = {"code": job.error_code, "message": job.error_message} if job.error_code else None
    return {
        **{name: getattr(job, name) for name in ("id", "kind", "status", "result", "created_at", "started_at")},
        "progress": {"done": job.done, "total": job.total},
        "result_url": f"/api/v1/jobs/{job.id}/result" if job.result_name else None,
        "error": error,
        "finished_at": job.finished_at,
    }


def all_shown(jobs: Sequence[Record], _sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return jobs as their owner sees them."""
    return [shown(job) for job in jobs]


def list_jobs(caller: Caller) -> Query:
    """Return the query of the caller's jobs."""
    return select(*SHOWN).where(Job.user_id == caller.member_id)


def get_job(caller: Caller, job_id: int) -> dict[str, Any]:
    """Return one of the caller's jobs. Raises NotFound."""
    job = db.session.execute(list_jobs(caller).where(Job.id == job_id)).one_or_none()
    if job is None:
        raise NotFound
    return shown(job)


def own_job(caller: Caller, job_id: int) -> Job:
    """Return one of the caller's jobs, locked. Raises NotFound."""
    own = select(Job).where(Job.id == job_id, Job.user_id == caller.member_id)
    job = db.session.scalars(own.with_for_update()).one_or_none()
    if job is None:
        raise NotFound
    return job


def cancel_job(caller: Caller, job: Job) -> dict[str, Any]:
    """Stop a job: one that waits at once, one that runs as soon as its worker hears of it. Raises Conflict."""
    if job.status in FINISHED:
        raise Conflict(f"The job has {job.status} already.", code="job_finished")
    job.cancel_requested = True
    if job.status == QUEUED:
        job.status, job.finished_at = CANCELLED, clock.now()
        emit_finished(job.id, job.kind, job.user_id, status=CANCELLED)
    db.session.flush()
    return get_job(caller, job.id)


def emit_finished(job_id: int, kind: str | None, user_id: int | None, *, status: str) -> None:
    """Write the event that a member's job has ended. Runs inside a unit of work."""
    if user_id is not None:
        outbox.emit(JobFinished(job_id=job_id, kind=kind, user_id=user_id, status=status))


def tick() -> None:
    """Do what the scheduler does every few seconds: it looks at the timetable, and wakes the workers of each queue.

    They find what no message has come for, and whose worker is gone. Runs inside a unit of work.
    """
    report_alive(SCHEDULER)
    follow_timetable()
    publish(REPORT_ALIVE)
    publish(outbox.DELIVER)
    for queue in QUEUES:
        publish(RUN, queue, queue=queue)


def follow_timetable() -> None:
    """Ask for the jobs whose time has come, each once for its period. Runs inside a unit of work."""
    now = clock.now()
    due = {
        f"{kind.name}@{int(now.timestamp() // kind.every.total_seconds())}": kind for kind in timetable() if kind.every
    }
    known = set(db.session.scalars(select(Job.occasion).where(Job.occasion.in_(due))))
    for occasion in due.keys() - known:
        kind = due[occasion]
        values: dict[str, Any] = {"kind": kind.name, "queue": kind.queue, "occasion": occasion, "params": {}}
        values |= {"due_at": clock.at_once(), "turn": turn_of(None, kind.queue)}
        db.session.execute(insert_on_conflict(Job).values(values).on_conflict_do_nothing())


def report_alive(name: str) -> None:
    """Note that a WORKER or a SCHEDULER is at work. Runs inside a unit of work."""
    seen = insert_on_conflict(Heartbeat).values(name=name, seen_at=clock.now())
    seen = seen.on_conflict_do_update(index_elements=["name"], set_={"seen_at": seen.excluded.seen_at})
    db.session.execute(seen)


def worker_is_alive() -> bool:
    """Return whether a worker has been seen lately, or is busy with a job."""
    now = clock.now()
    seen = exists().where(Heartbeat.name == WORKER, Heartbeat.seen_at > now - ALIVE)
    busy = exists().where(Job.status == RUNNING, Job.lease_until > now)
    return bool(db.session.scalar(select(or_(seen, busy))))


def seconds_since_tick() -> int | None:
    """Return how long ago a scheduler was last at work; None if none ever was."""
    seen_at = db.session.scalar(select(Heartbeat.seen_at).where(Heartbeat.name == SCHEDULER))
    return None if seen_at is None else max(0, int((clock.now() - seen_at).total_seconds()))


def get_result(caller: Caller, job_id: int) -> Record:
    """Return where the file is that a job has made. Raises NotFound, or Gone for one that has expired."""
    query = select(Job.result_key, Job.result_name, Job.result_type, Job.result_size, Job.finished_at)
    job = db.session.execute(query.where(Job.id == job_id, Job.user_id == caller.member_id)).one_or_none()
    if job is None or job.result_name is None:
        raise NotFound
    if job.result_key is None or job.finished_at <= clock.now() - RESULTS_KEPT:
        raise Gone("The result has expired. Ask for it again.", code="result_expired")
    return job


def purge() -> int:
    """Forget the service's own jobs of the past, and where expired files are; return the number of both."""
    own = rows_of(delete(Job).where(_expired(), Job.user_id.is_(None)))
    files = update(Job).where(_expired(), Job.result_key.is_not(None)).values(result_key=None)
    return own + rows_of(files.execution_options(synchronize_session=False))


def sweep() -> int:
    """Remove the files of jobs that have expired or are gone; return their number. Runs outside of a unit of work."""
    return storage.sweep(
        RESULTS, lambda keys: set(db.session.scalars(select(Job.result_key).where(Job.result_key.in_(keys))))
    )


def _expired() -> ColumnElement[bool]:
    return Job.finished_at <= clock.now() - RESULTS_KEPT


def erase_jobs(user: User) -> None:
    """Erase the jobs of a member who is being deleted; one that runs notices, and stops."""
    db.session.execute(delete(Job).where(Job.user_id == user.id))
