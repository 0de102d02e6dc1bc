"""What a worker does with a job: takes it, does it, and keeps its row true meanwhile.

A job is taken by a lease, which a thread of the worker renews once a second, together with the progress. If the worker
dies, the lease runs out, and the next one takes the job. Each taking has a number: who comes back from a long sleep
with an old one changes nothing.
"""

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from flask import Flask, current_app, g
from sqlalchemy import and_, or_, select, update

from app.core import clock
from app.core.background.outbox import pause_after
from app.core.clients import storage
from app.core.http.error_handler import as_unavailable
from app.core.unit_of_work import rows_of, unit_of_work
from app.extensions import db
from app.jobs.kinds import JobCancelled, JobFailed, JobKind, JobLost, JobPutOff, Run, kind_of
from app.jobs.models import CANCELLED, FAILED, MESSAGE_LENGTH, QUEUED, RUNNING, SUCCEEDED, Job
from app.jobs.service import RESULTS, tell

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BEAT = 1.0  # seconds between two renewals
FOLDER = "agora-job-"  # how the names of the attempts' folders begin
LEFTOVER = timedelta(days=1)  # after which no attempt can still be at work in its folder
UNEXPECTED = ("internal_error", "Something went wrong on our side. Try again later.")
WORKER_LOST = ("worker_lost", "The work was interrupted too often. Try again later.")
TOO_LONG = ("time_limit", "The work took longer than it may. Try with less.")


def run(job_id: int) -> None:
    """Do a job, unless it is done, being done, cancelled or gone. What goes wrong ends in its row."""
    claimed = unit_of_work(partial(_claim, job_id))
    if claimed is None:
        return
    job, kind = claimed
    log.info("Job %d, %s, attempt %d", job.id, job.kind, job.attempts)
    with TemporaryDirectory(prefix=FOLDER) as folder:
        attempt = Run(job.id, job.user_id, job.params, job.attempts, Path(folder), job.done, job.total)
        _attempt(kind, attempt)


def _attempt(kind: JobKind, run: Run) -> None:
    try:
        _finish(run, **_perform(kind, run))
    except JobLost:
        log.warning("Job %d was taken over", run.job_id)
    except JobPutOff as reason:
        log.warning("Job %d is put off: %s", run.job_id, reason)
        _try_again(kind, run, error=(reason.code, reason.message))
    except Exception as error:  # Even that its end cannot be stored.
        log.exception("Job %d failed", run.job_id)
        away = as_unavailable(error)
        _try_again(kind, run, error=(away.code, away.message) if away else UNEXPECTED)


def _perform(kind: JobKind, run: Run) -> dict[str, Any]:
    """Do the job, and return how it has ended."""
    try:
        with _kept_alive(run):
            result = kind.perform(run)
            file = _store(run)
    except JobCancelled:
        return {"status": CANCELLED}
    except JobPutOff:
        raise
    except JobFailed as failure:
        return {"status": FAILED, "error": (failure.code, failure.message)}
    except SoftTimeLimitExceeded:
        return {"status": FAILED, "error": TOO_LONG}
    return {"status": SUCCEEDED, "result": result, "file": file}


def _claim(job_id: int) -> tuple[Job, JobKind] | None:
    """Take the job if it is due and nobody has it; one that cannot or need not be done ends here."""
    now = clock.now()
    free = or_(
        and_(Job.status == QUEUED, Job.due_at <= now),
        and_(Job.status == RUNNING, Job.lease_until < now),
    )
    job = db.session.scalars(select(Job).where(Job.id == job_id, free).with_for_update(skip_locked=True)).one_or_none()
    if job is None:
        return None
    g.request_id = job.request_id
    kind = kind_of(job.kind)
    if job.cancel_requested or kind is None or job.attempts >= kind.attempts:
        job.status, job.finished_at = CANCELLED if job.cancel_requested else FAILED, now
        if job.status == FAILED:
            job.error_code, job.error_message = WORKER_LOST if kind else UNEXPECTED
            log.error("Job %d, %s, is given up after %d attempts", job.id, job.kind, job.attempts)
        tell(job.id, job.kind, job.user_id, status=job.status)
        return None
    job.status, job.attempts, job.lease_until = RUNNING, job.attempts + 1, now + LEASE
    job.started_at = job.started_at or now
    db.session.flush()
    db.session.expunge(job)
    return job, kind


@contextmanager
def _kept_alive(run: Run) -> Iterator[None]:
    """Renew the lease while the block runs, store the progress, and learn of a cancellation."""
    stop = threading.Event()
    request_id = g.get("request_id")
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def beat() -> None:
        with app.app_context():
            g.request_id = request_id
            while not stop.wait(BEAT):
                try:
                    unit_of_work(partial(_renew, run))
                except Exception as error:  # The next beat may succeed; the lease outlives many.
                    log.warning("Job %d: no heartbeat: %s", run.job_id, type(error).__name__)

    thread = threading.Thread(target=beat, name=f"job-{run.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _mine(run: Run) -> Any:
    return and_(Job.id == run.job_id, Job.status == RUNNING, Job.attempts == run.attempt)


def _renew(run: Run) -> None:
    renewal = update(Job).where(_mine(run)).values(lease_until=clock.now() + LEASE, done=run.done, total=run.total)
    renewal = renewal.execution_options(synchronize_session=False)
    cancelled = db.session.scalar(renewal.returning(Job.cancel_requested))
    run.lost, run.cancelled = cancelled is None, bool(cancelled)


def _store(run: Run) -> dict[str, Any]:
    """Keep the file that the job has made, before the transaction that says so; return what names it."""
    if run.file is None:
        return {}
    with run.file.path.open("rb") as content:
        key = storage.put(content, RESULTS)
    return {
        "result_key": key,
        "result_size": run.file.path.stat().st_size,
        "result_name": run.file.name,
        "result_type": run.file.content_type,
    }


def _finish(
    run: Run,
    *,
    status: str,
    result: Any = None,
    file: Mapping[str, Any] | None = None,
    error: tuple[str, str] | None = None,
) -> None:
    values = {
        "status": status,
        "finished_at": clock.now(),
        "done": run.done,
        "total": run.total,
        "result": dict(result) if result is not None else None,
        "error_code": error[0] if error else None,
        "error_message": error[1][:MESSAGE_LENGTH] if error else None,
        **(file or {}),
    }

    def work() -> None:
        if rows_of(update(Job).where(_mine(run)).values(values).execution_options(synchronize_session=False)):
            kind = db.session.scalar(select(Job.kind).where(Job.id == run.job_id))
            tell(run.job_id, kind, run.user_id, status=status)
            log.info("Job %d has %s", run.job_id, status)

    unit_of_work(work)


def _try_again(kind: JobKind, run: Run, *, error: tuple[str, str]) -> None:
    """Put the job back, for ever later, or give it up for this ``error``."""
    if run.attempt >= kind.attempts:
        _finish(run, status=FAILED, error=error)
        return
    back = {"status": QUEUED, "due_at": clock.now() + pause_after(run.attempt), "published_at": None}
    unit_of_work(
        lambda: rows_of(update(Job).where(_mine(run)).values(back).execution_options(synchronize_session=False))
    )


def sweep_folders() -> int:
    """Remove the folders that killed workers have left on this machine, and return their number."""
    removed = 0
    for folder in Path(gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError):  # Another sweeper was faster, or it is another user's.
            if folder.stat().st_mtime < (clock.now() - LEFTOVER).timestamp():
                shutil.rmtree(folder)
                removed += 1
    return removed
