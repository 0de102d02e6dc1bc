"""What comes in and goes out of signing in."""

from marshmallow import fields

from app.core.schema import Boolean, Id, Integer, Schema, Text, Timestamp
from app.users.models import EMAIL_LENGTH
from app.users.password_policy import LONGEST
from app.users.schemas import AccountSchema


class CredentialsSchema(Schema):
    """What a member signs in with; not checked for form, so that no answer says more than "wrong"."""

    email = Text(1, EMAIL_LENGTH, required=True)
    password = Text(1, LONGEST, required=True, load_only=True)


class ConfirmationSchema(Schema):
    """What proves that the caller is still the same person."""

    password = Text(1, LONGEST, required=True, load_only=True)


class TokensSchema(Schema):
    """A new pair of tokens, and whose they are."""

    access_token = Text(1, 2000, dump_only=True)
    refresh_token = Text(1, 2000, dump_only=True)
    token_type = Text(1, 20, dump_only=True, metadata={"description": "Always `Bearer`."})
    expires_in = Integer(1, 86400, dump_only=True, metadata={"description": "Seconds that the access token lives."})
    user = fields.Nested(AccountSchema, dump_only=True)


class BrowserCredentialsSchema(CredentialsSchema):
    """What a member signs in with in a browser."""

    remember = Boolean(metadata={"description": "Whether the cookies outlive the browser; otherwise they go with it."})


class BrowserSessionSchema(Schema):
    """Whose the session of the cookies is."""

    user = fields.Nested(AccountSchema, dump_only=True)
    csrf_token = Text(
        1,
        100,
        dump_only=True,
        allow_none=True,
        metadata={
            "description": "What writes repeat as `X-CSRF-TOKEN`; null where a header was sent, and none is needed."
        },
    )


class NewBrowserSessionSchema(BrowserSessionSchema):
    """Whose the session of the cookies is that were set."""

    expires_in = Integer(1, 86400, dump_only=True, metadata={"description": "Seconds that the access cookie lives."})


class SessionSchema(Schema):
    """One session of a member."""

    id = Id(dump_only=True)
    created_at = Timestamp(dump_only=True)
    last_used_at = Timestamp(
        dump_only=True, metadata={"description": "When it was begun, or refreshed for the last time."}
    )
    address = Text(0, 45, dump_only=True)
    agent = Text(0, 200, dump_only=True)
    current = Boolean(dump_only=True, metadata={"description": "Whether it is the session that asks."})


class MessageSchema(Schema):
    """A message for a person."""

    message = Text(1, 200, dump_only=True)


class PermissionsSchema(Schema):
    """The table of roles, and what the caller may do."""

    roles = fields.Dict(
        keys=fields.String(), values=fields.List(fields.String()), dump_only=True, metadata={"example": {"member": []}}
    )
    own = fields.List(fields.String(), dump_only=True)
