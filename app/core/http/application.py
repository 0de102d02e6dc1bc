"""Flask, with three of its documented methods overridden where a short request pays for what nobody uses.

Blueprints, asynchronous views, sessions and ``url_for`` work as Flask documents them (tests/core/test_flask.py).
Together they were a fifth of the time of a short request.
"""

from collections.abc import Callable
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from app.core.http.json_provider import OrjsonProvider

is_asynchronous = lru_cache(1024)(iscoroutinefunction)


class LazySessions(SecureCookieSessionInterface):
    """Flask's own session in a signed cookie, of which a request that has none and uses none sees no trace.

    Flask makes a signer for each request, whether there is something to sign or not.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of the request's cookie, a new and empty one where there is no cookie."""
        if app.secret_key and "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set or delete the cookie, if the session was looked at or has something in it."""
        if session or session.accessed:
            super().save_session(app, session, response)


class Application(Flask):
    """A Flask app in all but how soon it knows that there is nothing to do."""

    json_provider_class = OrjsonProvider
    session_interface = LazySessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func``, an asynchronous one as Flask makes it synchronous; which it is, is looked up once."""
        return super().ensure_sync(func) if is_asynchronous(func) else func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what looks the path up. Where the host decides nothing, it is not parsed."""
        decides = self.url_map.host_matching or self.subdomain_matching or self.config["TRUSTED_HOSTS"] is not None
        if request is None or decides or self.config["SERVER_NAME"] is not None:
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map,
            server_name=get_host(request.environ),
            script_name=request.root_path,
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=request.query_string.decode("latin-1"),
        )
