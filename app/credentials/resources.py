"""Passwords and addresses at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import Forbidden
from app.core.permissions import Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.credentials import service
from app.credentials.schemas import (
    ForgottenPasswordSchema,
    MailedTokenSchema,
    PasswordChangeSchema,
    PasswordResetSchema,
)


class Password(Resource):
    """The caller's password."""

    @endpoint(
        permission=Access.SIGNED_IN,
        body=PasswordChangeSchema,
        before_transaction=service.check_change,
        status=204,
        for_update=True,
        errors=(Forbidden,),
    )
    def put(self, caller: Caller, **hashes: Any) -> None:
        """Change your password: all your other sessions end, and a mail tells you of it.

        A wrong `current_password` is 403 `invalid_credentials`.
        """
        service.change_password(caller, **hashes)


class ForgottenPassword(Resource):
    """A password that is forgotten."""

    @endpoint(permission=Access.ANONYMOUS, body=ForgottenPasswordSchema, status=202)
    def post(self, _caller: Caller, *, email: str) -> None:
        """Have a link sent by which a new password can be set.

        The answer is the same, after the same work, whether the address has an account or not.
        """
        service.request_reset(email)


class PasswordReset(Resource):
    """Setting a new password by a mail's link."""

    @endpoint(permission=Access.ANONYMOUS, body=PasswordResetSchema, before_transaction=service.check_reset, status=204)
    def post(self, _caller: Caller, *, token: str, new_hash: str) -> None:
        """Set a new password with the token of a mail's link, which works once, for an hour, the newest only.

        All sessions end, and none begins: sign in afterwards. A token that is unknown, spent, expired or of another
        purpose is 400 `invalid_token`; one that comes with a password that is refused is not spent.
        """
        service.reset_password(token, new_hash=new_hash)


class EmailVerification(Resource):
    """Asking for a link that verifies the caller's address."""

    @endpoint(permission=Access.SIGNED_IN, status=202, for_update=True)
    def post(self, caller: Caller) -> None:
        """Have a link sent to your present address that verifies it; nothing is sent if it is verified already."""
        service.request_verification(caller)


class VerifiedEmail(Resource):
    """Verifying an address by a mail's link."""

    @endpoint(permission=Access.ANONYMOUS, body=MailedTokenSchema, status=204)
    def post(self, _caller: Caller, *, token: str) -> None:
        """Verify an address with the token of a mail's link, which works once, for 24 hours, the newest only.

        A token that is unknown, spent, expired, of another purpose or of a former address is 400 `invalid_token`.
        """
        service.verify_email(token)
