"""Flask as its documentation has it: what somebody adds to Agora as to any Flask app works, in production too."""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import flask_restful  # noqa: TID251 - as somebody who extends Agora does
import pytest
from flask import Blueprint, Flask, Response, g, jsonify, request, session, url_for
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.core.request_state import request_state
from app.todos.models import Todo
from app.users.models import User
from tests.client import CheckedClient
from tests.conftest import NO_BROKER, PASSWORD, dispose, production_settings

Json = dict[str, Any]


class ForeignConfig:
    """A configuration as tutorials write it."""

    TESTING = True
    SECRET_KEY = "of-a-foreign-config-0123456789-abc"
    JWT_ACCESS_TOKEN_EXPIRES = 77
    SHOP_NAME = "The shop"
    not_a_setting = "since it is in lower case"


class Basket(flask_restful.Resource):  # type: ignore[misc]
    """A Resource that is none of ours."""

    def get(self) -> Json:
        return {"basket": []}

    def post(self) -> tuple[Json, int]:
        return {"basket": [1]}, 201

    def put(self) -> tuple[Json, int, dict[str, str]]:
        return {"basket": [2]}, 202, {"X-Basket": "full"}


SHOP = Blueprint("shop", __name__, url_prefix="/shop")


@SHOP.before_request
def refuse() -> tuple[Json, int] | None:
    return ({"refused": True}, 402) if "refuse" in request.args else None


@SHOP.after_request
def mark(response: Response) -> Response:
    response.headers["X-Shop"] = "open"
    return response


@SHOP.errorhandler(KeyError)
def is_missing(_error: KeyError) -> tuple[Json, int]:
    return {"missing": True}, 418


@SHOP.get("/dict")
def as_dict() -> Json:
    return {"seen_by_the_app": g.seen, "request_id": request_state().request_id}


@SHOP.get("/prices")
def prices() -> Response:
    return jsonify({"price": Decimal("1.50"), 7: "seven", "at": datetime(2026, 1, 2, tzinfo=UTC)})


@SHOP.get("/missing")
def missing() -> str:
    raise KeyError


@SHOP.get("/broken")
def broken() -> str:
    raise RuntimeError


@SHOP.get("/later")
async def later() -> Json:
    return {"seen_by_the_app": g.seen}


@SHOP.get("/links")
def links() -> Json:
    return {"own": url_for("shop.links"), "ours": url_for("PostItem", post_id=7, _external=True)}


@SHOP.post("/visits")
def visit() -> Json:
    session["visits"] = session.get("visits", 0) + 1
    return {"visits": session["visits"]}


@SHOP.delete("/visits")
def leave() -> Json:
    session.clear()
    return {}


def extend(app: Flask) -> None:
    """Add to the app what people add to a Flask app."""

    @app.before_request
    def see() -> None:
        g.seen = True

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers["X-Signed"] = "yes"
        return response

    app.register_blueprint(SHOP)
    flask_restful.Api(app).add_resource(Basket, "/basket")


@pytest.fixture(params=["testing", "production"])
def extended(request: pytest.FixtureRequest, app: Flask, database_url: str) -> Iterator[FlaskClient]:
    settings = {"DATABASE_URL": database_url} if request.param == "testing" else production_settings(database_url)
    extended_app = create_app(request.param, settings)
    extend(extended_app)
    yield extended_app.test_client()
    dispose(extended_app)


def test_a_foreign_view_and_an_error_are_written_by_the_same_json_encoder_as_ours(extended: FlaskClient) -> None:
    foreign = extended.get("/shop/prices")
    assert foreign.data == b'{"price":"1.50","7":"seven","at":"2026-01-02T00:00:00Z"}\n'
    refused, shown = extended.get("/api/v1/none"), extended.get("/health")
    assert shown.data == b'{"status":"healthy"}\n'
    assert refused.data.startswith(b'{"error":"Not Found","message":')
    assert refused.data.endswith(b"}\n")


def test_before_and_after_a_request_run_in_a_foreign_blueprint_and_app(extended: FlaskClient) -> None:
    answer = extended.get("/shop/dict", headers={"X-Request-ID": "a-foreign-request"})
    assert answer.get_json() == {"seen_by_the_app": True, "request_id": "a-foreign-request"}
    assert [answer.headers[name] for name in ("X-Shop", "X-Signed")] == ["open", "yes"]
    refused = extended.get("/shop/dict?refuse")
    assert (refused.status_code, refused.get_json(), refused.headers["X-Shop"]) == (402, {"refused": True}, "open")


def test_foreign_views_get_the_headers_that_all_responses_have_and_ours_those_of_the_app(extended: FlaskClient) -> None:
    foreign, ours = extended.get("/shop/dict"), extended.get("/health")
    assert [foreign.headers[name] for name in ("Cache-Control", "X-Content-Type-Options")] == ["no-store", "nosniff"]
    assert len(foreign.headers["X-Request-ID"]) == 32
    assert (ours.headers["X-Signed"], "X-Shop" in ours.headers) == ("yes", False)


def test_a_blueprint_handles_its_own_errors_and_we_the_others(extended: FlaskClient) -> None:
    handled, broken = extended.get("/shop/missing"), extended.get("/shop/broken")
    assert (handled.status_code, handled.get_json()) == (418, {"missing": True})
    assert (broken.status_code, broken.get_json()["code"]) == (500, "internal_error")
    assert extended.get("/nowhere").get_json()["code"] == "not_found"
    assert extended.get("/api/v1/todos").get_json()["code"] == "unauthorized"


def test_an_asynchronous_view_is_waited_for(extended: FlaskClient) -> None:
    answer = extended.get("/shop/later")
    assert (answer.status_code, answer.get_json()) == (200, {"seen_by_the_app": True})


def test_urls_are_built_of_foreign_views_and_ours(extended: FlaskClient) -> None:
    links = extended.get("/shop/links", headers={"Host": "agora.example"}).get_json()
    assert links == {"own": "/shop/links", "ours": "http://agora.example/api/v1/posts/7"}


def test_the_session_is_kept_in_a_cookie_where_it_is_used_and_nowhere_else(extended: FlaskClient) -> None:
    assert "Set-Cookie" not in extended.get("/shop/dict").headers
    first, second = extended.post("/shop/visits"), extended.post("/shop/visits")
    assert [answer.get_json()["visits"] for answer in (first, second)] == [1, 2]
    assert "HttpOnly" in first.headers["Set-Cookie"]
    assert "Cookie" in ", ".join(first.headers.getlist("Vary"))
    assert "Set-Cookie" not in extended.get("/health").headers
    assert "Set-Cookie" in extended.delete("/shop/visits").headers
    assert extended.post("/shop/visits").get_json() == {"visits": 1}


@pytest.mark.parametrize(
    ("method", "status", "basket", "headers"),
    [("GET", 200, [], {}), ("POST", 201, [1], {}), ("PUT", 202, [2], {"X-Basket": "full"})],
)
def test_a_foreign_resource_returns_dicts_and_tuples(
    extended: FlaskClient, method: str, status: int, basket: list[int], headers: dict[str, str]
) -> None:
    answer: TestResponse = extended.open("/basket", method=method)
    assert (answer.status_code, answer.get_json()) == (status, {"basket": basket})
    assert headers.items() <= dict(answer.headers).items()


def test_the_document_describes_our_routes_beside_foreign_ones(extended: FlaskClient, client: CheckedClient) -> None:
    assert extended.get("/openapi.json").get_json().keys() == client.get("/openapi.json").get_json().keys()


def made_by(config: Any, **overrides: Any) -> Flask:
    made = create_app(config, {"DATABASE_URL": "sqlite:///never-opened.db", **overrides})
    dispose(made)
    return made


@pytest.mark.parametrize(
    "config",
    [
        ForeignConfig,
        ForeignConfig(),
        f"{__name__}.ForeignConfig",
        {name: value for name, value in vars(ForeignConfig).items() if name.isupper()},
    ],
    ids=["class", "object", "path", "mapping"],
)
def test_a_configuration_is_taken_as_flask_takes_it(config: Any) -> None:
    settings = made_by(config, JWT_REFRESH_TOKEN_EXPIRES=88).config
    assert (settings["FLASK_ENV"], settings["TESTING"], settings["SHOP_NAME"]) == ("testing", True, "The shop")
    assert settings["SECRET_KEY"] == ForeignConfig.SECRET_KEY
    assert (settings["JWT_ACCESS_TOKEN_EXPIRES"], settings["JWT_REFRESH_TOKEN_EXPIRES"]) == (77, 88)
    assert "not_a_setting" not in settings


def test_a_configuration_names_the_database_as_flask_sqlalchemy_does() -> None:
    made = create_app({"TESTING": True, "SQLALCHEMY_DATABASE_URI": "sqlite:///elsewhere.db"})
    dispose(made)
    assert made.config["DATABASE_URL"] == "sqlite:///elsewhere.db"


def test_default_is_another_word_for_development() -> None:
    settings = made_by("default", BROKER_URL=NO_BROKER, SECRET_KEY="a" * 32, JWT_SECRET_KEY="b" * 32).config
    assert (settings["FLASK_ENV"], settings["TESTING"]) == ("development", False)


def test_each_request_has_a_state_of_its_own_in_one_application_context(app: Flask, client: CheckedClient) -> None:
    with app.app_context():
        answers = [client.get("/health") for _ in range(2)]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 2


def test_headers_of_a_sample_user_sign_requests_in(
    client: CheckedClient, auth_headers: dict[str, str], sample_user: User
) -> None:
    assert client.get("/auth/me", headers=auth_headers).get_json()["id"] == sample_user.id
    credentials = {"email": sample_user.email, "password": PASSWORD}
    assert client.post("/auth/login", json=credentials).status_code == 200


@pytest.mark.parametrize("time", ["first", "second"])
def test_what_a_test_writes_is_seen_by_requests_and_undone(
    client: CheckedClient, auth_headers: dict[str, str], sample_user: User, db_session: Session, time: str
) -> None:
    assert db_session.scalar(select(func.count()).select_from(Todo)) == 0, f"at the {time} time"
    db_session.add(Todo(user_id=sample_user.id, task="Written by a test", done=False))
    db_session.commit()
    todos = client.get("/api/v1/todos", headers=auth_headers).get_json()["todos"]
    assert [todo["task"] for todo in todos] == ["Written by a test"]


def test_commands_are_run_by_the_runner(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["ledger", "verify"])
    assert (result.exit_code, result.exception) == (0, None), result.output


def test_what_the_next_flask_deprecates_does_not_make_the_suite_red() -> None:
    warnings.warn("'request_ctx' is deprecated and will be removed in Flask 4.0.", DeprecationWarning, stacklevel=2)
    with pytest.raises(UserWarning):
        warnings.warn("Anything else is an error.", UserWarning, stacklevel=2)
