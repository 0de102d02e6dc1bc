"""Schemathesis makes requests out of the OpenAPI document, good and bad ones, and holds the answers against it.

All of its checks of a single answer are on, and none is turned off for an endpoint: what no document can tell, like an
id that exists, is put into the drawn requests instead.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis import BaseSchema, Config, HookContext, Response
from schemathesis import Case as AnyCase
from schemathesis.core.parameters import ParameterLocation as In
from schemathesis.generation.meta import CoveragePhaseData

from app import create_app
from app.core.http.request_body import READING
from app.credentials.models import RESET, VERIFICATION
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, new_client
from tests.contract.resources import NAMED
from tests.credentials.conftest import mailed_token

Case = AnyCase[Any]

SEED = 1
LONGEST = 1_000
MOST_OF_A_KIND = 1
PERIOD = {"since": "2024-01-01T00:00:00Z", "until": "2024-02-01T00:00:00Z"}

# How a good request may be answered. An admin is refused only what names a thing that is not there, and what clashes
# with what is there, like an address that is taken or a key that was used. To a stranger some parameters are unknown.
TO_ADMIN = ["2xx", "304", "404", "409", "422"]
TO_STRANGER = [*TO_ADMIN, "400", "401"]

# With pytest 9.2, Schemathesis names its tests after the operations only if they have a parameter besides.
by = pytest.mark.parametrize
not_reset = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(*, accepted: list[str], examples: int, limits: bool) -> BaseSchema:
    """Read the document: ``examples`` requests drawn for each operation and, if asked for, all that limits suggest."""
    config = {
        "seed": SEED,
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "database": "none",
            "with-security-parameters": False,  # ignored_auth leaves the token out, and sends a bad one, by itself.
        },
        "checks": {"positive_data_acceptance": {"expected-statuses": accepted}},
        # The same requests in each run: nothing is learned from earlier answers or from the code's constants.
        "analysis": {"constants": {"enabled": False}},
        "phases": {
            "coverage": {"enabled": limits, "extra-data-sources": {"responses": False}},
            "fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}},
        },
    }
    app = create_app("testing")
    document = app.test_client().get("/openapi.json").get_json()
    _leave_long_texts_unbounded(document)
    schema = schemathesis.openapi.from_dict(document, config=Config.from_dict(config))
    schema.app = app
    schema.hook(few_of_a_kind())
    return schema


def few_of_a_kind() -> Callable[[HookContext, Case], bool]:
    """Make the filter that takes a few of the many requests that are made to break one limit in the same way."""
    made: Counter[tuple[Any, ...]] = Counter()

    def filter_case(_context: HookContext, case: Case) -> bool:
        data: Any = case.meta and case.meta.phase.data
        if not isinstance(data, CoveragePhaseData) or data.parameter is None:
            return True
        kind = (case.operation.label, data.scenario, data.location, data.parameter)
        made[kind] += 1
        return made[kind] <= MOST_OF_A_KIND

    return filter_case


def _leave_long_texts_unbounded(node: Any) -> None:
    """Schemathesis counts the characters of a text by a regular expression, which takes seconds for thousands."""
    if isinstance(node, dict):
        if isinstance(node.get("maxLength"), int) and node["maxLength"] > LONGEST:
            del node["maxLength"]
        for child in node.values():
            _leave_long_texts_unbounded(child)


# The purposes of the tokens that are mailed, by where they are spent.
MAILED = {"/auth/password/reset": RESET, "/auth/email/verify": VERIFICATION}


class Stage:
    """An admin who has one of everything, and a second one, so that the first may go."""

    def __init__(self, app: Flask, as_user: AsUser) -> None:
        self.app, self.as_user, self.other = app, as_user, as_user("admin")
        self.set()

    def set(self) -> None:
        """Set up anew: after a write, what was there may be gone, and its owner signed out."""
        self.admin = self.as_user("admin")
        self.ids: dict[str, Any] = {"name": "docs.css", "currency": "EUR"}
        for parameter, resource in NAMED.items():
            if resource.make and resource.owner == 1 and not resource.after:
                self.ids[parameter] = resource.make(resource, self.admin)

    def complete(self, case: Case) -> None:
        """Put into a request what no document can tell, but leave what was made bad on purpose.

        That is: ids that exist, a tag that matches, bytes that there are, the caller's password, a new one of any kind,
        another member to deal with, a period that is over, that a cursor is the service's own and excludes a page,
        that keys to sort by and products to order differ.
        """
        assert case.meta
        negative = case.meta.is_negative_at
        if not negative(In.PATH):
            case.path_parameters = {**case.path_parameters, **self._known(case.path_parameters)}
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"
        if "Range" in case.headers and not negative(In.HEADER):
            case.headers["Range"] = "bytes=0-"
        if "page" in case.query and getattr(case.meta.phase.data, "parameter", None) != "cursor":
            case.query.pop("cursor", None)
        if not negative(In.QUERY):
            _complete_query(case.query)
        if not negative(In.BODY) and isinstance(case.body, dict):
            body = _whole_numbers(case.body)
            self._complete_body(body, signs_in=case.path in ("/auth/login", "/auth/session"))
            case.body = body | self._secrets(case.path)

    def _known(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self.ids[name] for name in names if name in self.ids}

    def _secrets(self, path: str) -> dict[str, str]:
        """Return what the caller knows, and no document: the password, or the token of a mail."""
        if path in MAILED:
            return {"token": mailed_token(self.admin, MAILED[path])}
        return {"password": PASSWORD} if path == "/auth/confirm" else {}

    def _complete_body(self, body: dict[str, Any], *, signs_in: bool) -> None:
        body |= {name: self.other.user_id for name in ("receiver_id", "user_id") if name in body}
        body |= {name: self.ids["file_id"] for name in ("image_id", "file_id") if body.get(name) is not None}
        body |= {name: moment for name, moment in PERIOD.items() if name in body}
        if body.get("kind") == "account":  # a report that is whole, and JSON
            body["format"] = "json"
            body.pop("since", None)
            body.pop("until", None)
        if "lines" in body:
            body["lines"] = list({line["product_id"]: line for line in body["lines"]}.values())
        if signs_in:
            body |= {"email": self.admin.email, "password": PASSWORD}
        for name in ("password", "new_password") if not signs_in else ():
            if name in body:
                body[name] = body[name][:-2] + "A1"
        if "new_password" in body:
            body["current_password"] = PASSWORD
        if "email" in body and "password" not in body:
            body["current_password"] = PASSWORD

    def call(self, case: Case) -> None:
        """Send a request as the admin, check the answer, and set up anew if that has changed anything."""
        token = self.admin.environ_base["HTTP_AUTHORIZATION"]
        if {"refresh_token": []} in case.operation.definition.raw["security"]:
            account = {"email": self.admin.email, "password": PASSWORD}
            token = f"Bearer {self.admin.post('/auth/login', json=account).get_json()['refresh_token']}"
        answer = check(case, self.app, headers={"Authorization": token})
        if case.method not in READING and answer.status_code < 300 and "dry-run" not in answer.headers:
            self.set()


def _whole_numbers(value: Any) -> Any:
    """Write 1.0 as 1: to JSON Schema both are integers, to the service only the second."""
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _complete_query(query: dict[str, Any]) -> None:
    if "cursor" in query:
        query["cursor"] = ""
    if "sort" in query:
        query["sort"] = ",".join({key.removeprefix("-"): key for key in query["sort"].split(",")}.values())


def check(case: Case, app: Flask, **kwargs: Any) -> Response:
    """Send a request by a client that itself holds the answer against the document, then let Schemathesis do so."""
    client: Any = new_client(app)
    return case.call_and_validate(session=client, app=app, **kwargs)


@pytest.fixture
def stage(app: Flask, as_user: AsUser) -> Stage:
    return Stage(app, as_user)


@read(accepted=TO_ADMIN, examples=6, limits=True).parametrize()
@by("caller", ["admin"])
@not_reset
def test_an_admin_is_answered_as_the_document_says(case: Case, caller: str, stage: Stage) -> None:
    stage.complete(case)
    stage.call(case)


@read(accepted=TO_STRANGER, examples=3, limits=False).parametrize()
@by("caller", ["stranger"])
@not_reset
def test_a_stranger_is_answered_as_the_document_says(case: Case, caller: str, app: Flask) -> None:
    check(case, app)


def test_the_document_is_the_one_that_the_service_serves(client: CheckedClient) -> None:
    assert client.get("/openapi.json").get_json() == create_app("testing").test_client().get("/openapi.json").get_json()
