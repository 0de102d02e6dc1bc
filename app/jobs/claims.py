"""Which job a worker takes: the next of its queue, in an order that is fair to all members."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, or_, select

from app.core import clock
from app.core.background.dispatcher import publish
from app.core.request_state import request_state
from app.extensions import db
from app.jobs.kinds import kind_of
from app.jobs.models import CANCELLED, FAILED, QUEUED, RUNNING, Job
from app.jobs.service import RUN, emit_finished

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
UNEXPECTED = ("internal_error", "Something went wrong on our side. Try again later.")
WORKER_LOST = ("worker_lost", "The work was interrupted too often. Try again later.")


def claim_next(queue: str) -> Job | None:
    """Take the next job that is due, and wake another worker for the one after it; None if there is none.

    One that cannot or need not be done ends here.
    """
    now = clock.now()
    job = db.session.scalars(_next_due(queue, now).with_for_update(skip_locked=True)).one_or_none()
    if job is None:
        return None
    request_state().request_id = job.request_id
    kind = kind_of(job.kind)
    if job.cancel_requested or kind is None or job.attempts >= kind.attempts:
        _end_unstarted(job, is_known=kind is not None)
    else:
        job.status, job.attempts, job.lease_until = RUNNING, job.attempts + 1, now + LEASE
        job.started_at = job.started_at or now
    publish(RUN, queue, queue=queue)
    db.session.flush()
    db.session.expunge(job)
    return job


def _next_due(queue: str, now: datetime) -> Select[Job]:
    """Return the query of the job whose turn it is: one that waits, or whose worker is gone.

    Of each member's jobs one runs at a time, so that nobody has all workers for themselves.
    """
    waits = and_(Job.status == QUEUED, Job.due_at <= now)
    orphaned = and_(Job.status == RUNNING, Job.lease_until < now)
    running = and_(Job.queue == queue, Job.status == RUNNING, Job.lease_until >= now)
    served = select(Job.caused_by_id).where(running, Job.caused_by_id.is_not(None))
    unserved = or_(Job.caused_by_id.is_(None), Job.caused_by_id.not_in(served))
    unfinished = Job.queue == queue, Job.finished_at.is_(None)
    return select(Job).where(*unfinished, or_(waits, orphaned), unserved).order_by(Job.turn, Job.id).limit(1)


def _end_unstarted(job: Job, *, is_known: bool) -> None:
    """End a job that was cancelled, has been interrupted too often, or is of no known kind."""
    job.status, job.finished_at = CANCELLED if job.cancel_requested else FAILED, clock.now()
    if job.status == FAILED:
        job.error_code, job.error_message = WORKER_LOST if is_known else UNEXPECTED
        log.error("Job %d, %s, is given up after %d attempts", job.id, job.kind, job.attempts)
    emit_finished(job.id, job.kind, job.user_id, status=job.status)
