"""What comes in and goes out of users."""

from typing import Any

from app.core.caller import Caller
from app.core.permissions import ROLES
from app.core.schema import Boolean, Choice, Email, Id, Schema, Text, Timestamp
from app.users.models import EMAIL_LENGTH, NAME_LENGTH
from app.users.password_policy import LONGEST, NewPassword


class UserSchema(Schema):
    """A member: public fields, and private ones that the member and admins see."""

    private = frozenset({"email", "role", "is_active", "notify_by_email", "email_verified", "updated_at"})

    id = Id(dump_only=True)
    name = Text(*NAME_LENGTH, required=True)
    created_at = Timestamp(dump_only=True)
    email = Email(EMAIL_LENGTH)
    role = Choice(*ROLES)
    is_active = Boolean()
    notify_by_email = Boolean()
    email_verified = Boolean(dump_only=True)
    updated_at = Timestamp(dump_only=True)
    current_password = Text(1, LONGEST, load_only=True)

    @classmethod
    def sees_private(cls, item: Any, caller: Caller) -> bool:
        """The member and admins see all."""
        return bool(caller.id == item.id or caller.may("user:manage"))


class AccountSchema(UserSchema):
    """A member, as the member sees it."""

    @classmethod
    def sees_private(cls, _item: Any, _caller: Caller) -> bool:
        """Who is shown an account is its owner."""
        return True


class SignUpSchema(Schema):
    """What a new member says."""

    email = Email(EMAIL_LENGTH, required=True)
    name = Text(*NAME_LENGTH, required=True)
    password = NewPassword()
