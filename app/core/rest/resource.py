"""The base Resource, and the thin Api that puts resources at URLs. Nothing else imports Flask-RESTful."""

from collections.abc import Iterable
from typing import Any

import flask_restful
from flask import Flask, Response
from werkzeug.routing import BaseConverter, ValidationError

from app.core.rest.endpoint import handle
from app.core.schema import MAX_ID


class Resource(flask_restful.Resource):  # type: ignore[misc]
    """What can be found at one URL: a method for each HTTP method that it takes, with its contract above it."""

    init_every_request = False

    def dispatch_request(self, **path: Any) -> Response:
        """Answer a request as the contract of its method says."""
        return handle(self, path)


class Api(flask_restful.Api):  # type: ignore[misc]
    """Flask-RESTful's routing without its error handling, which answers 500 where there is a handler for the error."""

    def _init_app(self, app: Flask) -> None:
        for resource, urls, options in self.resources:
            self._register_view(app, resource, *urls, **options)


class IdConverter(BaseConverter):
    """An id in a URL: ASCII digits only, and no more than a column holds."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """Return the id. Raises ValidationError, which makes a 404, for one that no row can have."""
        if int(value) > MAX_ID:
            raise ValidationError
        return int(value)


def route(app: Flask, routes: Iterable[tuple[str, type[Resource]]]) -> None:
    """Put each resource at its URL. Raises TypeError for a handler that declares no contract: it would be open."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    api = Api()
    for url, resource in routes:
        for method in resource.methods or ():
            if not hasattr(getattr(resource, method.lower()), "contract"):
                raise TypeError(f"{resource.__name__} declares nothing for {method}: use @endpoint(...).")
        api.add_resource(resource, url, endpoint=resource.__name__)
    api.init_app(app)
