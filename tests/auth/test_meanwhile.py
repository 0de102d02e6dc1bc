"""What an admin does to a member whose request is under way holds for that request too.

What is slow is done between the look at the caller and the transaction: a file is received, a password is checked.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask

from app.core.rest import endpoint
from app.core.unit_of_work import unit_of_work
from tests.conftest import AsUser

Json = dict[str, Any]
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Let something be done once, just before the transaction of the next write begins."""

    def arrange(act: Callable[[], object]) -> None:
        def then_begin(work: Callable[[], Any]) -> Any:
            monkeypatch.setattr(endpoint, "unit_of_work", unit_of_work)
            act()
            return unit_of_work(work)

        monkeypatch.setattr(endpoint, "unit_of_work", then_begin)

    return arrange


@pytest.mark.parametrize(
    ("change", "status"), [({"role": "moderator"}, 403), ({"is_active": False}, 401), ({"name": "Renamed"}, 201)]
)
def test_a_file_is_kept_only_if_its_sender_is_still_who_began_to_send_it(
    app: Flask, as_user: AsUser, meanwhile: Meanwhile, change: Json, status: int
) -> None:
    member, admin = as_user(), as_user("admin")

    def act() -> None:
        with app.app_context():
            assert admin.patch(f"/api/v1/users/{member.user_id}", json=change).status_code == 200

    meanwhile(act)
    assert member.post("/api/v1/files", data={"file": (BytesIO(b"text"), "a.txt")}).status_code == status
    if status == 403:
        assert member.get("/api/v1/files").get_json()["files"] == []


def test_an_admin_who_is_demoted_meanwhile_changes_nobody(as_user: AsUser, meanwhile: Meanwhile) -> None:
    demoted, admin, member = as_user("admin"), as_user("admin"), as_user(name="As before")
    url = f"/api/v1/users/{member.user_id}"
    meanwhile(lambda: admin.patch(f"/api/v1/users/{demoted.user_id}", json={"role": "member"}))
    answer = demoted.patch(url, json={"name": "Changed"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")
    assert admin.get(url).get_json()["name"] == "As before"
