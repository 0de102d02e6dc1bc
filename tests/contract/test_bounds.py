"""What one request may cost: numbers are checked before items, and an answer tells a bounded number of errors."""

import json
from typing import Any

import pytest
from marshmallow import fields

from app.core.errors import MAX_ERRORS
from app.core.http import request_body
from app.core.http.request_body import MAX_PARAMETERS, MAX_VALUES
from app.core.schema import Id, List
from app.orders.models import MAX_LINES
from app.wallet.verification import MAX_MISMATCHES
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.contract.resources import KNOWN, prepare
from tests.contract.routes import BODIES, Route, names

MEBIBYTE = 2**20
LINE = {"product_id": 1, "quantity": 1}
LARGE = {
    "objects in a list": b'{"lines": [' + b"{}," * 300_000 + b"{}]}",
    "numbers": b'{"lines": [' + b"1," * 500_000 + b"1]}",
    "empty strings": b'{"lines": [' + b'"",' * 300_000 + b'""]}',
    "quotes and backslashes": b'{"lines": [' + rb'"\\\"",' * 100_000 + b'""]}',
    "lists in lists": b"[" * 500_000,
    "unknown keys": json.dumps({f"k{number}": 1 for number in range(70_000)}).encode(),
}

# The arrays of objects that go out, but for lists, whose pages are bounded; and what bounds them.
BOUNDED = {
    ("GET /api/v1/orders/<id:order_id>", "lines"): f"an order has at most {MAX_LINES} lines",
    ("GET /api/v1/ledger", "mismatches"): f"{MAX_MISMATCHES} are looked for, and there is none in good books",
    ("GET /openapi.json", "servers"): "there is one",
    ("GET /openapi.json", "tags"): "there is one for each feature",
}
NO_LISTS = [route for route in KNOWN if route.method == "GET" and not route.contract.listing]


@pytest.fixture
def validated_ids(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The values that were validated as ids."""
    seen: list[Any] = []
    validate = Id._deserialize

    def noting(self: Id, value: Any, *args: Any, **kwargs: Any) -> int:
        seen.append(value)
        return validate(self, value, *args, **kwargs)

    monkeypatch.setattr(Id, "_deserialize", noting)
    return seen


@pytest.mark.parametrize("url", ["/api/v1/users", "/auth/login", "/api/v1/orders"])
@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(
    as_user: AsUser, monkeypatch: pytest.MonkeyPatch, url: str, body: bytes
) -> None:
    assert len(body) < MEBIBYTE
    member = as_user()
    monkeypatch.setattr(request_body, "json", None)  # So that to parse it would be a 500.
    answer = member.post(url, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert b"too_many_values" in answer.data
    assert len(answer.data) < 1000


def test_what_stands_in_a_text_is_not_counted_as_values(as_user: AsUser) -> None:
    member = as_user()
    for content in (",[{" * 10_000, '\\",' * 10_000, '"[' * 10_000, "\\" * 10_001):
        answer = member.post("/api/v1/posts", json={"title": "t", "content": content})
        assert (answer.status_code, answer.get_json()["content"]) == (201, content)
    assert member.post("/api/v1/posts", json={"title": "ends in \\", "content": ",[{" * 10_000}).status_code == 201


def test_the_number_of_lines_is_checked_before_the_lines(as_user: AsUser, validated_ids: list[Any]) -> None:
    member = as_user()
    answer = member.post("/api/v1/orders", json={"lines": [LINE] * (MAX_LINES + 1)})
    assert answer.get_json()["errors"] == {"lines": [f"Must be 1 to {MAX_LINES} lines."]}
    assert validated_ids == []
    member.post("/api/v1/orders", json={"lines": [LINE] * MAX_LINES})
    assert len(validated_ids) == MAX_LINES


@pytest.mark.parametrize("route", BODIES, ids=names)
def test_every_list_that_comes_in_is_bounded(route: Route) -> None:
    assert route.contract.body
    for field in route.contract.body().fields.values():
        unbounded = isinstance(field, fields.List | fields.Nested | fields.Dict) and not isinstance(field, List)
        assert field.dump_only or not unbounded


@pytest.mark.parametrize("route", NO_LISTS, ids=names)
def test_a_get_that_gives_many_is_a_list(owner: CheckedClient, route: Route) -> None:
    declared = route.contract.response().fields if route.contract.response else {}
    many = {name for name, field in declared.items() if isinstance(getattr(field, "inner", None), fields.Nested)}
    prepare(route, owner)
    answer = route.call(owner)
    assert answer.status_code == 200
    if answer.mimetype == "application/json":
        body = answer.get_json()
        members = body.items() if isinstance(body, dict) else [("", body)]
        many |= {name for name, value in members if isinstance(value, list) and dict in map(type, value)}
    unbounded = sorted(name for name in many if (str(route), name) not in BOUNDED)
    assert not unbounded, f"{route} shows many {unbounded}: declare a listing, or add to BOUNDED here what bounds them"


@pytest.mark.parametrize("url", ["/api/v1/users", "/auth/login", "/api/v1/orders", "/api/v1/posts"])
def test_at_most_twenty_errors_are_told_and_how_many_there_are(as_user: AsUser, url: str) -> None:
    answer = as_user().post(url, json={f"k{number}": 1 for number in range(MAX_VALUES - 1)})
    told = answer.get_json()
    assert (answer.status_code, told["code"], len(told["errors"])) == (400, "validation_failed", MAX_ERRORS)
    assert told["message"].endswith(f" fields are not valid; the first {MAX_ERRORS} are shown.")
    assert int(told["message"].split()[0]) >= MAX_VALUES - 1


def test_the_lines_of_an_order_are_told_like_other_fields(as_user: AsUser) -> None:
    told = as_user().post("/api/v1/orders", json={"lines": [{}] * 30}).get_json()
    assert told["message"] == "60 fields are not valid; the first 20 are shown."
    assert list(told["errors"])[:3] == ["lines.0.product_id", "lines.0.quantity", "lines.1.product_id"]
    few = as_user().post("/api/v1/orders", json={"lines": [{}] * 10}).get_json()
    assert (few["message"], len(few["errors"])) == ("Some fields are not valid.", 20)


def test_the_name_of_an_unknown_field_is_cut(client: CheckedClient) -> None:
    answer = client.post("/auth/login", json={"k" * 900_000: 1})
    assert answer.status_code == 400
    assert len(answer.data) < 1000


def test_a_query_of_too_many_parameters_is_refused(client: CheckedClient) -> None:
    for url in ("/api/v1/products", "/nowhere"):
        answer = client.get(url, query_string="page=1&" * MAX_PARAMETERS)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "too_many_parameters")
    answer = client.get("/api/v1/products", query_string="&".join(["page=1"] * MAX_PARAMETERS))
    assert answer.get_json()["errors"] == {"page": ["Given more than once."]}
