"""Who may call an operation, and by what, as the OpenAPI document says it."""

from typing import Any

from flask import Flask

from app.core.permissions import Access
from app.core.rest.contract import Contract

Json = dict[str, Any]

# What says who is asking, by what an endpoint declares; nothing where credentials are not looked at.
WAYS: dict[Any, tuple[str, ...]] = {
    Access.ANONYMOUS: (),
    Access.REFRESH: ("refresh_token",),
    Access.REFRESH_COOKIE: ("refresh_cookie", "refresh_token"),
    Access.EITHER_COOKIE: ("access_token", "access_cookie", "refresh_cookie"),
}
TOKEN_OR_COOKIE = ("access_token", "access_cookie")
COOKIES = ("access_cookie", "refresh_cookie")
FRESH = "Needs a fresh sign-in, 403 `fresh_sign_in_required` without: of the last 10 minutes, or `POST /auth/confirm`."


def security_schemes(app: Flask) -> Json:
    """Return the ways to say who is asking; a write by cookie needs the CSRF token as well."""
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {
        "access_token": bearer,
        "refresh_token": bearer,
        "access_cookie": {"type": "apiKey", "in": "cookie", "name": app.config["JWT_ACCESS_COOKIE_NAME"]},
        "refresh_cookie": {"type": "apiKey", "in": "cookie", "name": app.config["JWT_REFRESH_COOKIE_NAME"]},
        "csrf_token": {"type": "apiKey", "in": "header", "name": app.config["JWT_ACCESS_CSRF_HEADER_NAME"]},
    }


def security_of(contract: Contract, *, reads: bool) -> list[Json]:
    """Return the requirements of which one has to be met."""
    names = WAYS.get(contract.permission, TOKEN_OR_COOKIE)
    ways: list[Json] = [{name: []} if reads or name not in COOKIES else {name: [], "csrf_token": []} for name in names]
    return [{}, *ways] if contract.permission is Access.PUBLIC else ways


def access(contract: Contract) -> str:
    """Return in words who may call it."""
    permission = contract.permission
    words = permission.value if isinstance(permission, Access) else f"Needs the permission `{permission}`."
    if contract.fresh:
        return f"{words} {FRESH}"
    fields = ", ".join(f"`{name}`" for name in sorted(contract.fresh_fields))
    return f"{words} With {fields}: {FRESH}" if fields else words
