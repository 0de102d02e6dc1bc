"""A test client that holds every answer against the OpenAPI document."""

import json
from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app.core.rest import openapi

Json = dict[str, Any]


class CheckedClient(FlaskClient):
    """A client whose every answer is one that the document promises, or the test fails."""

    user_id: int
    email: str

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if "json" in kwargs:  # A client has an encoder of its own, and may send what the service's refuses to write.
            kwargs = {"content_type": "application/json", **kwargs, "data": json.dumps(kwargs["json"])}
            del kwargs["json"]
        response = super().open(*args, buffered=True, **kwargs)
        _check(self.application, response)
        return response


@cache
def document(app: Flask) -> Json:
    with app.test_request_context():
        return openapi.document(app)


def _check(app: Flask, response: TestResponse) -> None:
    request = response.request
    method = "get" if request.method == "HEAD" else request.method.lower()
    adapter = app.url_map.bind("localhost")
    try:
        rule, _ = adapter.match(request.path, method=request.method, return_rule=True)
    except HTTPException:
        assert response.status_code in (400, 404, 405)
        check_error(app, response)
        return
    if method == "options":
        return
    path = openapi.path_of(rule)[0]
    answers = document(app)["paths"][path][method]["responses"]
    status = str(response.status_code)
    if status == "500" or (status == "400" and status not in answers):
        check_error(app, response)
        return
    assert status in answers, f"{method} {path} answered {status}, which the document does not know"
    content = answers[status].get("content")
    if not content:
        assert response.data == b""
        return
    assert response.mimetype in content or "*/*" in content
    described = content.get(response.mimetype, {})
    if "schema" in described and request.method != "HEAD":
        validator(app, described["schema"]["$ref"]).validate(response.get_json(force=True))


def check_error(app: Flask, response: TestResponse) -> None:
    if response.request.method == "HEAD":
        return
    name = "Problem" if response.mimetype == "application/problem+json" else "Error"
    validator(app, f"#/components/schemas/{name}").validate(response.get_json(force=True))


@cache
def validator(app: Flask, reference: str) -> Draft202012Validator:
    schema = {"$ref": reference, "components": document(app)["components"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
