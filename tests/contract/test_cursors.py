"""Cursors: a list selected by key is the whole list in its order, whatever is written meanwhile."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from string import ascii_letters, digits
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert

from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.posts.models import Post
from app.todos.models import Todo
from tests.client import CheckedClient
from tests.conftest import AsUser, Counter
from tests.contract.resources import LISTS
from tests.contract.routes import Route, names
from tests.contract.test_lists import links

Json = dict[str, Any]

URL = "/api/v1/posts"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
# One character of every length in UTF-8; by UTF-16, the last would stand before the one before it.
SCRIPTS = ["Z", "a", "z", "\u00df", "\u0130", "\u03a3", "\u0416", "\u4e2d", "\uffee", "\U0001f34b"]
ROUND = re.compile(r"^(....-..-..T..:..:..)Z$")
INVALID = (400, "invalid_cursor")


@pytest.fixture
def author(app: Flask, as_user: AsUser) -> CheckedClient:
    """A member with 47 posts and todos: titles in many scripts, and several of each moment and title."""
    member = as_user()
    shuffled = random.Random(3)  # noqa: S311
    texts = [shuffled.choice(SCRIPTS) + shuffled.choice(["", " ", "x", "\U0001f34b"]) for _ in range(47)]
    made = [{"user_id": 1, "created_at": BEGINNING + timedelta(microseconds=i % 5)} for i in range(47)]
    posts = [row | {"title": text, "content": "c"} for row, text in zip(made, texts, strict=True)]
    todos = [row | {"task": text} for row, text in zip(made, texts, strict=True)]
    with app.app_context():
        unit_of_work(lambda: (db.session.execute(insert(Post), posts), db.session.execute(insert(Todo), todos)))
    return member


def walk(client: CheckedClient, url: str, name: str, between: Callable[[], object] = bool, **query: Any) -> list[Json]:
    """Return all items of a list, page by page, and do something between the pages."""
    items: list[Json] = []
    cursor: str | None = ""
    used: set[str] = set()
    while cursor is not None:
        assert cursor not in used, "the walk goes in a circle"
        used.add(cursor)
        answer = client.get(url, query_string={**query, "cursor": cursor})
        assert answer.status_code == 200
        body = answer.get_json()
        assert set(body) == {name, "per_page", "has_more", "next_cursor"}
        assert body["has_more"] is (body["next_cursor"] is not None)
        items += body[name]
        cursor = body["next_cursor"]
        between()
    return items


def in_order(items: list[Json], sort: str) -> list[Json]:
    """Sort as the contract says, in Python, whose texts compare by code point and moments of one length as text."""
    keys = sort.split(",")
    first_is_descending = keys[0].startswith("-")
    for key in reversed([*keys, "-id" if first_is_descending else "id"]):
        name = key.removeprefix("-")
        items = sorted(items, key=lambda item: item[name], reverse=key.startswith("-"))
    return items


def with_moments_of_one_length(items: list[Json]) -> list[Json]:
    return [{k: ROUND.sub("\\1.000000Z", v) if k.endswith("_at") else v for k, v in item.items()} for item in items]


SORTS = ["created_at", "-created_at", "title", "-title", "title,-created_at", "-title,created_at", "-created_at,-title"]


@pytest.mark.parametrize("sort", [*SORTS, "created_at,title,updated_at", "-updated_at,title,created_at"])
@pytest.mark.parametrize("size", [1, 7, 46, 47, 100])
def test_a_walk_gives_every_row_once_in_the_order_asked_for(author: CheckedClient, sort: str, size: int) -> None:
    selected = with_moments_of_one_length(walk(author, URL, "posts", sort=sort, per_page=size))
    by_number = author.get(URL, query_string={"sort": sort, "per_page": 100}).get_json()["posts"]
    assert selected == with_moments_of_one_length(by_number) == in_order(selected, sort)
    assert len({post["id"] for post in selected}) == 47


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_every_list_can_be_walked(owner: CheckedClient, route: Route) -> None:
    assert route.contract.listing
    name = route.contract.listing.name
    for sort in route.contract.listing.sort:
        selected = walk(owner, route.url, name, per_page=1, sort=f"-{sort}")
        assert selected == owner.get(f"{route.url}?per_page=100&sort=-{sort}").get_json()[name]
    assert selected


def test_an_empty_list_is_walked_in_one_step(as_user: AsUser) -> None:
    assert walk(as_user(), URL, "posts") == []


def test_the_links_lead_through_the_list_and_keep_the_other_parameters(author: CheckedClient) -> None:
    seen: list[Json] = []
    query = "q=%F0%9F%8D%8B&sort=-title%2Ccreated_at&fields=id%2Ctitle&per_page=2"
    url: str | None = f"{URL}?cursor=&{query}"
    while url and len(seen) < 100:
        answer = author.get(url)
        seen += answer.get_json()["posts"]
        found = links(answer.headers["Link"])
        assert found["first"] == f"{URL}?{query}&cursor="
        url = found.get("next")
    expected = author.get(f"{URL}?{query.removesuffix('2')}100").get_json()["posts"]
    assert seen == expected
    assert len(expected) > 4


def test_a_cursor_stands_in_a_url_as_it_is_and_fits_into_one_whatever_the_text(app: Flask, as_user: AsUser) -> None:
    member = as_user()
    odd = random.Random(5)  # noqa: S311
    tasks = ["".join(chr(odd.randrange(0x10000, 0x110000)) for _ in range(500)) for _ in range(3)]
    rows = [{"user_id": member.user_id, "task": task} for task in tasks]
    with app.app_context():
        unit_of_work(lambda: db.session.execute(insert(Todo), rows))
    answer = member.get("/api/v1/todos?cursor=&per_page=1&sort=task")
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", answer.get_json()["next_cursor"])
    assert len(links(answer.headers["Link"])["next"]) < 8000
    selected = walk(member, "/api/v1/todos", "todos", sort="task", per_page=1)
    assert [todo["task"] for todo in selected] == sorted(tasks)


@pytest.mark.parametrize("sort", ["title", "-created_at", "-title,created_at"])
def test_rows_written_and_deleted_meanwhile_make_it_neither_skip_nor_repeat_the_others(
    app: Flask, author: CheckedClient, sort: str
) -> None:
    there_all_the_time = author.get(URL, query_string={"sort": sort, "per_page": 100}).get_json()["posts"]
    begun, over = Event(), Event()
    other = random.Random(7)  # noqa: S311

    def rows() -> list[Json]:
        texts = [other.choice(SCRIPTS) + "x" for _ in range(20)]
        moments = [BEGINNING + timedelta(microseconds=other.randrange(-2, 8)) for _ in texts]
        return [
            {"user_id": 1, "title": text, "content": "other", "created_at": moment}
            for text, moment in zip(texts, moments, strict=True)
        ]

    def insert_and_delete_others() -> None:
        with app.app_context():
            while not over.is_set():
                unit_of_work(lambda: db.session.execute(insert(Post), rows()))
                begun.set()
                half = (Post.content == "other") & (Post.id % 2 == other.randrange(2))
                unit_of_work(lambda: db.session.execute(delete(Post).where(half)))  # noqa: B023

    writer = Thread(target=insert_and_delete_others)
    writer.start()
    try:
        begun.wait(30)
        for size in (1, 2, 3, 5):
            selected = walk(author, URL, "posts", sort=sort, per_page=size)
            assert [post for post in selected if post["content"] != "other"] == there_all_the_time
            assert len(selected) > len(there_all_the_time)
    finally:
        over.set()
        writer.join(30)


def test_what_is_deleted_behind_a_cursor_or_written_before_it_moves_nothing(author: CheckedClient) -> None:
    expected = author.get(f"{URL}?sort=title&per_page=100").get_json()["posts"]
    left = iter(expected)

    def delete_the_last_one_seen_and_write_one_before_all() -> None:
        for _ in range(2):
            gone = next(left, None)
            if gone:
                assert author.delete(f"{URL}/{gone['id']}").status_code == 204
        assert author.post(URL, json={"title": "!", "content": "c"}).status_code == 201

    assert walk(author, URL, "posts", delete_the_last_one_seen_and_write_one_before_all, sort="title", per_page=2) == (
        expected
    )


def first_cursor(client: CheckedClient, url: str = URL, **query: Any) -> str:
    cursor = client.get(url, query_string={"per_page": 2, **query, "cursor": ""}).get_json()["next_cursor"]
    assert isinstance(cursor, str)
    return cursor


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "title"},
        {"sort": "created_at"},
        {"sort": "-created_at,title"},
        {"user_id": "1"},
        {"created_at__gte": "2026-01-01T00:00:00Z"},
        {"q": "x"},
    ],
)
def test_a_cursor_is_bound_to_its_sort_and_filters(author: CheckedClient, query: dict[str, str]) -> None:
    for made_for, used_for in (({}, query), (query, {})):
        cursor = first_cursor(author, **made_for)
        assert author.get(URL, query_string={**made_for, "cursor": cursor}).status_code == 200
        answer = author.get(URL, query_string={**used_for, "cursor": cursor})
        assert (answer.status_code, answer.get_json()["code"]) == INVALID


@pytest.mark.parametrize("name", ["user_id", "user_id__ne", "created_at__gt", "q"])
def test_a_cursor_is_bound_to_the_values_of_its_filters(author: CheckedClient, name: str) -> None:
    values = {"user_id": ("1", "2"), "user_id__ne": ("7", "8"), "q": ("x", "z")}
    one, other = values.get(name, ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"))
    answer = author.get(URL, query_string={name: other, "cursor": first_cursor(author, **{name: one})})
    assert (answer.status_code, answer.get_json()["code"]) == INVALID


def test_a_cursor_is_bound_to_its_list(author: CheckedClient) -> None:
    for other in ("/api/v1/todos", "/api/v1/users/1/posts"):
        answer = author.get(other, query_string={"cursor": first_cursor(author)})
        assert (answer.status_code, answer.get_json()["code"]) == INVALID


def test_the_size_of_the_page_and_the_fields_may_change_on_the_way(author: CheckedClient) -> None:
    expected = [{"id": post["id"]} for post in author.get(f"{URL}?per_page=12").get_json()["posts"]]
    query = {"cursor": first_cursor(author), "per_page": 10, "fields": "id"}
    assert author.get(URL, query_string=query).get_json()["posts"] == expected[2:]


def test_a_cursor_in_which_any_character_was_changed_is_refused(author: CheckedClient) -> None:
    cursor = first_cursor(author)
    changed = [cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(len(cursor))]
    last = [cursor[:-1] + other for other in f"{ascii_letters}{digits}-_" if other != cursor[-1]]
    taken = [
        other
        for other in [*changed, *last, cursor[:-1], cursor + "A", cursor + "=", f" {cursor}", f"{cursor} "]
        if author.get(URL, query_string={"cursor": other}).status_code != 400
    ]
    assert taken == []


@pytest.mark.parametrize(
    "forged", ["x", "0", "null", ".", "a.b", "\u0661", " ", "W10.x", "[]", "' OR 1=1", ".eJw.x", "x" * 5000]
)
def test_a_forged_cursor_is_refused(author: CheckedClient, forged: str) -> None:
    answer = author.get(URL, query_string={"cursor": forged})
    assert (answer.status_code, answer.get_json()["code"]) == INVALID


def test_a_page_beside_a_cursor_is_refused(author: CheckedClient) -> None:
    for cursor in ("", first_cursor(author)):
        answer = author.get(URL, query_string={"cursor": cursor, "page": 1})
        assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["page"])


def test_a_walk_never_counts_and_sends_one_query_for_each_page(author: CheckedClient, count_queries: Counter) -> None:
    cursors = ["", first_cursor(author)]
    sent = set()
    for cursor in cursors:
        with count_queries() as statements:
            assert author.get(URL, query_string={"cursor": cursor}).status_code == 200
        assert not any("count(" in statement.lower() for statement in statements)
        sent.add(len(statements))
    assert sent == {2}  # the caller, and the page
