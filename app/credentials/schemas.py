"""What comes in to change, reset and verify."""

from app.core.schema import Email, Schema, Text
from app.users.models import EMAIL_LENGTH
from app.users.password_policy import LONGEST, NewPassword


class PasswordChangeSchema(Schema):
    """The password that a member has, and the one that takes its place."""

    current_password = Text(1, LONGEST, required=True, load_only=True)
    new_password = NewPassword()


class ForgottenPasswordSchema(Schema):
    """Whose password is forgotten."""

    email = Email(EMAIL_LENGTH, required=True)


class MailedTokenSchema(Schema):
    """The token of a mail's link."""

    token = Text(1, 2000, required=True, load_only=True)


class PasswordResetSchema(MailedTokenSchema):
    """The token of a mail's link, and the new password."""

    password = NewPassword()
