"""What Celery's workers are called for: three tasks, each no more than the ring of a bell."""

from app.core.background import outbox
from app.core.background.dispatcher import publish
from app.core.unit_of_work import unit_of_work
from app.extensions import celery
from app.jobs import runner, service

TICK = 5.0  # seconds


@celery.task(name=service.RUN)
def run(job_id: int) -> None:
    """Do one job."""
    runner.run(job_id)


@celery.task(name=outbox.DELIVER)
def deliver() -> None:
    """Hand out the events that are due."""
    outbox.deliver_all()


@celery.task(name="jobs.tick")
def tick() -> None:
    """Look after the rest: what no bell has been heard for, and what is done on a timetable."""

    def work() -> None:
        service.report_alive()
        service.follow_timetable()
        service.republish_due()
        if outbox.undelivered():
            publish(outbox.DELIVER)

    unit_of_work(work)
