"""Idempotency keys: a POST that is repeated has one effect and one answer, whoever repeats it, and wherever."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from app import create_app
from app.core import clock
from app.core.caller import Caller
from app.core.errors import Conflict, Forbidden
from app.core.http import idempotency
from app.core.http.idempotency import IdempotencyKey
from app.extensions import db
from app.todos import service as todos
from app.todos.models import Todo
from app.users.models import User
from tests import test_running
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, Counter, dispose, new_client, use_token
from tests.contract.resources import KNOWN, sent_to
from tests.contract.routes import ROUTES, Route, names
from tests.contract.test_dry_run import everything

Json = dict[str, Any]

URL = "/api/v1/todos"
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
KEPT = ("Location", "ETag", "Content-Type")
TAKING = [route for route in ROUTES if route.contract.takes_idempotency_key(route.method, route.rule)]
POSTS = "/api/v1/posts"
POST = {"title": "t", "content": "c"}


def rows(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def signed_in_as(app: Flask, member: CheckedClient) -> CheckedClient:
    """Return a client of its own, for a thread, with the member's token."""
    client = new_client(app)
    use_token(client, member.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
    return client


def test_every_post_below_the_api_but_sign_up_takes_a_key() -> None:
    below = {route.rule for route in ROUTES if route.method == "POST" and route.rule.startswith("/api/v1/")}
    assert {route.rule for route in TAKING} == below - {"/api/v1/users"}


@pytest.mark.parametrize("route", [route for route in TAKING if route in KNOWN], ids=names)
def test_a_repeat_has_the_same_answer_and_no_second_effect(app: Flask, owner: CheckedClient, route: Route) -> None:
    before = everything(app)
    first = route.call(owner, **sent_to(route), headers=KEY)
    after = everything(app)
    repeats = [route.call(owner, **sent_to(route), headers=KEY) for _ in range(2)]
    assert before != after == everything(app)
    assert (first.status_code, "Idempotent-Replayed" in first.headers) == (route.contract.status, False)
    for repeat in repeats:
        assert (repeat.status_code, repeat.data) == (first.status_code, first.data)
        assert [repeat.headers.get(name) for name in KEPT] == [first.headers.get(name) for name in KEPT]
        assert repeat.headers["Idempotent-Replayed"] == "true"
        assert repeat.headers["X-Request-ID"] != first.headers["X-Request-ID"]


def test_a_repeat_answers_as_then_whatever_has_become_of_it(as_user: AsUser) -> None:
    member = as_user()
    first = member.post(URL, json={"task": "\u00d6l \U0001f34b"}, headers=KEY)
    member.patch(first.headers["Location"], json={"done": True})
    assert member.post(URL, json={"task": "\u00d6l \U0001f34b"}, headers=KEY).data == first.data
    member.delete(first.headers["Location"])
    assert member.post(URL, json={"task": "\u00d6l \U0001f34b"}, headers=KEY).data == first.data
    assert member.get(URL).get_json()["total"] == 0


SAME = [
    b'{"task": "A\xc3\xa4", "done": false}',
    b'{"done":false,"task":"A\xc3\xa4"}',
    b'\n{ "done" : false ,\t"task": "\\u0041\\u00e4" }\r\n',
]
OTHER: list[Json] = [
    {"data": b'{"task": "A\xc3\xa4", "done": true}'},
    {"data": b'{"task": "A\xc3\xa4"}'},
    {"data": b'{"task": "a\xc3\xa4", "done": false}'},
    {"data": b'{"task": "A\xc3\xa4 ", "done": false}'},
    {"data": b'{"task": "Aa\xcc\x88", "done": false}'},
    {"data": SAME[0], "query_string": "dry_run=false"},
]


@pytest.mark.parametrize("body", SAME)
def test_bodies_that_are_equal_as_json_are_the_same_request(as_user: AsUser, body: bytes) -> None:
    member = as_user()
    first = member.post(URL, data=SAME[0], content_type="application/json", headers=KEY)
    repeat = member.post(URL, data=body, content_type="application/json; charset=utf-8", headers=KEY)
    assert (repeat.status_code, repeat.data, "Idempotent-Replayed" in repeat.headers) == (201, first.data, True)


@pytest.mark.parametrize("sent", OTHER, ids=str)
def test_the_same_key_with_another_request_is_422_and_does_nothing(as_user: AsUser, sent: Json) -> None:
    member = as_user()
    first = member.post(URL, data=SAME[0], content_type="application/json", headers=KEY)
    for _ in range(2):
        answer = member.post(URL, content_type="application/json", headers=KEY, **sent)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_mismatch")
    assert member.post(URL, data=SAME[0], content_type="application/json", headers=KEY).data == first.data
    assert member.get(URL).get_json()["total"] == 1


def test_a_key_is_the_callers_own(as_user: AsUser) -> None:
    one, other = as_user(), as_user()
    assert one.post(URL, json={"task": "mine"}, headers=KEY).status_code == 201
    answer = other.post(URL, json={"task": "another"}, headers=KEY)
    assert (answer.status_code, answer.get_json()["task"]) == (201, "another")
    assert "Idempotent-Replayed" not in other.post(POSTS, json=POST, headers=KEY).headers


def test_a_key_is_of_one_path_in_whichever_spelling(as_user: AsUser) -> None:
    member = as_user()
    first = member.post(URL, json={"task": "x"}, headers=KEY)
    post = member.post(POSTS, json=POST, headers=KEY)
    assert (post.status_code, "Idempotent-Replayed" in post.headers) == (201, False)
    assert member.post(f"{URL}/", json={"task": "x"}, headers=KEY).data == first.data


def test_a_key_in_another_case_is_another_key(as_user: AsUser) -> None:
    member = as_user()
    ids = {member.post(URL, json={"task": "x"}, headers={"Idempotency-Key": key}).get_json()["id"] for key in "aAbB"}
    assert len(ids) == 4


def test_a_key_is_of_the_post_alone(as_user: AsUser) -> None:
    member = as_user()
    todo = member.post(URL, json={"task": "x"}, headers=KEY).headers["Location"]
    for method, body in (("PUT", {"task": "y"}), ("PATCH", {"task": "z"})):
        answer = member.open(todo, method=method, json=body, headers=KEY)
        assert (answer.status_code, answer.get_json()["task"]) == (200, body["task"])
    assert member.delete(todo, headers=KEY).status_code == 204
    assert member.get(URL, headers=KEY).get_json()["total"] == 0


@pytest.mark.parametrize(
    ("later", "replayed"),
    [(timedelta(hours=24, microseconds=-1), True), (timedelta(hours=24), False), (timedelta(days=9), False)],
)
@pytest.mark.parametrize("task", ["x", "another"])
def test_a_key_lives_for_24_hours(
    monkeypatch: pytest.MonkeyPatch, as_user: AsUser, later: timedelta, replayed: bool, task: str
) -> None:
    member = as_user()
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    first = member.post(URL, json={"task": "x"}, headers=KEY)
    monkeypatch.setattr(clock, "now", lambda: moment + later)
    answer = member.post(URL, json={"task": task}, headers=KEY)
    if replayed and task == "x":
        assert (answer.data, answer.headers["Idempotent-Replayed"]) == (first.data, "true")
    elif replayed:
        assert answer.status_code == 422
    else:
        assert (answer.status_code, answer.get_json()["task"]) == (201, task)
        assert answer.headers["Location"] != first.headers["Location"]
        assert member.post(URL, json={"task": task}, headers=KEY).data == answer.data


REFUSED: list[tuple[int, Json]] = [
    (400, {"json": {"task": ""}}),
    (400, {"json": {"task": "x", "colour": 1}}),
    (400, {"data": b"{", "content_type": "application/json"}),
    (400, {"json": {"task": "x"}, "query_string": "colour=red"}),
    (401, {"json": {"task": "x"}, "headers": {**KEY, "Authorization": "Bearer x"}}),
    (415, {"data": b"{}", "content_type": "text/plain"}),
]


@pytest.mark.parametrize(("status", "sent"), REFUSED)
def test_a_refused_request_does_not_use_its_key(app: Flask, as_user: AsUser, status: int, sent: Json) -> None:
    member = as_user()
    assert member.post(URL, **{"headers": KEY, **sent}).status_code == status
    assert rows(app, IdempotencyKey) == 0
    answer = member.post(URL, json={"task": "good"}, headers=KEY)
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)


def test_a_403_or_a_500_from_within_does_not_use_the_key(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = as_user()
    for error, status in ((Forbidden(), 403), (RuntimeError("a bug"), 500)):
        with monkeypatch.context() as patch:
            patch.setattr(todos, "create_todo", writing_and_raising(error))
            assert member.post(URL, json={"task": "x"}, headers=KEY).status_code == status
    assert (rows(app, IdempotencyKey), rows(app, Todo)) == (0, 0)
    assert member.post(URL, json={"task": "x"}, headers=KEY).status_code == 201


def writing_and_raising(error: Exception) -> Callable[..., Any]:
    def create(caller: Caller, **fields: Any) -> Any:
        db.session.execute(insert(Todo).values(user_id=caller.member_id, **fields))
        db.session.add(Todo(user_id=caller.member_id, task="in the session"))
        db.session.flush()
        raise error

    return create


def breaking_a_constraint(caller: Caller, **fields: Any) -> Any:
    db.session.execute(insert(Todo).values(user_id=caller.member_id, **fields))
    taken = "member1@example.com"
    db.session.execute(insert(User).values(name="Another", email=taken, email_key=taken))


CONFLICT = Conflict("Too little left.", code="insufficient_funds", errors={"amount": ["Is too much.", "Really."]})
REFUSALS = {"raised": writing_and_raising(CONFLICT), "a broken constraint": breaking_a_constraint}


@pytest.mark.parametrize("refuse", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_a_409_is_kept_and_its_effect_is_not(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., Any], accept: str
) -> None:
    member = as_user()
    with monkeypatch.context() as patch:
        patch.setattr(todos, "create_todo", refuse)
        refused = member.post(URL, json={"task": "x"}, headers=KEY)
    assert (refused.status_code, rows(app, Todo)) == (409, 0)
    # It would succeed now; but this request has failed, and stays failed.
    repeat = member.post(URL, json={"task": "x"}, headers={**KEY, "Accept": accept, "X-Request-ID": "of-the-repeat"})
    assert (repeat.status_code, repeat.headers.get("Idempotent-Replayed")) == (409, "true")
    told, again = refused.get_json(), repeat.get_json()
    assert (again["code"], again.get("errors")) == (told["code"], told.get("errors"))
    assert again.get("detail", again.get("message")) == told["message"]
    assert again["request_id"] == "of-the-repeat" != told["request_id"]
    assert (rows(app, Todo), rows(app, IdempotencyKey), rows(app, User)) == (0, 1, 1)
    assert member.post(URL, json={"task": "other"}, headers=KEY).status_code == 422
    assert member.post(URL, json={"task": "x"}).status_code == 201


@pytest.mark.parametrize("route", [route for route in TAKING if route in KNOWN], ids=names)
def test_a_key_that_is_empty_too_long_or_not_printable_is_400(app: Flask, owner: CheckedClient, route: Route) -> None:
    before = everything(app)
    for key in ("", "x" * 256, "caf\xe9", "tab\there", "\x7f", "a\x01"):
        answer = route.call(owner, **sent_to(route), environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})
        assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["Idempotency-Key"])
    assert everything(app) == before


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "~!\"'\\;--%_", "\U0001f34b".encode("unicode_escape").decode()])
def test_a_key_is_any_printable_text(as_user: AsUser, key: str) -> None:
    member = as_user()
    answers = [member.post(URL, json={"task": "x"}, headers={"Idempotency-Key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["a-key", "", "x" * 256])
def test_signing_up_and_signing_in_take_no_key(app: Flask, client: CheckedClient, key: str) -> None:
    account = {"email": "a@example.com", "name": "Name", "password": PASSWORD}
    given = {"HTTP_IDEMPOTENCY_KEY": key}
    statuses = [client.post("/api/v1/users", json=account, environ_overrides=given).status_code for _ in range(2)]
    assert statuses == [201, 409]
    credentials = {name: account[name] for name in ("email", "password")}
    tokens = [client.post("/auth/login", json=credentials, environ_overrides=given).get_json() for _ in range(2)]
    assert tokens[0]["refresh_token"] != tokens[1]["refresh_token"]
    assert rows(app, IdempotencyKey) == 0


def test_a_repeat_needs_the_same_rights_as_the_first(as_user: AsUser) -> None:
    member = as_user()
    member.post(URL, json={"task": "x"}, headers=KEY)
    assert member.post("/auth/logout").status_code == 200
    assert member.post(URL, json={"task": "x"}, headers=KEY).status_code == 401


def test_32_repeats_at_once_have_one_effect_and_one_answer(app: Flask, as_user: AsUser) -> None:
    member = as_user()
    start = Barrier(32)

    def send(_number: int) -> tuple[int, bytes, str | None]:
        client = signed_in_as(app, member)
        start.wait(30)
        answer = client.post(URL, json={"task": "once"}, headers=KEY)
        return answer.status_code, answer.data, answer.headers.get("Idempotent-Replayed")

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(send, range(32)))
    assert {status for status, _, _ in answers} == {201}
    assert len({body for _, body, _ in answers}) == 1
    assert [replayed for _, _, replayed in answers].count(None) == 1
    assert (rows(app, Todo), rows(app, IdempotencyKey)) == (1, 1)


def test_32_repeats_at_once_of_what_is_refused_are_refused_alike(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = as_user()
    start = Barrier(32)
    called: list[None] = []

    def refuse(*_args: Any, **_fields: Any) -> Any:
        called.append(None)
        raise Conflict(f"Refused {len(called)}.", code="out_of_stock")

    def send(_number: int) -> tuple[int, str]:
        client = signed_in_as(app, member)
        start.wait(30)
        answer = client.post(URL, json={"task": "once"}, headers=KEY)
        return answer.status_code, answer.get_json()["message"]

    monkeypatch.setattr(todos, "create_todo", refuse)
    with ThreadPoolExecutor(32) as pool:
        answers = set(pool.map(send, range(32)))
    assert [status for status, _ in answers] == [409]  # One answer, however often it was tried and undone.
    assert rows(app, IdempotencyKey) == 1


@pytest.fixture
def impatient(app: Flask) -> Iterator[Flask]:
    """The same service on the same database, waiting for a lock for one second."""
    url = app.config["DATABASE_URL"]
    impatient_app = create_app("testing", {"DATABASE_URL": url, "LOCK_TIMEOUT": 1})
    impatient_app.test_client_class = CheckedClient
    yield impatient_app
    dispose(impatient_app)


def test_a_repeat_that_waited_in_vain_for_the_first_is_told_so_and_may_come_again(
    impatient: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = as_user()
    under_way, go_on = Event(), Event()
    keep = idempotency._keep

    def keep_slowly(*answer: Any) -> bool:
        is_free = keep(*answer)
        under_way.set()
        go_on.wait(30)
        return is_free

    monkeypatch.setattr(idempotency, "_keep", keep_slowly)
    with ThreadPoolExecutor(1) as pool:
        client = signed_in_as(impatient, member)
        first = pool.submit(lambda: client.post(URL, json={"task": "once"}, headers=KEY))
        try:
            under_way.wait(30)
            early = signed_in_as(impatient, member).post(URL, json={"task": "once"}, headers=KEY)
        finally:
            go_on.set()
    assert first.result().status_code == 201
    repeat = member.post(URL, json={"task": "once"}, headers=KEY)
    assert (repeat.data, repeat.headers["Idempotent-Replayed"]) == (first.result().data, "true")
    assert member.get(URL).get_json()["total"] == 1
    assert early.headers["Retry-After"] == "1"
    is_sqlite = member.application.config["DATABASE_URL"].startswith("sqlite")  # where whoever writes is waited for
    told = (503, "unavailable") if is_sqlite else (409, "idempotency_in_progress")
    assert (early.status_code, early.get_json()["code"]) == told


@pytest.mark.parametrize("pgcode", ["55P03", "57014"], ids=["lock_not_available", "query_canceled"])
def test_a_repeat_has_its_answer_though_what_it_would_do_cannot_be_done_now(
    as_user: AsUser, monkeypatch: pytest.MonkeyPatch, pgcode: str
) -> None:
    member = as_user()
    first = member.post(URL, json={"task": "once"}, headers=KEY)

    def wait_in_vain(_caller: Caller, **_fields: Any) -> Any:
        error = Exception("waited for too long")
        error.pgcode = pgcode  # type: ignore[attr-defined]
        raise OperationalError("INSERT", None, error)

    monkeypatch.setattr(todos, "create_todo", wait_in_vain)
    repeat = member.post(URL, json={"task": "once"}, headers=KEY)
    assert (repeat.status_code, repeat.data, repeat.headers["Idempotent-Replayed"]) == (201, first.data, "true")


def test_the_stored_answers_are_erased_with_the_member(app: Flask, as_user: AsUser) -> None:
    member, other = as_user(), as_user()
    for client in (member, other):
        client.post(URL, json={"task": "a secret"}, headers=KEY)
    assert member.delete(f"/api/v1/users/{member.user_id}").status_code == 204
    with app.app_context():
        assert list(db.session.scalars(select(IdempotencyKey.user_id))) == [other.user_id]


def test_a_key_costs_nothing_where_none_is_sent(as_user: AsUser, count_queries: Counter) -> None:
    member = as_user()

    def cost(**headers: str) -> int:
        with count_queries() as statements:
            assert member.post(URL, json={"task": "x"}, headers=headers).status_code == 201
        return len(statements)

    assert cost() == 2  # the caller, and the row
    assert cost(**KEY) == 3  # also the key, with the answer
    assert cost(**KEY) == 4  # the key is taken, so the row is undone, and the answer read


def test_two_workers_share_the_keys(project: Path, tmp_path: Path, database_url: str) -> None:
    """Over HTTP, on a real server with two processes."""
    checkouts = test_running.checkout.__wrapped__(project, tmp_path, database_url)  # type: ignore[attr-defined]
    checkout = next(checkouts)
    try:
        checkout.run("flask", "prepare")
        process = checkout.serve(WEB_CONCURRENCY="2")
        try:
            check_two_workers(checkout.base)
        finally:
            checkout.stop(process)
    finally:
        next(checkouts, None)


def check_two_workers(base: str) -> None:
    def send(path: str, body: Json, **headers: str) -> tuple[int, Json, bool]:
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(base + path, data, {**kind, **headers})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer), "Idempotent-Replayed" in answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), False

    credentials = {"email": "member@example.com", "password": "Agora-demo-1"}
    token = send("/auth/login", credentials)[1]["access_token"]
    given = {**KEY, "Authorization": f"Bearer {token}"}
    start = Barrier(32)

    def repeat(_number: int) -> tuple[int, Json, bool]:
        start.wait(30)
        return send(URL, {"task": "once"}, **given)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(repeat, range(32)))
    assert {(status, todo["id"]) for status, todo, _ in answers} == {(201, answers[0][1]["id"])}
    assert [replayed for _, _, replayed in answers].count(False) == 1
    assert send(URL, {"task": "twice"}, **given)[0] == 422
