"""Todos: private to their owner."""

import pytest

from tests.client import CheckedClient
from tests.conftest import AsUser

URL = "/api/v1/todos"


def test_a_todo_is_noted_read_changed_and_deleted(as_user: AsUser) -> None:
    member = as_user()
    made = member.post(URL, json={"task": "  Öl kaufen  "})
    assert made.status_code == 201
    todo = made.get_json()
    assert (todo["task"], todo["done"]) == ("  Öl kaufen  ", False)
    assert made.headers["Location"] == f"{URL}/{todo['id']}"
    assert member.get(made.headers["Location"]).get_json() == todo

    changed = member.patch(made.headers["Location"], json={"done": True}).get_json()
    assert (changed["task"], changed["done"], changed["created_at"]) == (todo["task"], True, todo["created_at"])
    assert changed["updated_at"] > todo["updated_at"]
    assert member.get(made.headers["Location"]).get_json() == changed

    replaced = member.put(made.headers["Location"], json={"task": "Essig kaufen"}).get_json()
    assert (replaced["task"], replaced["done"]) == ("Essig kaufen", False)

    deleted = member.delete(made.headers["Location"])
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert member.get(made.headers["Location"]).status_code == 404
    assert member.delete(made.headers["Location"]).status_code == 404


def test_a_change_that_changes_nothing_leaves_the_moment_of_the_last_change(as_user: AsUser) -> None:
    member = as_user()
    todo = member.post(URL, json={"task": "Rest"}).get_json()
    assert member.patch(f"{URL}/{todo['id']}", json={"task": "Rest"}).get_json() == todo
    assert member.patch(f"{URL}/{todo['id']}", json={}).get_json() == todo


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_anothers_todo_does_not_exist_not_even_for_an_admin(as_user: AsUser, method: str) -> None:
    todo = as_user().post(URL, json={"task": "Secret"}).get_json()
    body = {} if method in ("get", "delete") else {"json": {"task": "Taken over"}}
    for role in ("member", "admin"):
        stranger = as_user(role)
        assert getattr(stranger, method)(f"{URL}/{todo['id']}", **body).status_code == 404
        assert stranger.get(URL).get_json()["todos"] == []


def test_todos_need_a_signed_in_caller(client: CheckedClient) -> None:
    assert client.get(URL).status_code == 401
    assert client.post(URL, json={"task": "x"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "task"),
        ({"task": ""}, "task"),
        ({"task": " \n\t"}, "task"),
        ({"task": None}, "task"),
        ({"task": 5}, "task"),
        ({"task": ["a"]}, "task"),
        ({"task": "x" * 501}, "task"),
        ({"task": "x", "done": "true"}, "done"),
        ({"task": "x", "done": 1}, "done"),
        ({"task": "x", "done": None}, "done"),
        ({"task": "x", "id": 7}, "id"),
        ({"task": "x", "created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"task": "x", "colour": "red"}, "colour"),
        ([], "_schema"),
        ("x", "_schema"),
        (7, "_schema"),
    ],
)
def test_what_does_not_fit_is_named(as_user: AsUser, body: object, field: str) -> None:
    member = as_user()
    answer = member.post(URL, json=body)
    assert answer.status_code == 400
    assert field in answer.get_json()["errors"]
    assert member.get(URL).get_json()["total"] == 0


def test_a_task_is_counted_in_characters(as_user: AsUser) -> None:
    assert as_user().post(URL, json={"task": "🍋" * 500}).status_code == 201


def test_a_patch_takes_merge_patch_and_refuses_null_where_there_must_be_a_value(as_user: AsUser) -> None:
    member = as_user()
    todo = member.post(URL, json={"task": "x"}).get_json()
    answer = member.patch(f"{URL}/{todo['id']}", data=b'{"done": true}', content_type="application/merge-patch+json")
    assert answer.get_json()["done"] is True
    assert member.patch(f"{URL}/{todo['id']}", json={"task": None}).status_code == 400
