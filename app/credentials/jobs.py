"""Mails about credentials in the background."""

from app.credentials import mails
from app.jobs.kinds import Run
from app.jobs.mails import deliver


def send_mail(run: Run) -> dict[str, bool]:
    """Send a mail about credentials; return whether it was sent. Raises JobFailed, or JobPutOff to try again later."""
    return {"sent": deliver(mails.mail_of(run.params))}
