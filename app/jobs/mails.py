"""Sending a mail as a job: what goes wrong with it, as jobs say it."""

from app.core.clients import mail
from app.core.clients.mail import Mail, MailPutOff, MailRefused
from app.jobs.kinds import JobFailed, JobPutOff

ATTEMPTS = 60  # With pauses that grow to an hour, a mail server may be away for two days.


def deliver(letter: Mail | None) -> bool:
    """Send a mail, and return whether there was one to send.

    A job that is done is not done again; but a worker that dies between the server's word and the row's change has the
    mail sent a second time, with the same Message-ID. Raises JobFailed, or JobPutOff to try again later.
    """
    if letter is None:
        return False
    try:
        mail.send(letter)
    except MailRefused as refusal:
        raise JobFailed("mail_refused", str(refusal)) from refusal
    except MailPutOff as reason:
        raise JobPutOff("mail_server_away", str(reason)) from reason
    return True
