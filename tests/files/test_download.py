"""Downloading and deleting: whole, in part, not again, and only by those who may."""

import pytest
from werkzeug.test import TestResponse

from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.files.test_upload import URL, upload

CONTENT = bytes(range(256)) * 8000  # more than is read at once


@pytest.fixture
def owner(as_user: AsUser) -> CheckedClient:
    member = as_user()
    assert upload(member, CONTENT, "\u00c4pfel.bin").status_code == 201
    return member


def part(client: CheckedClient, asked: str, **headers: str) -> TestResponse:
    return client.get(f"{URL}/1/content", headers={"Range": asked, **headers})


def test_a_file_is_its_owners_alone(owner: CheckedClient, client: CheckedClient, as_user: AsUser) -> None:
    for stranger in (client, as_user(), as_user("admin")):
        assert stranger.get(f"{URL}/1/content").status_code == 404
        assert stranger.get(f"{URL}/1/thumbnail").status_code == 404
    for method in ("GET", "DELETE"):
        assert as_user("admin").open(f"{URL}/1", method=method).status_code == 404
    assert as_user().get(URL).get_json()["total"] == 0
    assert owner.get(f"{URL}/1/content").headers["Cache-Control"] == "private, no-cache"


def test_the_whole_comes_with_its_size_tag_and_name(owner: CheckedClient) -> None:
    got, head = owner.get(f"{URL}/1/content"), owner.head(f"{URL}/1/content")
    assert (got.status_code, got.data) == (200, CONTENT)
    assert head.data == b""
    for answer in (got, head):
        assert answer.content_length == len(CONTENT)
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"]
    named = got.headers["Content-Disposition"]
    assert named == "attachment; filename=Apfel.bin; filename*=UTF-8''%C3%84pfel.bin"


def test_who_has_it_already_gets_304(owner: CheckedClient) -> None:
    tag = owner.get(f"{URL}/1/content").headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = owner.get(f"{URL}/1/content", headers={"If-None-Match": known, "Range": "bytes=0-1"})
        assert (answer.status_code, answer.data) == (304, b"")
    assert owner.get(f"{URL}/1/content", headers={"If-None-Match": '"other"'}).status_code == 200


SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-70000", 5, 70_000),
        ("bytes=1500000-", 1_500_000, SIZE - 1),
        (f"bytes=10-{SIZE + 5}", 10, SIZE - 1),
        ("bytes=-10", SIZE - 10, SIZE - 1),
        (f"bytes=-{SIZE + 1}", 0, SIZE - 1),
    ],
)
def test_a_part_is_given_as_asked_for(owner: CheckedClient, asked: str, first: int, last: int) -> None:
    answer = part(owner, asked)
    assert (answer.status_code, answer.data) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.content_length == last + 1 - first


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 9}", "bytes=-0"])
def test_a_part_that_is_not_there_is_416(owner: CheckedClient, asked: str) -> None:
    answer = part(owner, asked)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize(
    "asked", ["bytes=5-4", "bytes=0-1,3-4", "items=0-1", "bytes", "bytes=", "bytes=-", "bytes=\u0661-", "x" * 5000]
)
def test_what_is_no_single_range_gives_the_whole(owner: CheckedClient, asked: str) -> None:
    assert part(owner, asked.encode().decode("latin-1")).status_code == 200


def test_a_part_of_another_version_is_the_whole(owner: CheckedClient) -> None:
    tag = owner.head(f"{URL}/1/content").headers["ETag"]
    assert part(owner, "bytes=0-1", **{"If-Range": tag}).status_code == 206
    assert part(owner, "bytes=0-1", **{"If-Range": '"other"'}).status_code == 200


def test_a_deleted_file_is_gone(owner: CheckedClient) -> None:
    assert owner.delete(f"{URL}/1").status_code == 204
    for url in (f"{URL}/1", f"{URL}/1/content"):
        assert owner.get(url).status_code == 404
    assert owner.delete(f"{URL}/1").status_code == 404


def test_files_are_erased_with_their_owner(owner: CheckedClient, as_user: AsUser) -> None:
    assert owner.delete(f"/api/v1/users/{owner.user_id}").status_code == 204
    assert as_user("admin").get(f"{URL}/1/content").status_code == 404


def test_the_same_bytes_twice_are_two_files(owner: CheckedClient) -> None:
    assert upload(owner, CONTENT, "again.bin").get_json()["id"] == 2
    owner.delete(f"{URL}/1")
    assert owner.get(f"{URL}/2/content").data == CONTENT
