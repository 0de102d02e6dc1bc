"""What one member may keep: so many files, of so many bytes together, however many come at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from app.core.clients import storage
from tests.client import CheckedClient
from tests.conftest import Again, AsUser
from tests.files.test_thumbnails import picture
from tests.files.test_upload import URL, upload


@pytest.fixture
def allow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set how much a member may have."""

    def allowed(**settings: int) -> None:
        for name, value in settings.items():
            monkeypatch.setitem(app.config, name, value)

    return allowed


def refused(answer: Any, limit: str) -> bool:
    error = answer.get_json()
    return (answer.status_code, error.get("code")) == (409, "quota_exceeded") and limit in error["message"]


def test_who_has_too_many_files_deletes_one_to_have_another(as_user: AsUser, allow: Callable[..., None]) -> None:
    allow(MEMBER_FILES=2)
    member, other = as_user(), as_user()
    assert [upload(member, b"x").status_code for _ in range(2)] == [201, 201]
    assert refused(upload(member, b"x"), "2 files")
    assert upload(other, b"x").status_code == 201
    assert member.delete(f"{URL}/1").status_code == 204
    assert upload(member, b"x").status_code == 201


def test_the_bytes_of_all_files_are_limited_too(as_user: AsUser, allow: Callable[..., None]) -> None:
    allow(MEMBER_STORAGE=2000)
    member = as_user()
    assert upload(member, b"x" * 1500).status_code == 201
    assert refused(upload(member, b"x" * 501), "2,000 bytes")
    assert upload(member, b"x" * 500).status_code == 201


def test_thumbnails_do_not_count(as_user: AsUser, allow: Callable[..., None], work: Callable[[], None]) -> None:
    sent = picture()
    allow(MEMBER_FILES=2, MEMBER_STORAGE=len(sent) + 1)
    member = as_user()
    assert upload(member, sent).status_code == 201
    work()
    assert member.get(f"{URL}/1").get_json()["thumbnail_url"]
    assert upload(member, b"x").status_code == 201


def test_what_is_too_much_is_not_even_stored(
    as_user: AsUser, allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(MEMBER_STORAGE=10)
    stored: list[str] = []
    monkeypatch.setattr(storage, "put", lambda _file, folder: stored.append(folder))
    assert refused(upload(as_user(), b"x" * 11), "10 bytes")
    assert stored == []


def test_many_uploads_at_once_are_not_more_than_one_may_have(
    as_user: AsUser, again: Again, allow: Callable[..., None]
) -> None:
    allow(MEMBER_FILES=3)
    member = as_user()

    def send(client: CheckedClient) -> int:
        return upload(client, b"x").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, [again(member) for _ in range(8)]))
    assert sorted(statuses) == [201] * 3 + [409] * 5
    assert member.get(URL).get_json()["total"] == 3
