"""Signing in: tokens, the sessions behind them, and who a request speaks for.

A session and its refresh tokens live 30 days from signing in; refreshing does not prolong it. `last_used_at` is when a
session was begun or refreshed for the last time.

The same session can be had by tokens in a header (`/auth/login`) or, for pages in a browser, by cookies that their
scripts cannot read (`/auth/session`). Where both are sent, the header counts. What writes by cookie needs the
`csrf_token` of that answer in the header `X-CSRF-TOKEN`: 403 `csrf` without. A refresh makes a new one; `GET
/auth/session` tells the present one. A 401 of a session that has ended deletes its cookies.
"""

from flask import Flask

from app.auth import authentication, cookies, tokens
from app.core import caller
from app.extensions import jwt
from app.users import passwords


def init_app(app: Flask) -> None:
    """Authenticate callers by their tokens, sent in a header or as cookies."""
    app.config.from_mapping(tokens.SETTINGS)
    app.config.from_mapping(cookies.settings(secure=app.config["FLASK_ENV"] == "production"))
    jwt.init_app(app)
    caller.init_app(app, authentication)
    with app.app_context():
        passwords.warm_up()
