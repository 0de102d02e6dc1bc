"""The headers that every answer has: the request's id, what keeps browsers safe, and who may keep a copy."""

import re
import uuid

from flask import Flask, Request, Response, current_app, g, request
from flask.sessions import SessionInterface

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")

# What https://owasp.org/www-project-secure-headers/ asks of an API, whose answers are never shown as a page.
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HSTS = "max-age=31536000; includeSubDomains"

EXPOSED = [
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Idempotent-Replayed",
    "Dry-Run",
]


class NoCookies(SessionInterface):
    """In place of Flask's cookie session, which nothing here uses: it costs a tenth of a short request."""

    def open_session(self, _app: Flask, _request: Request) -> None:
        """Open none; Flask then offers one that refuses to be written to."""


def init_app(app: Flask) -> None:
    """Name every request, and finish every answer."""
    app.session_interface = NoCookies()
    app.before_request(_name_request)
    app.after_request(_finish)


def _name_request() -> None:
    sent = request.headers.get("X-Request-ID", "")
    g.request_id = sent if REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-ID"] = g.request_id
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    if request.is_secure:
        headers["Strict-Transport-Security"] = HSTS
    if g.get("dry_run"):
        headers["Dry-Run"] = "true"
    cache_control = g.get("cache_control", "no-store")
    headers.setdefault("Cache-Control", cache_control)
    if cache_control.startswith("private"):
        response.vary.update(("Authorization", "Cookie"))
    if current_app.config["CORS_ORIGINS"]:
        response.vary.add("Origin")  # Flask-CORS leaves it out where there is only one origin.
    return response
