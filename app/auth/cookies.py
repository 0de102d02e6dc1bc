"""The browser's way of signing in: the same tokens, in cookies that no script of a page can read.

Flask-JWT-Extended sets and deletes the cookies, and puts the claim ``csrf`` into each token. A request that writes has
to repeat that claim in a header, which a page of another origin can neither know nor send:
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html.
"""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

from flask import Response, after_this_request, current_app, request
from flask_jwt_extended import set_access_cookies, set_refresh_cookies, unset_jwt_cookies

from app.auth import tokens
from app.core.errors import Forbidden
from app.core.unit_of_work import after_commit

NAMES = {tokens.ACCESS: "JWT_ACCESS_COOKIE_NAME", tokens.REFRESH: "JWT_REFRESH_COOKIE_NAME"}


def settings(*, secure: bool) -> dict[str, Any]:
    """Return Flask-JWT-Extended's settings of cookies.

    ``secure``: they are sent over HTTPS alone, and only this host can have set them (RFC 6265bis, section 4.1.3.2).
    """
    prefix = "__Host-" if secure else ""
    return {
        "JWT_COOKIE_SECURE": secure,
        "JWT_COOKIE_SAMESITE": "Lax",
        "JWT_ACCESS_COOKIE_NAME": f"{prefix}agora_access",
        "JWT_REFRESH_COOKIE_NAME": f"{prefix}agora_refresh",
        "JWT_CSRF_IN_COOKIES": False,  # A page of another origin could not read it there; the answers have it.
    }


def sent_token(audience: str) -> tuple[str, tokens.Claims] | None:
    """Return the token of the cookie for ``audience``, and what it says; None where there is no such cookie.

    Raises Unauthorized for a token that is not valid, Forbidden (``csrf``) for a write that does not repeat its claim.
    """
    config = current_app.config
    token = request.cookies.get(config[NAMES[audience]])
    if not token:
        return None
    claims = tokens.read_token(token, audience=audience)
    if request.method in config["JWT_CSRF_METHODS"]:
        repeated = request.headers.get(config["JWT_ACCESS_CSRF_HEADER_NAME"], "")
        if not claims.csrf_token or not compare_digest(claims.csrf_token.encode(), repeated.encode()):
            raise Forbidden("Send the csrf_token of GET /auth/session as X-CSRF-TOKEN.", code="csrf")
    return token, claims


def send(signed_in: Mapping[str, Any]) -> None:
    """Have the answer set the cookies of a session that has been begun or refreshed, once that is committed."""

    def set_cookies(response: Response) -> Response:
        set_access_cookies(response, signed_in["access_token"], max_age=signed_in["cookie_max_age"])
        set_refresh_cookies(response, signed_in["refresh_token"], max_age=signed_in["cookie_max_age"])
        return response

    def when_committed() -> None:
        after_this_request(set_cookies)

    after_commit(when_committed)


def forget() -> None:
    """Have the answer delete the cookies, whose session has ended: a page cannot delete them, nor do without 401."""

    def unset_cookies(response: Response) -> Response:
        unset_jwt_cookies(response)
        return response

    after_this_request(unset_cookies)
