"""Celery's tasks: what a message wakes a worker for, and the tick of the scheduler."""

from functools import partial

from app.core.background import outbox
from app.core.background.dispatcher import DEFAULT_QUEUE
from app.core.unit_of_work import unit_of_work
from app.extensions import celery
from app.jobs import runner, service

TICK = 5.0  # seconds


@celery.task(name=service.RUN)
def run(queue: str) -> None:
    """Do the jobs of a queue that are due."""
    runner.run_due(queue)


@celery.task(name=outbox.DELIVER)
def deliver() -> None:
    """Deliver the events that are due, and do the jobs that are: their message may stand behind many of these."""
    outbox.deliver_due()
    runner.run_due(DEFAULT_QUEUE)


@celery.task(name=service.REPORT_ALIVE)
def report_alive() -> None:
    """Note that a worker is at work."""
    unit_of_work(partial(service.report_alive, service.WORKER))


@celery.task(name="jobs.tick")
def tick() -> None:
    """Look at the timetable, and wake the workers. Runs in the scheduler, and goes through no queue."""
    unit_of_work(service.tick)
