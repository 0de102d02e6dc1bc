"""Who may do what: every route, method and role, with a thing of one's own and another member's, as the table says."""

from typing import Any

import pytest
from flask import Flask

from app.core.permissions import Access
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, new_client, use_token
from tests.contract.matrix import CALLERS, CASES, OPEN_STEPS, ROLES, Case
from tests.contract.resources import KNOWN, sent_to
from tests.contract.routes import ROUTES, Route
from tests.contract.things import Things

Json = dict[str, Any]

OWN, ANOTHERS = "own", "another's"
ROUTE_OF = {str(route): route for route in KNOWN}
REFUSALS = (401, 403, 404)
DRY = {"dry_run": "true"}
# What is sent beside a good body in the cases that are about a field.
FIELDS: dict[str, Json] = {
    "role": {"role": "moderator"},
    "is_active": {"is_active": True},
    "is_hidden": {"is_hidden": True},
    "image_id": {"image_id": 1},
    "community": {"kind": "community"},
}


class World:
    """A caller of the table with things, and another member with things of the same kinds."""

    def __init__(self, app: Flask, as_user: AsUser, who: str) -> None:
        self.app, self.who = app, who
        caller, other, helper = as_user(who if who in ROLES else "member"), as_user(), as_user("admin")
        self.email = {OWN: caller.email, ANOTHERS: other.email}
        self.things = {ANOTHERS: Things(other, helper), OWN: Things(caller, helper)}
        self._begin_sessions()
        url = f"/api/v1/users/{caller.user_id}"
        if who == "disabled":
            assert helper.patch(url, json={"is_active": False}).status_code == 200
        if who == "deleted":
            self.things[OWN].empty_account()
            assert helper.delete(url).status_code == 204

    def answer(self, case: Case, whose: str) -> str:
        """Return what a case is answered, in the table's words; another failure is told as it is."""
        route = ROUTE_OF[case.route]
        url = self.things[whose].url(route, case.about)
        answer = self._client(route).open(url, method=route.method, **self._sent(route, case.about))
        if self.who in ROLES and route.rule.startswith("/auth/") and route.method != "GET":
            self._begin_sessions()  # The case may have ended some.
        if answer.status_code in REFUSALS:
            return str(answer.status_code)
        return "yes" if answer.status_code < 500 else answer.text

    def _sent(self, route: Route, about: str) -> Json:
        """Return what is good to send. What can be a dry run is one, so that each case finds all as it was made."""
        sent = sent_to(route)
        if "email" in sent.get("json", {}) and route.rule.startswith("/auth/"):
            sent = {"json": {**sent["json"], "email": self.email[OWN]}}
        if route.rule == "/auth/password":
            sent = {"json": {}}  # Not valid, which is told after rights; a new one would keep the next cases out.
        if about in FIELDS:
            sent = {"json": {**sent["json"], **FIELDS[about]}}
        is_dry = route.method != "GET" and route.rule.startswith("/api/v1/") and not route.contract.upload
        return {**sent, "query_string": DRY} if is_dry else sent

    def _client(self, route: Route) -> CheckedClient:
        """Return a client that sends the kind of token that the route takes."""
        client = new_client(self.app)
        if self.who != "anonymous" and route.contract.permission is Access.REFRESH_COOKIE:
            return self.browser
        if self.who != "anonymous":
            kind = "refresh_token" if route.contract.permission is Access.REFRESH else "access_token"
            use_token(client, self.tokens[kind])
        return client

    def _begin_sessions(self) -> None:
        """Sign both members in; a session is a thing, too."""
        for whose, things in self.things.items():
            client, sent = new_client(self.app), {"email": self.email[whose], "password": PASSWORD}
            tokens = client.post("/auth/login", json=sent).get_json()
            use_token(client, tokens["access_token"])
            things.plain["session_id"] = client.get("/auth/sessions").get_json()["sessions"][0]["id"]
            self.tokens: Json = tokens  # at last the caller's
        self.browser = new_client(self.app)
        signed_in = self.browser.post("/auth/session", json=sent).get_json()
        self.browser.environ_base["HTTP_X_CSRF_TOKEN"] = signed_in["csrf_token"]


@pytest.mark.parametrize("who", CALLERS)
def test_every_caller_may_do_what_the_table_says_and_no_more(app: Flask, as_user: AsUser, who: str) -> None:
    world = World(app, as_user, who)
    wrong = [
        f"{case.route}, {case.about}, {whose}: {answer} in place of {expected}"
        for whose in world.things
        for case in CASES
        if case.route in ROUTE_OF
        if (expected := case.expected(who, whose)) != (answer := world.answer(case, whose))
    ]
    if wrong:
        pytest.fail("\n".join([f"What {who} is answered is not what tests/contract/matrix.py says:", *wrong]))


def test_every_route_has_its_lines_in_the_table() -> None:
    routes, known = {str(route) for route in ROUTES}, {case.route for case in CASES if case.about == "-"}
    missing, gone = sorted(routes - known), sorted(known - routes)
    assert not missing, f"Add a line to TABLE in tests/contract/matrix.py for {', '.join(missing)}"
    assert not gone, f"Take from TABLE in tests/contract/matrix.py what is gone: {', '.join(gone)}"


def test_a_plain_member_changes_nothing_of_anothers() -> None:
    """The table cannot say otherwise; that the service does what it says is shown above."""
    open_to_all = {
        case.route: case.expected("member", ANOTHERS)
        for case in CASES
        if case.method != "GET" and "<id:" in case.path and case.expected("member", ANOTHERS) not in ("403", "404")
    }
    assert open_to_all.keys() == OPEN_STEPS
