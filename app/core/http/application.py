"""Flask without what this service has no use for: each thing that is left out took a twentieth of a short request."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import SessionInterface
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host


class NoCookies(SessionInterface):
    """In place of Flask's cookie session, which nothing here uses."""

    def open_session(self, _app: Flask, _request: Request) -> None:
        """Open none; Flask then offers one that refuses to be written to."""


class PlainRequest(Request):
    """A request for an app that has no blueprints, which Flask asks each request for three times."""

    blueprints = ()  # type: ignore[assignment]


class Application(Flask):
    """A Flask app without cookies, asynchronous views, blueprints and hosts that have routes of their own."""

    request_class = PlainRequest
    session_interface = NoCookies()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func`` as it is: none is asynchronous, and Flask looks at each of them on each request."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Look the path up, whatever the host is; one with characters that no host has is the empty text."""
        if request is None:
            return super().create_url_adapter(None)
        request.host = get_host(request.environ)
        return MapAdapter(
            self.url_map,
            server_name=request.host,
            script_name=request.root_path,
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=request.query_string.decode("latin-1"),
        )
