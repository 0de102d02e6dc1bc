"""The table of resources is complete, and what it says of a second time is so."""

import pytest

from tests.client import CheckedClient
from tests.contract.resources import KNOWN, RESOURCES, gaps, key_of, prepare, resource_of, row, sent_to
from tests.contract.routes import ROUTES, Route, names

STEPS = [route for route in KNOWN if row(route)[1] in row(route)[0].again]
DELETIONS = [route for route in KNOWN if route.method == "DELETE" and route.rule.endswith(">")]


def test_every_route_has_its_row_in_the_table_of_resources() -> None:
    missing = [f"{route}: {gap}" for route in ROUTES for gap in gaps(route)]
    assert missing == [], "\n".join(["add to RESOURCES in tests/contract/resources.py:", *missing])


def test_the_table_of_resources_names_no_route_that_is_gone() -> None:
    there = {(resource.url, key_of(route, resource)) for route in ROUTES if (resource := resource_of(route))}
    named = {
        (resource.url, key)
        for resource in RESOURCES
        for keys in (resource.statements, resource.bodies, resource.again, resource.before)
        for key in keys
    }
    assert named - there == set(), "take out of RESOURCES in tests/contract/resources.py"


@pytest.mark.parametrize("route", STEPS, ids=names)
def test_a_step_that_is_taken_twice_is_answered_as_the_table_says(owner: CheckedClient, route: Route) -> None:
    resource, key = row(route)
    prepare(route, owner)
    statuses = [route.call(owner, **sent_to(route)).status_code for _ in range(2)]
    assert statuses == [route.contract.status, resource.again[key]]


@pytest.mark.parametrize("route", DELETIONS, ids=names)
def test_what_is_deleted_is_gone(owner: CheckedClient, route: Route) -> None:
    prepare(route, owner)
    assert route.call(owner).status_code == 204
    # Who has deleted the own account is nobody any more.
    assert route.call(owner).status_code in (401, 404)
