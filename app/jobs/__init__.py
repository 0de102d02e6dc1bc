"""Jobs: slow work that a request asks for, a worker does, and its owner watches."""

from collections.abc import Iterable

from flask import Flask

from app.extensions import celery
from app.jobs import tasks
from app.jobs.kinds import EXTENSION, JobKind


def init_app(app: Flask, kinds: Iterable[JobKind]) -> None:
    """Let the workers of ``app`` do jobs of these ``kinds``, and the scheduler look after them."""
    app.extensions[EXTENSION] = {kind.name: kind for kind in kinds}
    celery.conf.beat_schedule = {"tick": {"task": tasks.tick.name, "schedule": tasks.TICK}}
