"""What tests of credentials share: a mail server, and the tokens in its mails."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from app.core.clients import mail
from app.core.unit_of_work import unit_of_work
from app.credentials import account_tokens
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.notifications.smtp import Inbox, serving

APP_URL = "https://market.example/app"
NEW = "Another-staple-2"


@pytest.fixture
def inbox(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    mail.SERVER.close()  # whatever another test's server has done
    inbox = Inbox()
    with serving(inbox) as url:
        monkeypatch.setitem(app.config, "SMTP_URL", url)
        monkeypatch.setitem(app.config, "MAIL_FROM", "Agora <market@agora.example>")
        monkeypatch.setitem(app.config, "APP_URL", APP_URL)
        yield inbox


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    return as_user(name="Mia Member", email="Mia@example.com")


def told(inbox: Inbox) -> list[tuple[str, str]]:
    """Return to whom mails have gone, and about what."""
    return [(message["To"], message["Subject"]) for message in inbox.mails]


def text_of(inbox: Inbox, number: int = -1) -> str:
    body = inbox.mails[number].get_body(("plain",))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


def token_in(inbox: Inbox, page: str, *, number: int = -1) -> str:
    """Return the token of the link to ``page`` in a mail, by default the last one."""
    found = re.search(rf"^{re.escape(APP_URL)}/{page}\?token=(\S+)$", text_of(inbox, number), re.MULTILINE)
    assert found, text_of(inbox, number)
    html = inbox.mails[number].get_body(("html",))
    assert html is not None
    assert f'href="{found[0]}"' in html.get_content()
    return found[1]


def mailed_token(client: CheckedClient, purpose: str) -> str:
    """Return a token as it is mailed to the member."""

    def token() -> str:
        made = account_tokens.to_be_mailed(account_tokens.issue(client.user_id, purpose, address=client.email))
        assert made is not None
        return account_tokens.signed(made)

    with client.application.app_context():
        return unit_of_work(token)
