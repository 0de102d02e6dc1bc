"""Which event tells whom what. Each of these hears an event once, inside a unit of work."""

from typing import Any

from sqlalchemy import select

from app.extensions import db
from app.jobs import service as jobs
from app.jobs.models import CANCELLED, Job
from app.notifications.service import notify

Event = dict[str, Any]

OF_JOBS = {"report": "report_ready", "import": "import_done"}


def on_order_placed(event: Event) -> None:
    """Tell the seller."""
    notify(event["seller_id"], "order_placed", event, person_id=event["buyer_id"])


def on_order_completed(event: Event) -> None:
    """Tell the seller; and the buyer, if the buyer has not done it."""
    notify(event["seller_id"], "order_completed", event, person_id=event["buyer_id"])
    if event["by"] is None:
        notify(event["buyer_id"], "order_completed", event, person_id=event["seller_id"])


def on_order_cancelled(event: Event) -> None:
    """Tell the party that has not done it."""
    other = "seller_id" if event["by"] == event["buyer_id"] else "buyer_id"
    notify(event[other], "order_cancelled", event, person_id=event["by"])


def on_transfer_received(event: Event) -> None:
    """Tell the receiver."""
    notify(event["receiver_id"], "transfer_received", event, person_id=event["sender_id"])


def on_job_finished(event: Event) -> None:
    """Tell its owner of a report or an import that is done or has failed; who has cancelled it knows."""
    job = db.session.execute(select(*jobs.SHOWN).where(Job.id == event["job_id"])).one_or_none()
    if job is None or job.status == CANCELLED or job.kind not in OF_JOBS:
        return
    data = {"job_id": job.id, **{name: jobs.shown(job)[name] for name in ("status", "result", "error")}}
    notify(event["user_id"], OF_JOBS[job.kind], data)
