"""The entry points, the OpenAPI document, and the page that shows it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Response, current_app, send_from_directory
from marshmallow import fields

from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.http.responses import json_response
from app.core.permissions import Access
from app.core.request_state import request_state
from app.core.rest import openapi
from app.core.rest.contract import API
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.core.schema import Schema, Text

PAGE = Path(__file__).parent / "page"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
NAMED = {
    "documentation": "Docs",
    "openapi": "OpenApiDocument",
    "health": "Health",
    "readiness": "Readiness",
    "sign_up": "UserList",
    "sign_in": "Login",
    "me": "Me",
}
ASSETS = {
    "docs.html": PAGE,
    "docs.css": PAGE,
    "docs.js": PAGE,
    "swagger-ui.css": SWAGGER_UI,
    "swagger-ui-bundle.js": SWAGGER_UI,
    "favicon-32x32.png": SWAGGER_UI,
}
# Swagger UI draws its icons as data: images; nothing else comes from anywhere but this service.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class EntryPointsSchema(Schema):
    """The entry points of the API."""

    name = Text(1, 80, dump_only=True)
    entry_points = fields.Dict(keys=fields.String(), values=fields.String(), dump_only=True)


class Root(Resource):
    """The root of the API."""

    @endpoint(permission=Access.ANONYMOUS, response=EntryPointsSchema)
    def get(self, _caller: Caller) -> Any:
        """List the entry points."""
        prefix = request_state().prefix
        return {"name": "Agora", "entry_points": {name: prefix + path for name, path in _entry_points()}}


def _entry_points() -> Iterator[tuple[str, str]]:
    """Yield the paths that are in NAMED, and what can be read below /api/v1 without an id, by the words of its URL."""
    for name, resource in NAMED.items():
        yield name, next(current_app.url_map.iter_rules(resource)).rule
    for rule, _ in openapi.described_rules(current_app):
        if rule.rule.startswith(API) and "GET" in (rule.methods or ()) and not rule.arguments:
            yield rule.rule.removeprefix(API).replace("/", "_"), rule.rule


class OpenApiDocument(Resource):
    """The OpenAPI document."""

    @endpoint(permission=Access.ANONYMOUS, media_type="application/json")
    def get(self, _caller: Caller) -> Response:
        """Read this document: OpenAPI 3.1, made from the code."""
        response = json_response({**_document(), "servers": [{"url": request_state().prefix or "/"}]})
        response.headers["Cache-Control"] = "private" if request_state().prefix else "public, max-age=60"
        return response


@cache
def _document() -> dict[str, Any]:
    return openapi.document(current_app)


class Docs(Resource):
    """The documentation page."""

    @endpoint(permission=Access.ANONYMOUS, media_type="text/html")
    def get(self, _caller: Caller) -> Response:
        """Show the documentation as a page."""
        response = _asset("docs.html")
        if prefix := request_state().prefix:
            response.direct_passthrough = False
            response.set_data(response.get_data(as_text=True).replace('="/', f'="{prefix}/'))
            response.headers["Cache-Control"] = "private"
        return response


class DocsAsset(Resource):
    """The files of the documentation page."""

    @endpoint(permission=Access.ANONYMOUS, media_type="*/*", errors=(NotFound,))
    def get(self, _caller: Caller, name: str) -> Response:
        """Read a file of the documentation page."""
        if name not in ASSETS:
            raise NotFound
        return _asset(name)


def _asset(name: str) -> Response:
    response: Response = send_from_directory(ASSETS[name], name, max_age=3600, conditional=False)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
