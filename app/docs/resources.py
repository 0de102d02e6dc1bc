"""The entry points, the OpenAPI document, and the page that shows it."""

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
from app.core.rest import openapi
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.core.schema import Schema, Text

PAGE = Path(__file__).parent / "page"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
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
        paths = {
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "health": "/health",
            "readiness": "/health/ready",
            "sign_up": "/api/v1/users",
            "sign_in": "/auth/login",
            "me": "/auth/me",
            "posts": "/api/v1/posts",
            "todos": "/api/v1/todos",
            "files": "/api/v1/files",
            "products": "/api/v1/products",
            "orders": "/api/v1/orders",
            "wallet": "/api/v1/wallet",
            "transfers": "/api/v1/transfers",
        }
        return {"name": "Agora", "entry_points": paths}


class OpenApiDocument(Resource):
    """The OpenAPI document."""

    @endpoint(permission=Access.ANONYMOUS, media_type="application/json")
    def get(self, _caller: Caller) -> Response:
        """Read this document: OpenAPI 3.1, made from the code."""
        response = json_response(_document())
        response.headers["Cache-Control"] = "public, max-age=60"
        return response


@cache
def _document() -> dict[str, Any]:
    return openapi.document(current_app)


class Docs(Resource):
    """The documentation page."""

    @endpoint(permission=Access.ANONYMOUS, media_type="text/html")
    def get(self, _caller: Caller) -> Response:
        """Show the documentation as a page."""
        return _asset("docs.html")


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
