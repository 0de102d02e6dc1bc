"""Every list: paged, with a ceiling, linked, and at a number of queries that does not grow with the page."""

from dataclasses import replace
from typing import Any

import pytest

from tests.client import CheckedClient
from tests.conftest import Counter
from tests.contract.conftest import ROWS
from tests.contract.resources import LISTS
from tests.contract.routes import Route, names


def listed(route: Route, client: CheckedClient, **query: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert route.contract.listing
    answer = route.call(client, query_string=query)
    assert answer.status_code == 200
    body = answer.get_json()
    return body[route.contract.listing.name], body


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_a_list_is_paged_by_20_and_at_most_by_100(reader: CheckedClient, route: Route) -> None:
    items, body = listed(route, reader)
    assert (len(items), body["page"], body["per_page"], body["has_more"]) == (20, 1, 20, True)
    assert body["total"] >= ROWS
    items, body = listed(route, reader, per_page=1000)
    assert (len(items), body["per_page"], body["pages"]) == (100, 100, 2)


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_the_pages_together_are_the_list_without_gap_or_repetition(reader: CheckedClient, route: Route) -> None:
    seen: list[int] = []
    url: str | None = f"{route.url}?per_page=37"
    while url:
        answer = reader.get(url)
        assert route.contract.listing
        seen += [item["id"] for item in answer.get_json()[route.contract.listing.name]]
        url = links(answer.headers["Link"]).get("next")
    assert len(seen) == len(set(seen)) == answer.get_json()["total"]
    assert answer.get_json()["has_more"] is False


def links(header: str) -> dict[str, str]:
    parts = (part.partition(">; rel=") for part in header.split(", "))
    return {relation.strip('"'): url.lstrip("<") for url, _, relation in parts}


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_the_links_lead_to_first_previous_next_and_last(reader: CheckedClient, route: Route) -> None:
    header = links(reader.get(f"{route.url}?per_page=50&page=2").headers["Link"])
    assert header == {
        "first": f"{route.url}?per_page=50&page=1",
        "prev": f"{route.url}?per_page=50&page=1",
        "next": f"{route.url}?per_page=50&page=3",
        "last": f"{route.url}?per_page=50&page=3",
    }
    assert "prev" not in links(reader.get(route.url).headers["Link"])
    assert "next" not in links(reader.get(header["last"]).headers["Link"])


def test_a_long_query_leaves_the_links_out_that_are_needed_least(reader: CheckedClient) -> None:
    def relations(name: str, **query: Any) -> set[str]:
        answer = reader.get("/api/v1/posts", query_string={f"{name}__in": ids, "per_page": 1, **query})
        assert len(answer.headers["Link"]) < 3_000 + len(ids)
        found = links(answer.headers["Link"])
        assert all(ids.replace(",", "%2C") in url for url in found.values())
        return set(found)

    ids = ",".join(str(number) for number in range(1, 101))
    assert relations("user_id", page=2) == {"next", "prev", "first", "last"}
    ids = ",".join(["1", *(str(10**17 + number) for number in range(99))])
    assert relations("user_id", page=2) == {"next"}
    assert relations("user_id", page=ROWS) == {"prev"}
    assert relations("user_id", cursor="") == {"next"}


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_a_page_past_the_end_is_empty(reader: CheckedClient, route: Route) -> None:
    items, body = listed(route, reader, page=2**31 - 1, per_page=2**31 - 1)
    assert (items, body["page"], body["has_more"]) == ([], 2**31 - 1, False)


@pytest.mark.parametrize("route", LISTS, ids=names)
@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "", " 1", "2147483648", "9" * 5000, "\u0661", "1_0", "+1"])
def test_a_page_that_is_no_number_is_refused(reader: CheckedClient, route: Route, name: str, value: str) -> None:
    answer = route.call(reader, query_string={name: value})
    assert answer.status_code == 400
    assert list(answer.get_json()["errors"]) == [name]


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_unknown_and_repeated_parameters_are_refused(reader: CheckedClient, route: Route) -> None:
    assert route.call(reader, query_string="colour=red").get_json()["code"] == "unknown_parameter"
    assert list(route.call(reader, query_string="page=1&page=1").get_json()["errors"]) == ["page"]


@pytest.mark.parametrize("route", LISTS, ids=names)
def test_the_number_of_queries_does_not_grow_with_the_page(
    reader: CheckedClient, route: Route, count_queries: Counter
) -> None:
    counts = set()
    for size in (1, 10, 100):
        with count_queries() as statements:
            listed(route, reader, per_page=size)
        counts.add(len(statements))
    assert len(counts) == 1
    assert counts.pop() <= 5  # the caller, whose list it is, the total, the page, and what belongs to its items


def test_a_list_that_cannot_show_the_newest_first_does_not_start() -> None:
    with pytest.raises(ValueError, match="created_at"):
        replace(LISTS[0].contract.listing, sort={})  # type: ignore[type-var]
