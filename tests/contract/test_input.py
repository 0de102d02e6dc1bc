"""Hostile input: never a 500, and never a row that breaks a list."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.background.dispatcher import DEFAULT_QUEUE
from app.jobs import runner
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.contract.resources import KNOWN, LISTS, sent_to
from tests.contract.routes import BODIES, ROUTES, Route, names

NOT_JSON = {
    "empty": b"",
    "not JSON": b"title=x",
    "half": b'{"a": ',
    "two": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "duplicate key": b'{"name": "ab", "name": "cd"}',
    "duplicate key inside": b'{"a": [{"b": 1, "b": 2}]}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "too great": b'{"a": 1e999}',
    "too many digits": b'{"a": ' + b"1" * 5000 + b"}",
    "NUL": b'{"a": "x\\u0000"}',
    "raw NUL": b'{"a": "x\x00"}',
    "NUL in a key": b'{"\\u0000": 1}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate in a key": b'{"\\udfff": 1}',
    "33 levels": b'{"a":' * 33 + b"1" + b"}" * 33,
    "33 lists": b"[" * 33 + b"]" * 33,
    "a hundred thousand levels": b"[" * 100_000,
}
NOT_TAKEN: dict[str, dict[str, Any]] = {
    "text": {"content_type": "text/plain"},
    "a form": {"content_type": "application/x-www-form-urlencoded"},
    "no type": {"content_type": None},
    "another charset": {"content_type": "application/json; charset=latin-1"},
    "compressed": {"content_type": "application/json", "headers": {"Content-Encoding": "gzip"}},
    "not UTF-8": {"content_type": "application/json", "data": b'{"a": "\xff"}'},
    "UTF-16": {"content_type": "application/json", "data": '{"a": 1}'.encode("utf-16")},
}
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, -(2**63) - 1, 10**400, "", " ", "\u0000", "x" * 60_000, "\u202e", "\U0010ffff",
    "'; DROP TABLE users; --", "%s%n{0}", "../../etc/passwd", [], {}, [[]], {"$gt": ""}, ["x"], {"a": {"b": None}},
    2**63 - 1, -(2**63), "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999Z",
]  # fmt: skip


ODD_TEXTS = [str(value) for value in ODD_VALUES if isinstance(value, int | str) and len(str(value)) < 400] + [
    "x" * 2_000
]
ODD_TEXTS = [
    "x" * 2_000,
]


def in_items(good: dict[str, Any], name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Yield ``good`` with ``value`` in each field of the first item of the list that it has by ``name``."""
    items = good.get(name)
    if isinstance(items, list) and items and isinstance(items[0], dict):
        for key in items[0]:
            yield good | {name: [items[0] | {key: value}, *items[1:]]}


def check_jobs(owner: CheckedClient) -> None:
    """Do what was asked for, and see that none of it has failed in a way that nobody has thought of."""
    with owner.application.app_context():
        while runner.run_next(DEFAULT_QUEUE):
            pass
    done = owner.get("/api/v1/jobs?per_page=100").get_json()["jobs"]
    assert not [job for job in done if job["error"] and job["error"]["code"] == "internal_error"]


def check_lists(client: CheckedClient) -> None:
    for route in LISTS:
        assert route.call(client).status_code in (200, 404)


@pytest.mark.parametrize("route", BODIES, ids=names)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_not_well_formed_is_400(owner: CheckedClient, route: Route, body: bytes) -> None:
    answer = route.call(owner, data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("route", BODIES, ids=names)
@pytest.mark.parametrize("sent", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_a_body_that_is_not_json_in_utf_8_is_415(owner: CheckedClient, route: Route, sent: dict[str, Any]) -> None:
    assert route.call(owner, **{"data": b"{}", **sent}).status_code == 415


@pytest.mark.parametrize("route", BODIES, ids=names)
def test_a_body_above_a_mebibyte_is_413(as_user: AsUser, route: Route) -> None:
    member = as_user()
    body = b'{"a": "' + b"x" * 1_048_576 + b'"}'
    assert route.call(member, data=body, content_type="application/json").status_code == 413
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = route.call(member, data=body, content_type="application/json", environ_overrides=chunked)
    assert answer.status_code == 413


@pytest.mark.parametrize("route", [route for route in BODIES if route in KNOWN], ids=names)
def test_odd_values_in_any_field_are_refused_or_kept_but_never_break_anything(
    owner: CheckedClient, route: Route
) -> None:
    assert route.contract.body
    good = sent_to(route)["json"]
    fields = route.contract.body().fields
    for name in [*fields, "unknown", "", "__class__", "a.b"]:
        for value in ODD_VALUES:
            for body in [good | {name: value}, *in_items(good, name, value)]:
                answer = route.call(owner, data=json.dumps(body), content_type="application/json")
                assert answer.status_code < 500, (name, value)
    check_lists(owner)
    check_jobs(owner)


@pytest.mark.parametrize("route", [route for route in ROUTES if route in KNOWN], ids=names)
def test_odd_values_of_any_parameter_are_refused_or_heeded_but_never_break_anything(
    owner: CheckedClient, route: Route
) -> None:
    for parameter in route.contract.parameters(route.method, route.rule):
        for value in ODD_TEXTS:
            answer = route.call(owner, query_string={parameter.name: value})
            assert answer.status_code < 500, (parameter.name, value)


@pytest.mark.parametrize("route", ROUTES, ids=names)
@pytest.mark.parametrize("query", ["%00", "%FF=1", "a=%ED%A0%80", "page=%C0%80", "&&=&", "=", "%", "page=%", "a[]=1"])
def test_an_odd_query_is_refused(as_user: AsUser, route: Route, query: str) -> None:
    kwargs: dict[str, Any] = {"json": {}} if route.contract.body else {}
    answer = route.call(as_user("admin"), query_string=query, **kwargs)
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize("path", ["/api/v1/posts/%FF", "/%00", "/api/v1/users/1%00", "/docs/%2e%2e%2fdocs.html"])
def test_an_odd_path_is_refused(client: CheckedClient, path: str) -> None:
    assert client.get(path).status_code in (400, 404)


@pytest.mark.parametrize("odd", ["0", "-1", "01", "1.0", "1e3", "9223372036854775808", "9" * 3000, "\u0661", "x", "1 "])
def test_an_odd_id_is_404(as_user: AsUser, odd: str) -> None:
    member = as_user()
    for route in ROUTES:
        if "/1" in route.url:
            url = route.url.replace("/1", f"/{odd}", 1)
            assert member.open(url, method=route.method, json={}).status_code == 404


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dTpw", "bearer x y", "Bearer \xff", "Token x", "Bearer " + "x" * 7000]
)
def test_an_odd_authorization_is_401(client: CheckedClient, header: str) -> None:
    assert client.get("/auth/me", headers={"Authorization": header}).status_code == 401


def test_a_token_elsewhere_than_in_the_header_is_none(as_user: AsUser, client: CheckedClient) -> None:
    token = as_user().environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    client.set_cookie("access_token_cookie", token)
    assert client.get("/auth/me").status_code == 401
    assert client.post("/auth/logout", json={"access_token": token}).status_code == 401


def test_a_body_of_an_endpoint_that_reads_none_is_bounded_too(as_user: AsUser) -> None:
    assert as_user().post("/auth/logout", data=b"x" * 1_048_577).status_code == 413


def test_a_body_that_breaks_off_is_not_executed(owner: CheckedClient) -> None:
    answer = owner.post(
        "/api/v1/todos",
        data=b'{"task": "x"}',
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    assert answer.status_code == 400
    assert owner.get("/api/v1/todos").get_json()["total"] == 3


class BrokenInput:
    """What a server gives when a client breaks the rules of chunked transfer."""

    def read(self, _size: int = -1) -> bytes:
        raise RuntimeError("Invalid chunk size: 'zz'")


def test_a_transfer_that_breaks_its_own_rules_is_400(owner: CheckedClient) -> None:
    broken = {"wsgi.input": BrokenInput(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = owner.post("/api/v1/todos", content_type="application/json", environ_overrides=broken)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_request")


def test_rights_are_told_before_what_is_wrong_with_the_body(owner: CheckedClient, as_user: AsUser) -> None:
    stranger = as_user()
    for url, status in (("posts/1", 403), ("todos/1", 404), ("users/1", 403), ("posts/7", 404), ("users/7", 404)):
        for method in ("PUT", "PATCH"):
            assert stranger.open(f"/api/v1/{url}", method=method, json={"id": 5}).status_code == status
