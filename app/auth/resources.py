"""Signing in at its URLs."""

from typing import Any

from flask import request

from app.auth import cookies, service, sessions
from app.auth.models import Session
from app.auth.schemas import (
    BrowserCredentialsSchema,
    BrowserSessionSchema,
    ConfirmationSchema,
    CredentialsSchema,
    MessageSchema,
    NewBrowserSessionSchema,
    PermissionsSchema,
    SessionSchema,
    TokensSchema,
)
from app.core.caller import Caller, bearer_token
from app.core.errors import Forbidden, NotFound, Unauthorized
from app.core.http.client_address import client_address
from app.core.lists.listing import Listing
from app.core.permissions import ROLES, Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.core.unit_of_work import after_commit
from app.users.schemas import AccountSchema
from app.users.service import MANAGE, get_user

SESSIONS = Listing("sessions", SessionSchema, Session, sort={"created_at": Session.created_at})


def _client() -> dict[str, Any]:
    """Return what is noted of the client of a session that begins."""
    return {"address": client_address() or "", "agent": request.headers.get("User-Agent", "")}


class Login(Resource):
    """Signing in."""

    @endpoint(
        permission=Access.ANONYMOUS,
        body=CredentialsSchema,
        before_transaction=service.check_credentials,
        response=TokensSchema,
        errors=(Unauthorized,),
    )
    def post(self, _caller: Caller, **checked: Any) -> Any:
        """Sign in with e-mail and password.

        A wrong password, an unknown address and a disabled account are answered alike.
        """
        return service.sign_in(**checked, **_client())


class Refresh(Resource):
    """Renewing tokens."""

    @endpoint(permission=Access.REFRESH, response=TokensSchema)
    def post(self, _caller: Caller) -> Any:
        """Spend a refresh token, sent as Bearer, for a new pair of tokens.

        Spent again within 10 seconds it works, for the same refresh token; later it ends the whole session.
        """
        token = bearer_token()
        if token is None:
            raise Unauthorized
        return service.refresh(token)


class BrowserSession(Resource):
    """The session of a browser, whose tokens are cookies that a page's scripts cannot read."""

    @endpoint(
        permission=Access.ANONYMOUS,
        body=BrowserCredentialsSchema,
        before_transaction=service.check_browser_credentials,
        response=NewBrowserSessionSchema,
        errors=(Unauthorized,),
    )
    def post(self, _caller: Caller, *, remember: bool, **checked: Any) -> Any:
        """Sign in with e-mail and password; the tokens are cookies.

        Each write then needs the `csrf_token` as the header `X-CSRF-TOKEN`.
        """
        signed_in = service.sign_in(**checked, **_client(), remember=remember)
        cookies.send(signed_in)
        return signed_in

    @endpoint(permission=Access.REFRESH_COOKIE, response=NewBrowserSessionSchema)
    def put(self, _caller: Caller) -> Any:
        """Spend the refresh cookie for new cookies and a new `csrf_token`."""
        refreshed = service.refresh_cookie(bearer_token())
        cookies.send(refreshed)
        return refreshed

    @endpoint(permission=Access.EITHER_COOKIE, response=BrowserSessionSchema)
    def get(self, caller: Caller) -> Any:
        """Read who is signed in, and the present `csrf_token`: for a page that has just been loaded."""
        return {"user": caller.account, "csrf_token": caller.csrf_token}

    @endpoint(permission=Access.EITHER_COOKIE, status=204)
    def delete(self, caller: Caller) -> None:
        """Sign out: the tokens of this session are dead at once, and the cookies deleted."""
        sessions.sign_out(caller)
        if caller.csrf_token is not None:
            after_commit(cookies.forget)


class Logout(Resource):
    """Signing out."""

    @endpoint(permission=Access.SIGNED_IN, response=MessageSchema)
    def post(self, caller: Caller) -> Any:
        """Sign out: the tokens of this session are dead at once."""
        sessions.sign_out(caller)
        return {"message": "Logged out successfully"}


class Confirmation(Resource):
    """Confirming a sign-in."""

    @endpoint(
        permission=Access.SIGNED_IN,
        body=ConfirmationSchema,
        before_transaction=service.check_password,
        status=204,
        errors=(Forbidden,),
    )
    def post(self, caller: Caller) -> None:
        """Confirm who you are: your session is as fresh as after signing in, for 10 minutes.

        A wrong password is 403 `invalid_credentials`.
        """
        service.confirm(caller)


class Me(Resource):
    """The caller."""

    @endpoint(permission=Access.SIGNED_IN, response=AccountSchema)
    def get(self, caller: Caller) -> Any:
        """Read your own account."""
        return caller.account


class SessionList(Resource):
    """The caller's sessions."""

    @endpoint(permission="session:read", listing=SESSIONS)
    def get(self, caller: Caller) -> Any:
        """List your sessions: where you are signed in."""
        return sessions.list_sessions(caller, caller.member_id)

    @endpoint(permission="session:write", status=204)
    def delete(self, caller: Caller) -> None:
        """End all your other sessions."""
        sessions.end_sessions(caller.member_id, but=caller.session_id)


class SessionItem(Resource):
    """One of the caller's sessions."""

    @endpoint(permission="session:write", status=204, errors=(NotFound,))
    def delete(self, caller: Caller, session_id: int) -> None:
        """End one of your sessions."""
        sessions.end_session(caller.member_id, session_id)


class UserSessionList(Resource):
    """A member's sessions."""

    @endpoint(permission=MANAGE, listing=SESSIONS)
    def get(self, caller: Caller, user_id: int) -> Any:
        """List a member's sessions."""
        get_user(caller, user_id)
        return sessions.list_sessions(caller, user_id)

    @endpoint(permission=MANAGE, status=204)
    def delete(self, caller: Caller, user_id: int) -> None:
        """End all sessions of a member, but the one that asks."""
        get_user(caller, user_id)
        sessions.end_sessions(user_id, but=caller.session_id)


class UserSessionItem(Resource):
    """One of a member's sessions."""

    @endpoint(permission=MANAGE, status=204)
    def delete(self, _caller: Caller, user_id: int, session_id: int) -> None:
        """End one of a member's sessions."""
        sessions.end_session(user_id, session_id)


class Permissions(Resource):
    """The table of roles."""

    @endpoint(permission=Access.SIGNED_IN, response=PermissionsSchema)
    def get(self, caller: Caller) -> Any:
        """Read what each role may do, and what you may."""
        return {
            "roles": {role: sorted(permissions) for role, permissions in ROLES.items()},
            "own": sorted(caller.permissions),
        }
