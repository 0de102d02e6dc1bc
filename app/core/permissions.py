"""Who may do what: the one table of roles, and the ways in which an endpoint can be open without a permission."""

from enum import Enum

MEMBER = frozenset(
    {
        "user:write",
        "session:read",
        "session:write",
        "audit:read",
        "post:write",
        "job:read",
        "job:write",
        "notification:read",
        "notification:write",
        "todo:read",
        "todo:write",
        "file:read",
        "file:write",
        "product:write",
        "order:read",
        "order:write",
        "wallet:read",
        "transfer:read",
        "transfer:write",
        "report:write",
    }
)
MODERATOR = MEMBER | {"post:moderate", "product:moderate"}
TREASURER = MEMBER | {
    "wallet:audit",
    "transfer:audit",
    "transfer:reverse",
    "credit:issue",
    "ledger:read",
    "report:community",
}
ADMIN = MODERATOR | TREASURER | {"user:manage"}

ROLES = {"member": MEMBER, "moderator": MODERATOR, "treasurer": TREASURER, "admin": ADMIN}


class Access(Enum):
    """What an endpoint declares in place of a permission."""

    ANONYMOUS = "Open to all. Credentials are not looked at."
    PUBLIC = "Open to all. Who sends a token is recognised, and may see more."
    SIGNED_IN = "Open to every signed-in caller."
    REFRESH = "Takes a refresh token in place of an access token."
    REFRESH_COOKIE = "Takes the refresh cookie in place of an access token."
    EITHER_COOKIE = "Open to every signed-in caller; the refresh cookie will do where the access cookie has expired."
