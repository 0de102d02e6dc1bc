"""The OpenAPI document: valid, complete, and made from the declarations."""

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.client import CheckedClient, document
from tests.contract.routes import ROUTES, Route, names


def test_the_document_is_valid_openapi(client: CheckedClient) -> None:
    served = client.get("/openapi.json")
    assert served.mimetype == "application/json"
    assert served.get_json()["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(served.get_json()).validate()


@pytest.mark.parametrize("route", ROUTES, ids=names)
def test_every_route_is_documented_with_what_it_takes_answers_and_refuses(app: Flask, route: Route) -> None:
    path = route.rule.replace("<id:", "{").replace("<string:", "{").replace(">", "}")
    operation = document(app)["paths"][path][route.method.lower()]
    assert operation["summary"]
    assert operation["tags"]
    assert str(route.contract.status) in operation["responses"]
    assert ("requestBody" in operation) == (route.contract.body is not None or route.contract.upload)
    assert {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"} == {
        p.name for p in route.contract.parameters(route.method, route.rule)
    }
    if operation["security"]:
        assert "401" in operation["responses"]


# What the contract leaves open, where a client looks for it.
IN_DETAIL = {
    "auth": "refreshing does not prolong it",
    "posts": "leaves it as it is",
    "files": "the whole",
    "products": "`price_in` is there only",
    "orders": "product_inactive",
    "wallet": "not_reversible",
    "notifications": "made when it is read",
    "rates": "as stale",
}


@pytest.mark.parametrize(("tag", "words"), IN_DETAIL.items())
def test_a_tag_says_how_its_resources_behave_in_detail(client: CheckedClient, tag: str, words: str) -> None:
    described = {one["name"]: one["description"] for one in client.get("/openapi.json").get_json()["tags"]}
    assert words in described[tag]


def test_the_document_says_what_holds_for_all_paths_in_detail(client: CheckedClient) -> None:
    description = client.get("/openapi.json").get_json()["info"]["description"]
    for words in ("doubled slash", "403 and 404 come before 400", "nor answered from one", "needs no body"):
        assert words in description


def test_names_of_operations_differ(app: Flask) -> None:
    ids = [
        operation["operationId"]
        for path in document(app)["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    assert len(ids) == len(set(ids))


def test_what_comes_in_has_the_limits_that_are_checked(app: Flask) -> None:
    todo = document(app)["components"]["schemas"]["TodoInput"]
    assert todo["required"] == ["task"]
    assert todo["additionalProperties"] is False
    assert (todo["properties"]["task"]["minLength"], todo["properties"]["task"]["maxLength"]) == (1, 500)
    assert "required" not in document(app)["components"]["schemas"]["TodoPatch"]


def test_the_page_shows_the_document_from_the_services_own_files(client: CheckedClient) -> None:
    page = client.get("/docs")
    assert page.mimetype == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js", "docs.css", "favicon-32x32.png"):
        assert f"/docs/{name}" in page.text
        assert client.get(f"/docs/{name}").status_code == 200
    assert "://" not in page.text


def test_the_root_lists_every_collection_and_entry_points_that_exist(client: CheckedClient) -> None:
    points = client.get("/").get_json()["entry_points"]
    for url in points.values():
        assert client.options(url).headers["Allow"]
    collections = {r.rule for r in ROUTES if r.method == "GET" and r.rule.startswith("/api/v1/") and "<" not in r.rule}
    assert collections <= set(points.values())
    assert points["wallet_entries"] == "/api/v1/wallet/entries"
