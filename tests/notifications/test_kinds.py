"""A kind of notification is complete: wherever kinds are told apart, each has its place."""

import re

import pytest
from flask import Flask
from sqlalchemy import inspect

from app.config import ROOT
from app.extensions import db
from app.notifications.jobs import SUBJECTS
from app.notifications.messages import SENTENCES
from app.notifications.models import KINDS
from tests.client import document

PLACES = (
    "app/notifications/: KINDS of models.py, SENTENCES of messages.py, SUBJECTS of jobs.py, listeners.py; migrations/"
)


def words_of(check: str) -> set[str]:
    return set(re.findall(r"'(\w+)'", check))


def test_a_kind_has_its_sentence_its_subject_and_its_place_in_the_database_and_the_document(app: Flask) -> None:
    with app.app_context():
        checks = {one["name"]: one["sqltext"] for one in inspect(db.engine).get_check_constraints("notifications")}
    documented = document(app)["components"]["schemas"]["NotificationItem"]["properties"]["kind"]["enum"]
    listed = {
        "sentences": set(SENTENCES),
        "subjects of mails": set(SUBJECTS),
        "the document": set(documented),
        "the database": words_of(checks["ck_notifications_kind"]),
    }
    assert listed == {place: set(KINDS) for place in listed}, PLACES


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_sent_by_a_listener(kind: str) -> None:
    listeners = (ROOT / "app/notifications/listeners.py").read_text()
    assert f'"{kind}"' in listeners, PLACES
