"""Flask, whose session costs nothing where nobody uses one."""

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class LazySessions(SecureCookieSessionInterface):
    """Flask's own session in a signed cookie, of which a request that has none and uses none sees no trace.

    Flask makes a signer for each request, whether there is something to sign or not: a fifth of a short request.
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
    """A Flask app in all but how it opens sessions."""

    session_interface = LazySessions()
