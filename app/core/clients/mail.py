"""Mail to one person: text and HTML from templates, handed to the SMTP server of the settings.

Sending talks to another machine, so only jobs do it. Every step has a time limit. A server that is away or says "later"
raises MailPutOff, one that refuses this mail for good raises MailRefused (RFC 5321, section 4.2.1).
"""

import logging
import smtplib
import ssl
import time
import unicodedata
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from flask import current_app, render_template
from pybreaker import CircuitBreaker, CircuitBreakerError

from app.core import clock
from app.core.request_state import request_id

log = logging.getLogger(__name__)

AS_IT_IS = {"as_it_is": True}  # A developer follows the link of a mail in the log of development.

TIMEOUT = 10.0  # seconds that each step of connecting may take
PATIENCE = 60.0  # seconds for each step thereafter: who hangs up on a server that is still checking sends twice
PERMANENT = 500  # the least of the replies that mean "never"
SLOW = 5.0  # seconds; a server that takes longer for a mail counts as away for the next ones
RESET_TIMEOUT = 30  # seconds for which a process does not try a server that has kept it waiting

# The invisible characters that turn the direction of all text after them.
TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def _is_quick(error: BaseException) -> bool:
    """Return whether an error came before any time limit; smtplib hides those behind errors of its own."""
    return not (isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError))


# A server that hangs would take all the time of the workers, a mail after the other.
SERVER = CircuitBreaker(1, RESET_TIMEOUT, exclude=[_is_quick], throw_new_error_on_trip=False)


class MailRefused(Exception):
    """The server will never take this mail."""


class MailPutOff(Exception):
    """The server is away, or does not take the mail now."""


@dataclass(frozen=True)
class Mail:
    """A mail: the address, the subject, the name of its templates below ``templates/mail`` and what they show.

    ``key`` tells it from all others: sent again, it has the same Message-ID, so that a repeat can be recognised.
    """

    to: str
    subject: str
    template: str
    values: Mapping[str, Any]
    key: str


def one_line(name: str) -> str:
    """Return a name as it may stand in a sentence: without line breaks, and turning nothing but itself around."""
    visible = "".join(char for char in name if unicodedata.bidirectional(char) not in TURNING)
    return " ".join(visible.split()) or "Somebody"


def is_set_up() -> bool:
    """Return whether mails go anywhere: to a server, or, outside of production, to the log."""
    return bool(current_app.config["SMTP_URL"]) or current_app.config["FLASK_ENV"] != "production"


def send(mail: Mail) -> None:
    """Send ``mail`` now. Raises MailRefused, or MailPutOff where it may succeed later.

    Without a server it is written to the log, with the secrets of its links; in production it waits for a server.
    """
    message = _message(mail)
    url = urlsplit(current_app.config["SMTP_URL"])
    if not url.hostname:
        if not is_set_up():
            raise MailPutOff("There is no mail server in the settings.")
        body = message.get_body(("plain",))
        log.info("Mail to %s: %s\n%s", mail.to, mail.subject, body.get_content() if body else "", extra=AS_IT_IS)
        return
    try:
        with SERVER.calling():
            began = time.monotonic()
            _deliver(message, url, mail.to)
        if time.monotonic() - began > SLOW:
            SERVER.open()
    except CircuitBreakerError:
        raise MailPutOff("The circuit breaker is open: the mail server has kept others waiting lately.") from None
    except smtplib.SMTPRecipientsRefused as refusal:
        code, words = refusal.recipients[mail.to]
        raise _refused(code, words) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refusal:
        raise _refused(refusal.smtp_code, refusal.smtp_error) from None
    except OSError as error:  # Of the network, of TLS, and whatever else SMTP has gone wrong with.
        raise MailPutOff(f"The mail server cannot be used now: {type(error).__name__}.") from error


def _message(mail: Mail) -> EmailMessage:
    """Write the mail. Its headers hold no word of a person's but the address, which is checked at sign-up."""
    message = EmailMessage(policy=policy.SMTP)
    message["Message-ID"] = f"<{mail.key}@{_domain()}>"
    message["Date"] = clock.now()
    message["From"] = current_app.config["MAIL_FROM"]
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it.
    if asked_by := request_id():
        message["X-Request-ID"] = asked_by
    text, html = (render_template(f"mail/{mail.template}.{kind}", **mail.values) for kind in ("txt", "html"))
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def _sender() -> str:
    return parseaddr(current_app.config["MAIL_FROM"])[1]


def _domain() -> str:
    return _sender().rpartition("@")[2]


def _deliver(message: EmailMessage, url: SplitResult, to: str) -> None:
    with closing(_connected(url)) as server:
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        if server.sock:
            server.sock.settimeout(PATIENCE)
        server.send_message(message, _sender(), [to])
        with suppress(OSError):  # The server has the mail already.
            server.quit()


def _connected(url: SplitResult) -> smtplib.SMTP:
    """Connect, and encrypt where the settings say so; never less than they say."""
    host, context = url.hostname or "", ssl.create_default_context()
    if url.scheme == "smtps":
        return smtplib.SMTP_SSL(host, url.port or 465, _domain(), timeout=TIMEOUT, context=context)
    encrypted = url.query == "starttls"
    server = smtplib.SMTP(host, url.port or (587 if encrypted else 25), _domain(), timeout=TIMEOUT)
    if encrypted:
        try:
            server.starttls(context=context)
        except OSError:
            server.close()
            raise
    return server


def _refused(code: int, words: bytes | str) -> Exception:
    """Return the error of a refusal, for good or for now. The server's words may quote the address."""
    log.warning("The mail server answers %d %r", code, words)
    if code >= PERMANENT:
        return MailRefused(f"The mail server has refused the mail for good (reply {code}).")
    return MailPutOff(f"The mail server does not take the mail now (reply {code}).")
