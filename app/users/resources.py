"""Users at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import Conflict, NotFound
from app.core.lists.listing import Filter, Listing
from app.core.permissions import Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.users import service
from app.users.models import User, email_key
from app.users.schemas import AccountSchema, SignUpSchema, UserSchema

USERS = Listing(
    "users",
    UserSchema,
    User,
    sort={"created_at": User.created_at, "name": User.name},
    filters={
        "created_at": Filter(User.created_at),
        "email": Filter(User.email_key, permission=service.MANAGE, prepare=email_key),
        "role": Filter(User.role, permission=service.MANAGE),
        "is_active": Filter(User.is_active, permission=service.MANAGE),
    },
)

CHANGE = endpoint(
    permission="user:write",
    load=service.changeable_user,
    body=UserSchema,
    before_transaction=service.check_update,
    response=UserSchema,
    errors=(NotFound, Conflict),
    for_update=True,
    fresh_fields=frozenset({"role"}),
)


class UserList(Resource):
    """All members."""

    @endpoint(permission=Access.PUBLIC, listing=USERS)
    def get(self, caller: Caller) -> Any:
        """List members: the active ones; admins see all."""
        return service.list_users(caller)

    @endpoint(
        permission=Access.ANONYMOUS,
        body=SignUpSchema,
        before_transaction=service.with_hashed_password,
        response=AccountSchema,
        status=201,
        location="/api/v1/users/{id}",
        errors=(Conflict,),
    )
    def post(self, _caller: Caller, **fields: Any) -> Any:
        """Sign up, and be sent a link that verifies the address.

        It must not have an account yet, in whatever case: 409 `email_taken`.
        """
        return service.sign_up(**fields)


class UserItem(Resource):
    """One member."""

    @endpoint(permission=Access.PUBLIC, response=UserSchema, errors=(NotFound,))
    def get(self, caller: Caller, user_id: int) -> Any:
        """Read a member. E-mail, role and state are shown to the member and to admins."""
        return service.get_user(caller, user_id)

    @CHANGE
    def put(self, caller: Caller, user_id: int, **fields: Any) -> Any:
        """Replace a member's name; what else is absent stays as it is.

        One's own `email` changes only with `current_password` beside it; a wrong one is 403 `invalid_credentials`.
        A changed address is unverified: it is sent a link to verify it, and the old one is told. `role` and
        `is_active` are for admins.
        """
        return service.update_user(caller, user_id, **fields)

    @CHANGE
    def patch(self, caller: Caller, user_id: int, **changes: Any) -> Any:
        """Change some of a member's fields.

        One's own `email` changes only with `current_password` beside it; a wrong one is 403 `invalid_credentials`.
        A changed address is unverified: it is sent a link to verify it, and the old one is told. `role` and
        `is_active` are for admins.
        """
        return service.update_user(caller, user_id, **changes)

    @endpoint(
        permission="user:write",
        load=service.changeable_user,
        status=204,
        for_update=True,
        fresh=True,
        errors=(NotFound, Conflict),
    )
    def delete(self, _caller: Caller, user_id: int) -> None:
        """Delete an account: the person, and what is the person's, is erased for good.

        That is name, e-mail, password, posts, todos, files, notifications, sessions, and the memos of all transfers,
        whoever wrote them. Products are withdrawn. The books stay, and the audit log without addresses, under "deleted
        member". 409 `account_not_empty` with credits or an open order.
        """
        service.delete_user(user_id)
