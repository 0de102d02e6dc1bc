"""Posts: read by all, written by members, kept in order by moderators."""

from typing import Any

import pytest

from tests.client import CheckedClient
from tests.conftest import AsUser

URL = "/api/v1/posts"
NEW = {"title": "Surplus tomatoes", "content": "Come by with a basket."}


def write(author: CheckedClient, **changes: Any) -> str:
    """Write a post, and return its address."""
    answer = author.post(URL, json=NEW | changes)
    assert answer.status_code == 201
    return str(answer.headers["Location"])


def listed(reader: CheckedClient, url: str = URL) -> list[str]:
    return [f"{URL}/{post['id']}" for post in reader.get(url).get_json()["posts"]]


def posts_of(member: CheckedClient) -> str:
    return f"/api/v1/users/{member.user_id}/posts"


def hidden_post(author: CheckedClient, moderator: CheckedClient) -> str:
    url = write(author)
    assert moderator.patch(url, json={"is_hidden": True}).get_json()["is_hidden"] is True
    return url


@pytest.mark.parametrize("role", ["member", "moderator", "treasurer", "admin"])
def test_a_post_is_written_read_changed_and_deleted_by_its_author(
    client: CheckedClient, as_user: AsUser, role: str
) -> None:
    author = as_user(role, name="Ada")
    made = author.post(URL, json={"title": "  Öl  ", "content": "Zwei\r\n\tZeilen 🍋 "})
    assert made.status_code == 201
    post = made.get_json()
    assert (post["title"], post["content"]) == ("  Öl  ", "Zwei\r\n\tZeilen 🍋 ")
    assert (post["user_id"], post["author"], post["is_hidden"]) == (author.user_id, "Ada", False)
    assert post["created_at"] == post["updated_at"]
    url = made.headers["Location"]
    assert url == f"{URL}/{post['id']}"
    assert client.get(url).get_json() == author.get(url).get_json() == post

    changed = author.patch(url, json={"title": "Essig"}).get_json()
    assert changed == post | {"title": "Essig", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > post["updated_at"]
    assert client.get(url).get_json() == changed

    replaced = author.put(url, json=NEW).get_json()
    assert replaced == changed | NEW | {"updated_at": replaced["updated_at"]}

    deleted = author.delete(url)
    assert (deleted.status_code, deleted.data) == (204, b"")
    for method, sent in (("get", {}), ("put", {"json": NEW}), ("patch", {"json": NEW}), ("delete", {})):
        assert getattr(author, method)(url, **sent).status_code == 404
    assert listed(client) == []


def test_a_change_that_changes_nothing_leaves_the_moment_of_the_last_change(as_user: AsUser) -> None:
    author = as_user()
    url = write(author)
    before = author.get(url).get_json()
    assert author.patch(url, json={}).get_json() == before
    assert author.put(url, json=NEW).get_json() == before


@pytest.mark.parametrize(("method", "sent"), [("put", {"json": NEW}), ("patch", {"json": NEW}), ("delete", {})])
def test_anothers_post_is_changed_and_deleted_by_moderators_only(
    client: CheckedClient, as_user: AsUser, method: str, sent: dict[str, Any]
) -> None:
    author = as_user(name="Ada")
    url = write(author, title="Mine")
    anonymous = getattr(client, method)(url, **sent)
    assert (anonymous.status_code, anonymous.headers["WWW-Authenticate"]) == (401, "Bearer")
    for role in ("member", "treasurer"):
        refused = getattr(as_user(role), method)(url, **sent)
        assert refused.status_code == 403
        assert "post:moderate" in refused.get_json()["message"]
    assert client.get(url).get_json()["title"] == "Mine"
    for role in ("moderator", "admin"):
        own = write(author, title="Mine")
        answer = getattr(as_user(role), method)(own, **sent)
        assert answer.status_code in (200, 204)
        if method != "delete":
            assert (answer.get_json()["user_id"], answer.get_json()["author"]) == (author.user_id, "Ada")


def test_writing_needs_a_signed_in_caller(client: CheckedClient) -> None:
    assert client.post(URL, json=NEW).status_code == 401
    assert client.post(URL, json={}).status_code == 401


def test_a_hidden_post_is_seen_by_its_author_and_moderators(client: CheckedClient, as_user: AsUser) -> None:
    author, moderator = as_user(), as_user("moderator")
    url, shown = hidden_post(author, moderator), write(author)
    for reader in (author, moderator, as_user("admin")):
        assert reader.get(url).get_json()["is_hidden"] is True
        assert listed(reader) == listed(reader, posts_of(author)) == [shown, url]
    for reader in (client, as_user(), as_user("treasurer")):
        assert reader.get(url).status_code == 404
        assert listed(reader) == listed(reader, posts_of(author)) == [shown]
        assert reader.get(URL).get_json()["total"] == 1
    moderator.patch(url, json={"is_hidden": False})
    assert client.get(url).status_code == 200


@pytest.mark.parametrize(
    ("method", "sent"),
    [("put", {"json": NEW}), ("patch", {"json": NEW}), ("patch", {"json": {"is_hidden": False}}), ("delete", {})],
)
def test_anothers_hidden_post_does_not_exist_for_who_may_not_see_it(
    as_user: AsUser, method: str, sent: dict[str, Any]
) -> None:
    author, moderator = as_user(), as_user("moderator")
    url = hidden_post(author, moderator)
    for role in ("member", "treasurer"):
        assert getattr(as_user(role), method)(url, **sent).status_code == 404
    assert author.get(url).get_json()["is_hidden"] is True


@pytest.mark.parametrize("is_hidden", [True, False])
@pytest.mark.parametrize("role", ["member", "treasurer"])
def test_hiding_is_for_moderators(as_user: AsUser, role: str, is_hidden: bool) -> None:
    author = as_user(role)
    url = write(author)
    body = NEW | {"is_hidden": is_hidden}
    for refused in (author.post(URL, json=body), author.put(url, json=body), author.patch(url, json=body)):
        assert refused.status_code == 403
        assert "post:moderate" in refused.get_json()["message"]
    assert author.get(URL).get_json()["total"] == 1


@pytest.mark.parametrize("role", ["moderator", "admin"])
def test_a_moderator_may_write_a_hidden_post(client: CheckedClient, as_user: AsUser, role: str) -> None:
    assert client.get(write(as_user(role), is_hidden=True)).status_code == 404


def test_an_author_edits_a_hidden_post_which_stays_hidden(client: CheckedClient, as_user: AsUser) -> None:
    author = as_user()
    url = hidden_post(author, as_user("moderator"))
    assert author.patch(url, json={"title": "Better"}).get_json()["is_hidden"] is True
    assert author.put(url, json=NEW).get_json()["is_hidden"] is True
    assert client.get(url).status_code == 404
    assert author.delete(url).status_code == 204


def test_a_post_shows_the_name_that_its_author_has_now(client: CheckedClient, as_user: AsUser) -> None:
    author = as_user(name="Ada")
    url = write(author)
    author.patch(f"/api/v1/users/{author.user_id}", json={"name": "Ada the baker"})
    assert client.get(url).get_json()["author"] == "Ada the baker"
    assert client.get(URL).get_json()["posts"][0]["author"] == "Ada the baker"


def test_posts_are_listed_the_newest_first_and_by_member(client: CheckedClient, as_user: AsUser) -> None:
    ada, ben, nobody = as_user(), as_user(), as_user()
    first, second, third = write(ada), write(ben), write(ada)
    assert listed(client) == [third, second, first]
    assert listed(client, posts_of(ada)) == [third, first]
    assert listed(client, posts_of(ben)) == [second]
    assert listed(client, posts_of(nobody)) == []
    page = client.get(posts_of(ada), query_string={"per_page": 1, "page": 2}).get_json()
    assert (page["total"], page["pages"], page["has_more"]) == (2, 2, False)
    assert [post["id"] for post in page["posts"]] == [int(first.rpartition("/")[2])]


def test_the_posts_of_a_member_who_is_not_there_are_not_found(client: CheckedClient, as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    url = write(member)
    for user_id in ("4711", "0", "x", "9223372036854775808"):
        assert client.get(f"/api/v1/users/{user_id}/posts").status_code == 404
    admin.patch(f"/api/v1/users/{member.user_id}", json={"is_active": False})
    assert client.get(posts_of(member)).status_code == 404
    assert listed(admin, posts_of(member)) == [url]


@pytest.mark.parametrize("post_id", ["4711", "0", "-1", "01", "x", "9223372036854775807", "9223372036854775808"])
def test_an_unknown_or_impossible_post_is_not_found(as_user: AsUser, post_id: str) -> None:
    admin = as_user("admin")
    for method, sent in (("get", {}), ("put", {"json": NEW}), ("patch", {"json": NEW}), ("delete", {})):
        assert getattr(admin, method)(f"{URL}/{post_id}", **sent).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \n\u00a0"}, "title"),
        ({"title": None}, "title"),
        ({"title": 5}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "🍋" * 201}, "title"),
        ({"content": ""}, "content"),
        ({"content": "\t"}, "content"),
        ({"content": None}, "content"),
        ({"content": ["x"]}, "content"),
        ({"content": "🍋" * 50_001}, "content"),
        ({"is_hidden": "true"}, "is_hidden"),
        ({"is_hidden": None}, "is_hidden"),
        ({"id": 7}, "id"),
        ({"user_id": 7}, "user_id"),
        ({"author": "Somebody else"}, "author"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"updated_at": "2026-01-01T00:00:00Z"}, "updated_at"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_fit_is_named(as_user: AsUser, changes: dict[str, Any], field: str) -> None:
    moderator = as_user("moderator")
    url = write(moderator)
    before = moderator.get(url).get_json()
    for method, target in (("post", URL), ("put", url), ("patch", url)):
        answer = getattr(moderator, method)(target, json=NEW | changes)
        assert answer.status_code == 400
        assert set(answer.get_json()["errors"]) == {field}
    assert moderator.get(URL).get_json()["posts"] == [before]


@pytest.mark.parametrize("field", ["title", "content"])
def test_title_and_content_are_needed_to_write_and_to_replace(as_user: AsUser, field: str) -> None:
    author = as_user()
    url = write(author)
    body = {key: value for key, value in NEW.items() if key != field}
    for answer in (author.post(URL, json=body), author.put(url, json=body)):
        assert (answer.status_code, set(answer.get_json()["errors"])) == (400, {field})


def test_lengths_are_counted_in_characters(as_user: AsUser) -> None:
    author = as_user()
    url = write(author, title="🍋" * 200, content="🍋" * 50_000)
    post = author.get(url).get_json()
    assert (len(post["title"]), len(post["content"])) == (200, 50_000)
    assert author.patch(url, json={"title": "🍋" * 201}).status_code == 400
