"""Each notification is a mail, too, to who wants it; whatever state the mail server is in."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from flask import Flask
from sqlalchemy import select, update

from app.core import clock
from app.core.background import outbox
from app.core.clients import mail
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs.mails import ATTEMPTS
from app.jobs.models import Job
from tests.client import CheckedClient
from tests.conftest import AsUser, new_client
from tests.notifications.certificate import make_certificate
from tests.notifications.conftest import Work
from tests.notifications.market import deposit, order, step, told, transfer
from tests.notifications.smtp import Inbox, free_port, greeting, serving

BEYOND = timedelta(hours=2)  # longer than the longest pause between two attempts


@pytest.fixture
def set_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_to(url: str) -> None:
        monkeypatch.setitem(app.config, "SMTP_URL", url)
        monkeypatch.setitem(app.config, "MAIL_FROM", "Agora <market@agora.example>")

    return set_to


@pytest.fixture
def inbox(set_server: Any) -> Iterator[Inbox]:
    inbox = Inbox()
    with serving(inbox) as url:
        set_server(url)
        yield inbox


@pytest.fixture
def bank(as_user: AsUser) -> CheckedClient:
    return as_user("treasurer")


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    return as_user(name="Mia Member", email="mia@example.com")


def texts(inbox: Inbox) -> list[str]:
    return [part(mail, "plain").strip().splitlines()[2] for mail in inbox.mails]


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


def mail_jobs(app: Flask) -> list[Job]:
    with app.app_context():
        return list(db.session.scalars(select(Job).where(Job.kind == "email").order_by(Job.id)))


def test_a_notification_is_a_mail_in_text_and_html(
    app: Flask, inbox: Inbox, bank: CheckedClient, member: CheckedClient, work: Work
) -> None:
    before = clock.now().replace(microsecond=0)
    sent = {"user_id": member.user_id, "amount": 1250}
    bank.post("/api/v1/deposits", json=sent, headers={"X-Request-ID": "the-request-itself"})
    work()
    (message,) = inbox.mails
    sentence = told(member)[0]["message"]
    assert inbox.recipients == ["mia@example.com"]
    assert message["To"] == "mia@example.com"
    assert message["From"] == "Agora <market@agora.example>"
    assert message["Subject"] == "You have received credits"
    assert message["Message-ID"].startswith("<notification.1.")
    assert message["Message-ID"].endswith("@agora.example>")
    assert before <= parsedate_to_datetime(message["Date"]) <= clock.now()
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Request-ID"] == "the-request-itself"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert part(message, "plain").startswith(f"Hello Mia Member,\n\n{sentence}\n")
    assert "Hello <bdi>Mia Member</bdi>," in part(message, "html")
    assert sentence == "The community has sent you 12.50 EUR."
    assert sentence in part(message, "html")
    assert all("notify_by_email" in part(message, kind) for kind in ("plain", "html"))
    assert max(len(line) for line in inbox.raw[0].split(b"\r\n")) <= 998  # RFC 5322, section 2.1.1
    (job,) = mail_jobs(app)
    assert (job.status, job.result, job.user_id) == ("succeeded", {"sent": True}, None)


def test_each_kind_of_event_sends_its_mail_once(
    inbox: Inbox, bank: CheckedClient, member: CheckedClient, as_user: AsUser, work: Work
) -> None:
    seller = as_user(email="seller@example.com")
    deposit(bank, member.user_id, 10_000)
    step(member, order(member, seller)["id"], "completion")
    step(member, order(member, seller)["id"], "cancellation")
    work()
    work()
    subjects = [(mail["To"], mail["Subject"]) for mail in inbox.mails]
    assert sorted(subjects) == [
        ("mia@example.com", "You have received credits"),
        ("seller@example.com", "A new order"),
        ("seller@example.com", "A new order"),
        ("seller@example.com", "An order is completed"),
        ("seller@example.com", "An order was cancelled"),
    ]
    assert texts(inbox) == [n["message"] for n in [*told(member), *told(seller)]]
    assert len({mail["Message-ID"] for mail in inbox.mails}) == 5


def test_who_does_not_want_mails_is_told_without(
    inbox: Inbox, bank: CheckedClient, member: CheckedClient, work: Work
) -> None:
    url = f"/api/v1/users/{member.user_id}"
    for wanted in (False, True):
        deposit(bank, member.user_id, 5)
        answer = member.patch(url, json={"notify_by_email": wanted})
        assert answer.get_json()["notify_by_email"] is wanted
        assert "notify_by_email" not in bank.get(url).get_json()
        work()
        assert len(inbox.mails) == int(wanted)
    assert len(told(member)) == 2


def test_who_is_disabled_or_gone_when_a_mail_is_to_be_sent_gets_none(
    app: Flask, inbox: Inbox, bank: CheckedClient, member: CheckedClient, as_user: AsUser, work: Work
) -> None:
    admin, other = as_user("admin"), as_user()
    deposit(bank, bank.user_id, 10)
    transfer(bank, member.user_id, 5)
    transfer(bank, other.user_id, 5)
    with app.app_context():
        outbox.deliver_all()
    transfer(other, admin.user_id, 5)
    assert other.delete(f"/api/v1/users/{other.user_id}").status_code == 204
    assert admin.patch(f"/api/v1/users/{member.user_id}", json={"is_active": False}).status_code == 200
    work()
    assert [mail["To"] for mail in inbox.mails] == [bank.email, admin.email]
    assert [job.result for job in mail_jobs(app)].count({"sent": False}) == 2


def test_what_did_not_happen_sends_no_mail(
    app: Flask, inbox: Inbox, bank: CheckedClient, member: CheckedClient, work: Work
) -> None:
    body = {"user_id": member.user_id, "amount": 5}
    assert bank.post("/api/v1/deposits?dry_run=true", json=body).status_code == 201
    assert member.post("/api/v1/transfers", json={"receiver_id": bank.user_id, "amount": 5}).status_code == 409
    work()
    assert (inbox.mails, mail_jobs(app)) == ([], [])


@pytest.mark.parametrize(
    ("name", "text", "html"),
    [
        ("Zoë 🐝 דוד", "Zoë 🐝 דוד", "Zoë 🐝 דוד"),
        ("<script>x</script> & \"q'", "<script>x</script> & \"q'", "&lt;script&gt;x&lt;/script&gt; &amp; &#34;q&#39;"),
        ("{{ 7*7 }}", "{{ 7*7 }}", "{{ 7*7 }}"),
        ("x\r\nBcc: all@example.com\r\n\r\nBody", "x Bcc: all@example.com Body", "x Bcc: all@example.com Body"),
        ("x\n.\nQUIT", "x . QUIT", "x . QUIT"),
        ("\u202eevil", "evil", "evil"),
    ],
)  # fmt: skip
def test_a_name_is_text_in_a_mail_and_nothing_else(
    inbox: Inbox, bank: CheckedClient, as_user: AsUser, work: Work, name: str, text: str, html: str
) -> None:
    deposit(bank, bank.user_id, 5)
    work()
    inbox.mails.clear()
    inbox.recipients.clear()
    member = as_user(name=name)
    transfer(bank, member.user_id, 5)
    transfer(member, bank.user_id, 5)
    work()
    greeted, named = inbox.mails
    assert inbox.recipients == [member.email, bank.email]
    assert part(greeted, "plain").startswith(f"Hello {text},\n\n")
    assert f"Hello <bdi>{html}</bdi>," in part(greeted, "html")
    assert part(named, "plain").splitlines()[2] == f"{text} has sent you 0.05 EUR."
    assert f"{html} has sent you 0.05 EUR." in part(named, "html")
    for message in inbox.mails:
        assert message["Bcc"] is None
        assert len(message.get_all("To", [])) == 1


AWAY = ["refused", "silent", "busy at once", "busy at the sender", "busy at the address", "busy at the mail", "hanging"]
REPLIES = {
    "busy at the sender": {"MAIL": "451 later"},
    "busy at the address": {"RCPT": "450 greylisted"},
    "busy at the mail": {"DATA": "421 shutting down"},
    "hanging": {"DATA": "hang"},
}


def start(stack: ExitStack, state: str) -> str:
    """Start a mail server in a bad state, and return its URL."""
    match state:
        case "refused":
            return f"smtp://127.0.0.1:{free_port()}"
        case "silent":
            return stack.enter_context(greeting(b""))
        case "busy at once":
            return stack.enter_context(greeting(b"421 too many connections\r\n"))
    return stack.enter_context(serving(Inbox(**REPLIES[state])))


@pytest.mark.parametrize("state", AWAY)
def test_a_mail_waits_for_a_server_that_is_away_and_is_sent_once_it_is_back(
    app: Flask,
    client: CheckedClient,
    bank: CheckedClient,
    member: CheckedClient,
    set_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
    state: str,
) -> None:
    for name in ("TIMEOUT", "PATIENCE"):
        monkeypatch.setattr(mail, name, 0.3)
    with ExitStack() as stack:
        set_server(start(stack, state))
        deposit(bank, member.user_id, 5)
        work()
        (job,) = mail_jobs(app)
        assert (job.status, job.attempts) == ("queued", 1)
        assert job.due_at > clock.now()
        assert len(told(member)) == 1
        assert "mail" in client.get("/health/ready").get_json()["degraded"]
    inbox = Inbox()
    mail.SERVER.close()  # as after RESET_TIMEOUT
    with serving(inbox) as url:
        set_server(url)
        later = clock.now() + BEYOND
        monkeypatch.setattr(clock, "now", lambda: later)
        work()
        work()
    assert len(inbox.mails) == 1
    assert [(job.status, job.attempts) for job in mail_jobs(app)] == [("succeeded", 2)]
    assert "mail" not in client.get("/health/ready").get_json()["degraded"]


def test_a_server_that_hangs_takes_the_time_of_one_mail_and_not_of_all(
    app: Flask,
    bank: CheckedClient,
    member: CheckedClient,
    set_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.3)
    tried: list[socket.socket] = []
    with greeting(b"", tried) as url:
        set_server(url)
        for amount in (5, 6, 7):
            deposit(bank, member.user_id, amount)
        work()
    assert len(tried) == 1
    assert [(job.status, job.attempts) for job in mail_jobs(app)] == [("queued", 1)] * 3


def test_a_server_that_is_slow_takes_the_time_of_one_mail_and_the_others_wait_for_later(
    app: Flask,
    bank: CheckedClient,
    member: CheckedClient,
    set_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
) -> None:
    monkeypatch.setattr(mail, "SLOW", 0.2)
    inbox = Inbox()
    inbox.delay = 0.5
    with serving(inbox) as url:
        set_server(url)
        for amount in (5, 6, 7):
            deposit(bank, member.user_id, amount)
        work()
    assert len(inbox.mails) == 1
    assert sorted(job.status for job in mail_jobs(app)) == ["queued", "queued", "succeeded"]


def test_a_server_that_stays_away_lets_the_job_fail_with_a_reason_at_last(
    app: Flask, bank: CheckedClient, member: CheckedClient, set_server: Any, work: Work
) -> None:
    set_server(f"smtp://127.0.0.1:{free_port()}")
    deposit(bank, member.user_id, 5)
    with app.app_context():
        outbox.deliver_all()
        unit_of_work(lambda: db.session.execute(update(Job).values(attempts=ATTEMPTS - 1)))
    work()
    (job,) = mail_jobs(app)
    assert (job.status, job.error_code) == ("failed", "mail_server_away")
    assert job.error_message == "The mail server cannot be used now: ConnectionRefusedError."


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_mail_that_is_refused_for_good_fails_with_a_reason_and_is_not_tried_again(
    app: Flask,
    client: CheckedClient,
    bank: CheckedClient,
    member: CheckedClient,
    set_server: Any,
    work: Work,
    command: str,
) -> None:
    with serving(Inbox(**{command: "550 <mia@example.com> is nobody here"})) as url:
        set_server(url)
        deposit(bank, member.user_id, 5)
        work()
    (job,) = mail_jobs(app)
    assert (job.status, job.attempts, job.error_code) == ("failed", 1, "mail_refused")
    assert job.error_message == "The mail server has refused the mail for good (reply 550)."
    assert len(told(member)) == 1
    assert "mail" not in client.get("/health/ready").get_json()["degraded"]


def test_a_repeat_of_a_mail_that_may_have_been_sent_has_the_same_message_id(
    app: Flask, inbox: Inbox, bank: CheckedClient, member: CheckedClient, work: Work
) -> None:
    deposit(bank, member.user_id, 5)
    work()
    forgotten = {"status": "queued", "finished_at": None}  # as after a worker's death right after the server's word
    with app.app_context():
        unit_of_work(lambda: db.session.execute(update(Job).values(forgotten)))
    work()
    first, second = inbox.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_server_that_does_not_encrypt_as_the_settings_say_gets_neither_password_nor_mail(
    app: Flask, bank: CheckedClient, member: CheckedClient, set_server: Any, work: Work
) -> None:
    inbox = Inbox()
    with serving(inbox) as url:
        set_server(url.replace("://", "://agora:secret@") + "?starttls")
        deposit(bank, member.user_id, 5)
        work()
    assert inbox.mails == []
    assert [job.status for job in mail_jobs(app)] == ["queued"]


def test_the_service_signs_in_at_a_server_that_encrypts(
    app: Flask,
    bank: CheckedClient,
    member: CheckedClient,
    set_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    work: Work,
) -> None:
    seen = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    inbox = Inbox()
    encrypting = {"tls_context": context, "require_starttls": True}
    with serving(inbox, **encrypting, auth_required=True, authenticator=authenticate) as url:
        set_server(url.replace("://127.0.0.1", "://agora:p%40ss@localhost") + "?starttls")
        deposit(bank, member.user_id, 5)
        work()
    assert seen == [(b"agora", b"p@ss")]
    assert len(inbox.mails) == 1


def test_without_a_server_development_writes_mails_to_the_log(
    app: Flask, bank: CheckedClient, member: CheckedClient, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "app"):
        deposit(bank, member.user_id, 5)
        work()
    assert "Mail to mia@example.com: You have received credits\nHello Mia Member," in caplog.text


def test_without_a_server_production_is_degraded_and_sends_no_mail(
    production: Flask, bank: CheckedClient, member: CheckedClient, work: Work
) -> None:
    ready = new_client(production).get("/health/ready").get_json()
    assert (ready["checks"]["mail"], "mail" in ready["degraded"]) == (False, True)
    deposit(bank, member.user_id, 5)
    with production.app_context():
        outbox.deliver_all()
    assert mail_jobs(production) == []
    assert len(told(member)) == 1
