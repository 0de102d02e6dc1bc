"""What a worker does with a job: takes it, does it, and keeps its row true meanwhile.

A job is taken by a lease, which a thread of the worker renews once a second, together with the progress. If the worker
dies, the lease runs out, and the next one takes the job. Each taking has a number: who comes back from a long sleep
with an old one changes nothing.
"""

import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from flask import Flask, current_app
from sqlalchemy import and_, case, select, update

from app.core import clock
from app.core.background.dispatcher import publish
from app.core.background.outbox import pause_after
from app.core.clients import storage
from app.core.http.error_handler import as_unavailable
from app.core.request_state import request_id, request_state
from app.core.unit_of_work import rows_of, unit_of_work
from app.extensions import db
from app.jobs import claims
from app.jobs.claims import UNEXPECTED, claim_next
from app.jobs.kinds import JobCancelled, JobFailed, JobKind, JobLost, JobPutOff, Run, kind_of
from app.jobs.models import CANCELLED, FAILED, MESSAGE_LENGTH, QUEUED, RUNNING, SUCCEEDED, Job
from app.jobs.service import RESULTS, RUN, emit_finished

log = logging.getLogger(__name__)

SLICE = 1.0  # seconds for which a worker goes on with short jobs at one message
BEAT = 1.0  # seconds between two renewals
FOLDER = "agora-job-"  # how the names of the attempts' folders begin
LEFTOVER = timedelta(days=1)  # after which no attempt can still be at work in its folder
TOO_LONG = ("time_limit", "The work took longer than it may. Try with less.")


def run_due(queue: str) -> None:
    """Do the jobs of ``queue`` that are due, for about a second; if there may be more, wake a worker for them.

    So a message costs little for many short jobs, and each job has its time limit nearly for itself.
    """
    end = time.monotonic() + SLICE
    while run_next(queue):
        if time.monotonic() > end:
            unit_of_work(lambda: publish(RUN, queue, queue=queue))
            return


def run_next(queue: str) -> bool:
    """Do the next job of ``queue`` that is due, and return whether there was one. What goes wrong ends in its row."""
    job = unit_of_work(partial(claim_next, queue))
    if job is None:
        return False
    kind = kind_of(job.kind)
    if kind and job.status == RUNNING:
        log.info("Job %d, %s, attempt %d", job.id, job.kind, job.attempts)
        with TemporaryDirectory(prefix=FOLDER) as folder:
            attempt = Run(job.id, job.user_id, job.params, job.attempts, Path(folder), job.done, job.total)
            _attempt(kind, attempt)
    return True


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


@contextmanager
def _kept_alive(run: Run) -> Iterator[None]:
    """Renew the lease while the block runs, store the progress, and learn of a cancellation."""
    stop = threading.Event()
    asked_by = request_id()
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def beat() -> None:
        with app.app_context():
            request_state().request_id = asked_by
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


def _is_ours(run: Run) -> Any:
    return and_(Job.id == run.job_id, Job.status == RUNNING, Job.attempts == run.attempt)


def _renew(run: Run) -> None:
    renewal = (
        update(Job).where(_is_ours(run)).values(lease_until=clock.now() + claims.LEASE, done=run.done, total=run.total)
    )
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
        if rows_of(update(Job).where(_is_ours(run)).values(values).execution_options(synchronize_session=False)):
            kind = db.session.scalar(select(Job.kind).where(Job.id == run.job_id))
            emit_finished(run.job_id, kind, run.user_id, status=status)
            log.info("Job %d has %s", run.job_id, status)

    unit_of_work(work)


def _try_again(kind: JobKind, run: Run, *, error: tuple[str, str]) -> None:
    """Put the job back, for ever later, or give it up for this ``error``."""
    if run.attempt >= kind.attempts:
        _finish(run, status=FAILED, error=error)
        return
    due_at = clock.now() + pause_after(run.attempt)
    due_seconds = int(due_at.timestamp())
    turn = case((Job.turn > due_seconds, Job.turn), else_=due_seconds)
    back = update(Job).where(_is_ours(run)).values(status=QUEUED, due_at=due_at, turn=turn)
    unit_of_work(lambda: rows_of(back.execution_options(synchronize_session=False)))


def sweep_folders() -> int:
    """Remove the folders that killed workers have left on this machine, and return their number."""
    removed = 0
    for folder in Path(gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError):  # Another sweeper was faster, or it is another user's.
            if folder.stat().st_mtime < (clock.now() - LEFTOVER).timestamp():
                shutil.rmtree(folder)
                removed += 1
    return removed
