"""Signing in: tokens, the sessions behind them, and who a request speaks for.

A session and its refresh tokens live 30 days from signing in; refreshing does not prolong it. `last_used_at` is when a
session was begun or refreshed for the last time.
"""

from flask import Flask

from app.auth import authentication, tokens
from app.core import caller
from app.extensions import jwt
from app.users import passwords


def init_app(app: Flask) -> None:
    """Authenticate callers by their access tokens."""
    app.config.from_mapping(tokens.SETTINGS)
    jwt.init_app(app)
    caller.init_app(app, authentication)
    with app.app_context():
        passwords.warm_up()
