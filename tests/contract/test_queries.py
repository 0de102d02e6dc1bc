"""The number of SQL statements of each route is fixed."""

import pytest
from flask import Flask

from app.core.db import prepared
from tests.client import CheckedClient
from tests.conftest import Counter
from tests.contract.resources import KNOWN, prepare, row, sent_to
from tests.contract.routes import Route, names


@pytest.mark.parametrize("route", KNOWN, ids=names)
def test_a_route_sends_so_many_statements(
    app: Flask, owner: CheckedClient, count_queries: Counter, route: Route
) -> None:
    resource, key = row(route)
    known = resource.statements[key]
    expected = known if isinstance(known, int) else known["postgresql" in app.config["DATABASE_URL"]]
    prepare(route, owner)
    sent = sent_to(route)
    with count_queries() as statements:
        answer = route.call(owner, **sent)
    assert answer.status_code < 300, answer.text
    of_ours = [statement for statement in statements if "FROM pg_catalog" not in statement]
    assert len(of_ours) == expected, "\n".join(statements)


def test_no_client_can_have_pages_prepared_that_differ_from_the_usual_ones(client: CheckedClient) -> None:
    assert client.get("/api/v1/posts?cursor=").status_code == 200
    assert any("LIMIT 21" in str(statement) for statement in prepared._plans)
    for query in ("per_page=6&cursor=", "per_page=6", "per_page=6&page=1", "per_page=6&sort=title&cursor="):
        assert client.get(f"/api/v1/posts?{query}").status_code == 200
    assert not any("LIMIT 7" in str(statement) for statement in prepared._plans)
