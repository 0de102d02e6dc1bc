"""Conditional requests: strong tags, 304, and a 412 that is decided together with the write."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from app.core import clock
from tests.client import CheckedClient
from tests.conftest import AsUser, Counter, new_client, use_token
from tests.contract.resources import RESOURCES, Resource, posted

Json = dict[str, Any]

STRONG = re.compile(r'"[^"]+"')
OTHER = '"0123456789abcdef0123456789abcdef"'
CHANGED = [one for one in RESOURCES if one.make is posted and one.changes and not one.after]
WRITES: list[tuple[str, Json]] = [("PUT", {"json": {"task": "z"}}), ("PATCH", {"json": {"task": "z"}}), ("DELETE", {})]


def tag_of(client: CheckedClient, url: str) -> str:
    return client.get(url).headers["ETag"]


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    """A member with the todo and the post 1."""
    member = as_user()
    for url, body in (("/api/v1/todos", {"task": "x"}), ("/api/v1/posts", {"title": "t", "content": "c"})):
        assert member.post(url, json=body).get_json()["id"] == 1
    return member


@pytest.mark.parametrize("resource", CHANGED, ids=lambda one: one.url)
def test_the_tag_is_the_same_from_every_method_and_another_after_each_change(
    monkeypatch: pytest.MonkeyPatch, as_user: AsUser, resource: Resource
) -> None:
    member = as_user()
    standing = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: standing)
    made = member.post(resource.url, json=resource.new)
    location = made.headers["Location"]
    tags = [made.headers["ETag"]]

    def read() -> None:
        assert tag_of(member, location) == member.head(location).headers["ETag"] == tags[-1]

    read()
    for change in resource.changes:
        tags.append(member.patch(location, json=change).headers["ETag"])
        read()
        assert member.patch(location, json=change).headers["ETag"] == tags[-1]
    tags.append(member.put(location, json=resource.body("PUT <id>")).headers["ETag"])
    read()
    assert len(set(tags)) == len(tags)
    assert all(STRONG.fullmatch(tag) for tag in tags)


def test_an_account_has_the_same_tag_from_every_method_too(as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    url = f"/api/v1/users/{member.user_id}"
    tags = [tag_of(member, url)]
    for change in ({"name": "Another"}, {"notify_by_email": False}, {"notify_by_email": True}):
        tags.append(member.patch(url, json=change).headers["ETag"])
        assert tags[-1] == tag_of(member, url) == tag_of(admin, url) == tag_of(member, "/auth/me")
    tags.append(member.put(url, json={"name": "Put"}).headers["ETag"])
    assert tags[-1] == tag_of(member, url) == member.head(url).headers["ETag"]
    tags.append(admin.patch(url, json={"role": "moderator"}).headers["ETag"])
    assert tags[-1] == tag_of(member, url)
    assert len(set(tags)) == len(tags)


def test_signing_up_gives_the_tag_that_the_new_member_reads(client: CheckedClient) -> None:
    account = {"email": "new@example.com", "name": "New", "password": "Correct-horse-1"}
    made = client.post("/api/v1/users", json=account)
    token = client.post("/auth/login", json={name: account[name] for name in ("email", "password")}).get_json()
    use_token(client, token["access_token"])
    assert tag_of(client, made.headers["Location"]) == made.headers["ETag"]


def test_callers_who_see_another_representation_get_another_tag(client: CheckedClient, as_user: AsUser) -> None:
    member, other = as_user(), as_user()
    url = f"/api/v1/users/{member.user_id}"
    own, public = tag_of(member, url), tag_of(client, url)
    assert own != public == tag_of(other, url)
    assert client.get(url, headers={"If-None-Match": own}).status_code == 200


def test_the_tag_differs_when_what_is_shown_of_another_resource_has_changed(member: CheckedClient) -> None:
    before = tag_of(member, "/api/v1/posts/1")
    member.patch("/api/v1/users/1", json={"name": "Another name"})
    answer = member.get("/api/v1/posts/1", headers={"If-None-Match": before})
    assert (answer.status_code, answer.get_json()["author"]) == (200, "Another name")
    assert answer.headers["ETag"] != before


NAMING: dict[str, Callable[[str], str]] = {
    "the tag": str,
    "a weak one": lambda tag: f"W/{tag}",
    "any": lambda _: "*",
    "a list": lambda tag: f"{OTHER}, {tag}",
    "a list without spaces": lambda tag: f"{OTHER},W/{tag},{OTHER}",
}
NOT_NAMING: dict[str, Callable[[str], str]] = {
    "another": lambda _: OTHER,
    "a weak other": lambda _: f"W/{OTHER}",
    "others": lambda _: f"{OTHER}, W/{OTHER}",
    "half of it": lambda tag: f'{tag[:9]}"',
    "nothing": lambda _: '""',
    "a star in quotes": lambda _: '"*"',
    "nothing at all": lambda _: "",
}
READABLE = ("/api/v1/todos/1", "/api/v1/posts/1", "/api/v1/users/1", "/auth/me")


@pytest.mark.parametrize("url", READABLE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("naming", NAMING.values(), ids=NAMING)
def test_who_has_it_already_gets_304(
    member: CheckedClient, url: str, method: str, naming: Callable[[str], str]
) -> None:
    tag = tag_of(member, url)
    answer = member.open(url, method=method, headers={"If-None-Match": naming(tag)})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= set(answer.vary)
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("naming", NOT_NAMING.values(), ids=NOT_NAMING)
def test_who_has_another_one_gets_the_whole(member: CheckedClient, naming: Callable[[str], str]) -> None:
    tag = tag_of(member, "/api/v1/todos/1")
    assert member.get("/api/v1/todos/1", headers={"If-None-Match": naming(tag)}).get_json()["task"] == "x"


def test_304_is_not_said_of_what_is_not_there_or_not_to_be_seen(member: CheckedClient, as_user: AsUser) -> None:
    any_tag = {"If-None-Match": "*"}
    assert member.get("/api/v1/todos/7", headers=any_tag).status_code == 404
    assert as_user().get("/api/v1/todos/1", headers=any_tag).status_code == 404
    assert member.get("/api/v1/todos/1?x=1", headers=any_tag).status_code == 400
    use_token(member, None)
    assert member.get("/api/v1/todos/1", headers=any_tag).status_code == 401


@pytest.mark.parametrize(("method", "sent"), WRITES)
@pytest.mark.parametrize("naming", NAMING.values(), ids=NAMING)
def test_a_write_to_what_the_client_has_seen_is_done(
    member: CheckedClient, method: str, sent: Json, naming: Callable[[str], str]
) -> None:
    match = {"If-Match": naming(tag_of(member, "/api/v1/todos/1"))}
    answer = member.open("/api/v1/todos/1", method=method, headers=match, **sent)
    assert answer.status_code == (204 if method == "DELETE" else 200)
    left = member.get("/api/v1/todos/1")
    assert (left.status_code == 404) if method == "DELETE" else (left.get_json()["task"] == "z")


@pytest.mark.parametrize(("method", "sent"), WRITES)
@pytest.mark.parametrize("naming", NOT_NAMING.values(), ids=NOT_NAMING)
def test_a_write_to_anything_else_is_412_and_leaves_all_as_it_is(
    member: CheckedClient, method: str, sent: Json, naming: Callable[[str], str]
) -> None:
    before = member.get("/api/v1/todos/1")
    match = {"If-Match": naming(before.headers["ETag"])}
    answer = member.open("/api/v1/todos/1", method=method, headers=match, **sent)
    assert (answer.status_code, answer.get_json()["code"]) == (412, "precondition_failed")
    after = member.get("/api/v1/todos/1")
    assert (after.get_json(), after.headers["ETag"]) == (before.get_json(), before.headers["ETag"])


@pytest.mark.parametrize(("method", "sent"), WRITES)
def test_a_tag_is_spent_by_a_change(member: CheckedClient, method: str, sent: Json) -> None:
    match = {"If-Match": tag_of(member, "/api/v1/todos/1")}
    assert member.patch("/api/v1/todos/1", json={"done": True}, headers=match).status_code == 200
    assert member.open("/api/v1/todos/1", method=method, headers=match, **sent).status_code == 412


@pytest.mark.parametrize(
    ("method", "url", "sent", "status"),
    [
        ("PUT", "todos/1", {"json": {"task": "z"}}, 404),
        ("PATCH", "todos/1", {"json": {}}, 404),
        ("DELETE", "todos/1", {}, 404),
        ("DELETE", "todos/7", {}, 404),
        ("PUT", "posts/1", {"json": {"title": "t", "content": "c"}}, 403),
        ("PATCH", "posts/1", {"json": {}}, 403),
        ("DELETE", "posts/1", {}, 403),
        ("PATCH", "posts/7", {"json": {}}, 404),
        ("PUT", "users/1", {"json": {"name": "Taken over"}}, 403),
        ("DELETE", "users/1", {}, 403),
        ("DELETE", "users/7", {}, 404),
        ("PATCH", "users/2", {"json": {"role": "admin"}}, 403),
        ("PATCH", "posts/2", {"json": {"colour": 1}}, 400),
        ("PATCH", "posts/2", {"data": b"{", "content_type": "application/json"}, 400),
    ],
)
@pytest.mark.parametrize("match", [OTHER, "*"])
def test_who_may_not_is_told_that_before_412(
    member: CheckedClient, as_user: AsUser, method: str, url: str, sent: Json, status: int, match: str
) -> None:
    stranger = as_user()
    assert stranger.post("/api/v1/posts", json={"title": "t", "content": "c"}).get_json()["id"] == stranger.user_id == 2
    answer = stranger.open(f"/api/v1/{url}", method=method, headers={"If-Match": match}, **sent)
    assert answer.status_code == status


def test_412_comes_before_a_409(as_user: AsUser) -> None:
    admin, member = as_user("admin"), as_user()
    seen = {"If-Match": OTHER}
    for url, change in (("/api/v1/users/1", {"role": "member"}), ("/api/v1/users/2", {"email": admin.email})):
        assert admin.patch(url, json=change).status_code == 409
        assert admin.patch(url, json=change, headers=seen).status_code == 412
    assert admin.delete("/api/v1/users/1", headers=seen).status_code == 412
    assert tag_of(member, "/api/v1/users/1")


def test_an_account_is_changed_and_deleted_as_seen_only(as_user: AsUser) -> None:
    member = as_user()
    url = f"/api/v1/users/{member.user_id}"
    seen = {"If-Match": tag_of(member, url)}
    changed = member.put(url, json={"name": "New name"}, headers=seen)
    assert changed.status_code == 200
    assert member.delete(url, headers=seen).status_code == 412
    assert member.delete(url, headers={"If-Match": changed.headers["ETag"]}).status_code == 204


def test_lists_and_what_no_client_changes_have_no_tag_to_match(member: CheckedClient) -> None:
    assert "ETag" not in member.get("/api/v1/todos").headers
    answer = member.post("/api/v1/todos", json={"task": "x"}, headers={"If-Match": OTHER})
    assert answer.status_code == 201


@pytest.mark.parametrize(("method", "sent"), WRITES)
def test_of_16_clients_with_one_tag_exactly_one_wins(
    app: Flask, member: CheckedClient, method: str, sent: Json
) -> None:
    tag = tag_of(member, "/api/v1/todos/1")
    start = Barrier(16)

    def write(number: int) -> int:
        client = new_client(app)
        use_token(client, member.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        body = {"json": {"task": f"by {number}"}} if sent else {}
        start.wait(30)
        return client.open("/api/v1/todos/1", method=method, headers={"If-Match": tag}, **body).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(write, range(16)))
    won = 204 if method == "DELETE" else 200
    assert statuses.count(won) == 1
    assert set(statuses) == {won, 404 if method == "DELETE" else 412}
    if method != "DELETE":
        assert member.get("/api/v1/todos/1").get_json()["task"] == f"by {statuses.index(won)}"


@pytest.mark.parametrize("callers", [1, 16])
def test_of_16_clients_that_change_an_account_with_one_tag_exactly_one_wins(
    app: Flask, as_user: AsUser, callers: int
) -> None:
    member = as_user()
    admins = [as_user("admin") for _ in range(callers)] if callers > 1 else [member]
    url = f"/api/v1/users/{member.user_id}"
    tag = tag_of(member, url)
    start = Barrier(16)

    def write(number: int) -> int:
        client = new_client(app)
        caller = admins[number % callers]
        use_token(client, caller.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        start.wait(30)
        return client.patch(url, json={"name": f"by {number}"}, headers={"If-Match": tag}).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(write, range(16)))
    assert (statuses.count(200), statuses.count(412)) == (1, 15)
    assert member.get(url).get_json()["name"] == f"by {statuses.index(200)}"


def test_16_changes_each_repeated_until_its_tag_is_the_present_one_all_happen(
    app: Flask, member: CheckedClient
) -> None:
    """A counter kept by clients alone, with nothing but If-Match between them."""
    assert member.patch("/api/v1/todos/1", json={"task": "0"}).status_code == 200

    def count_up(_number: int) -> None:
        client = new_client(app)
        use_token(client, member.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        status = 412
        while status == 412:
            seen = client.get("/api/v1/todos/1")
            task = str(int(seen.get_json()["task"]) + 1)
            match = {"If-Match": seen.headers["ETag"]}
            status = client.patch("/api/v1/todos/1", json={"task": task}, headers=match).status_code
        assert status == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(16)))
    assert member.get("/api/v1/todos/1").get_json()["task"] == "16"


def test_what_a_request_does_not_ask_costs_it_nothing(member: CheckedClient, count_queries: Counter) -> None:
    def cost(**headers: str) -> int:
        with count_queries() as statements:
            assert member.patch("/api/v1/todos/1", json={}, headers=headers).status_code == 200
        return len(statements)

    assert cost(**{"If-Match": tag_of(member, "/api/v1/todos/1")}) == cost() + 1
