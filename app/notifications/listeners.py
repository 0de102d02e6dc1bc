"""Which event notifies whom. Each of these is called once for an event, inside a unit of work."""

from sqlalchemy import select

from app.extensions import db
from app.jobs import service as jobs
from app.jobs.events import JobFinished
from app.jobs.models import CANCELLED, Job
from app.notifications.service import notify
from app.orders.events import OrderCancelled, OrderCompleted, OrderPlaced
from app.wallet.events import TransferReceived

KIND_OF_JOB = {"report": "report_ready", "import": "import_done"}


def on_order_placed(event: OrderPlaced) -> None:
    """Notify the seller."""
    notify(event.seller_id, "order_placed", event.payload(), person_id=event.buyer_id)


def on_order_completed(event: OrderCompleted) -> None:
    """Notify the seller; and the buyer, if the buyer has not done it."""
    notify(event.seller_id, "order_completed", event.payload(), person_id=event.buyer_id)
    if event.by is None:
        notify(event.buyer_id, "order_completed", event.payload(), person_id=event.seller_id)


def on_order_cancelled(event: OrderCancelled) -> None:
    """Notify the party that has not done it."""
    other_id = event.seller_id if event.by == event.buyer_id else event.buyer_id
    notify(other_id, "order_cancelled", event.payload(), person_id=event.by)


def on_transfer_received(event: TransferReceived) -> None:
    """Notify the receiver."""
    notify(event.receiver_id, "transfer_received", event.payload(), person_id=event.sender_id)


def on_job_finished(event: JobFinished) -> None:
    """Notify the owner of a report or an import that has succeeded or failed; who has cancelled it knows."""
    job = db.session.execute(select(*jobs.SHOWN).where(Job.id == event.job_id)).one_or_none()
    if job is None or job.status == CANCELLED or job.kind not in KIND_OF_JOB:
        return
    data = {"job_id": job.id, **{name: jobs.shown(job)[name] for name in ("status", "result", "error")}}
    notify(event.user_id, KIND_OF_JOB[job.kind], data)
