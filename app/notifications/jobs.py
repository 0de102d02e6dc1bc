"""Notifications in the background: one mail for each."""

from app.core.clients.mail import Mail, one_line
from app.extensions import db
from app.jobs.kinds import Run
from app.jobs.mails import deliver
from app.notifications.models import Notification
from app.notifications.service import ALL, shown
from app.users.models import User

SUBJECTS = {
    "order_placed": "A new order",
    "order_completed": "An order is completed",
    "order_cancelled": "An order was cancelled",
    "transfer_received": "You have received credits",
    "report_ready": "Your report",
    "import_done": "Your import",
}


def send_mail(run: Run) -> dict[str, bool]:
    """Send a notification to its owner by mail; return whether it was sent.

    Raises JobFailed, or JobPutOff to try again later.
    """
    return {"sent": deliver(_mail_of(run.params["notification_id"]))}


def _mail_of(notification_id: int) -> Mail | None:
    """Write the mail; none to a member who is gone or disabled, or does not want any."""
    wanted = User.is_active, User.notify_by_email, Notification.id == notification_id
    query = ALL.add_columns(User.email, User.name).join(User, User.id == Notification.user_id).where(*wanted)
    found = db.session.execute(query).one_or_none()
    if found is None:
        return None
    subject = SUBJECTS[found.kind]
    values = {"subject": subject, "name": one_line(found.name), "message": shown(found)["message"]}
    key = f"notification.{found.id}.{int(found.created_at.timestamp())}"
    return Mail(found.email, subject, "notification", values, key)
