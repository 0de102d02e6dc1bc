"""What kinds of jobs there are, and what the function that does one is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from flask import current_app

from app.core.background.dispatcher import DEFAULT_QUEUE

EXTENSION = "agora-job-kinds"


class JobFailed(Exception):
    """The job cannot be done, and trying again would not help. The message is for its owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobPutOff(JobFailed):
    """The job cannot be done now, and is to be tried again later; at its last attempt it fails for this reason."""


class JobCancelled(Exception):
    """Its owner wants the job to stop."""


class JobLost(Exception):
    """Another worker has taken the job over, or it is gone: this one must stop and leave no trace."""


@dataclass(frozen=True)
class ResultFile:
    """A file that a job has made for its owner: where it is now, and what it is called and is when it is fetched."""

    path: Path
    name: str
    content_type: str


@dataclass
class Run:
    """One attempt at a job, as its function sees it: what was asked for, and where it tells how far it is.

    ``folder`` is a place for files of its own, which is removed at the end. What is assigned to ``file`` is kept as
    the job's result.
    """

    job_id: int
    user_id: int | None
    params: dict[str, Any]
    attempt: int
    folder: Path
    done: int = 0
    total: int | None = None
    cancelled: bool = False
    lost: bool = False
    file: "ResultFile | None" = None

    def progress(self, done: int, total: int | None = None) -> None:
        """Return how much is done, of how much. Costs nothing: a thread stores it once a second.

        Raises JobCancelled or JobLost when the work must stop.
        """
        self.done, self.total = done, total if total is not None else self.total
        if self.lost:
            raise JobLost
        if self.cancelled:
            raise JobCancelled


Perform = Callable[[Run], Mapping[str, Any] | None]


@dataclass(frozen=True)
class JobKind:
    """A kind of job.

    ``perform`` does it: it may be called again for the same job, after the death of a worker, and then goes on where
    the first one was. What it returns is the job's result. ``attempts``: how often it is tried before the job fails.
    ``every``: the job is done on a timetable, as often as that, without an owner. ``queue``: whose workers do it.
    """

    name: str
    perform: Perform
    attempts: int = 3
    every: timedelta | None = None
    queue: str = DEFAULT_QUEUE


def kind_of(name: str) -> JobKind | None:
    """Return the kind of that name; None for one that this version of the code does not know."""
    return cast("JobKind | None", current_app.extensions[EXTENSION].get(name))


def queue_of(name: str) -> str:
    """Return the queue of a kind; the default one for a kind that this version of the code does not know."""
    kind = kind_of(name)
    return kind.queue if kind else DEFAULT_QUEUE


def timetable() -> list[JobKind]:
    """Return the kinds that are done again and again."""
    return [kind for kind in current_app.extensions[EXTENSION].values() if kind.every]
