"""What a handler declares: who may call it, what comes in, what goes out.

``@endpoint(...)`` stands above a handler and is its whole contract with clients. From this one declaration a request is
authenticated, authorised, validated and executed, the response is serialised, and the OpenAPI document is made; so the
document cannot drift.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.core.errors import AppError
from app.core.http.request_body import READING
from app.core.lists.listing import Listing
from app.core.parameters import TRUE_OR_FALSE, Parameter
from app.core.permissions import Access
from app.core.schema import Schema

API = "/api/v1/"
Handler = TypeVar("Handler", bound=Callable[..., Any])
DRY_RUN = Parameter("dry_run", "Answer as the write would, and leave no trace.", TRUE_OR_FALSE)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The declaration of one handler. A handler's first argument is the caller.

    ``permission``: the permission that the caller needs, or the Access that takes its place.
    ``load``: called with caller and path in the transaction, returns what is to be changed, locked, which the handler
    gets in place of the path's ids. It raises NotFound or Forbidden, which come before what is wrong with the body.
    ``body``: the schema of the JSON body, which the handler gets as keyword arguments; a PATCH needs none of its
    fields, and a POST or PUT those that are required.
    ``upload``: the body is multipart/form-data with one file in place of JSON; ``before_transaction`` gets it as an
    Upload. What it returns has at least the ``name`` and ``sha256``, which tell one request from another.
    ``before_transaction``: called with caller, body and path, returns the body that the handler gets: for what is slow,
    and so must be done before the transaction begins. What is to be changed is not loaded yet.
    ``response``: the schema of what the handler returns.
    ``media_type``: what the answer is where the handler makes a Response of its own.
    ``accepts_ranges``: that Response has an entity tag, and a part of it can be asked for (RFC 9110, section 14).
    ``listing``: the handler returns a query, and the answer is a page of it.
    ``query``: further query parameters. The handler gets those that were sent as keyword arguments; those of a list are
    for its ``extend``.
    ``status``: the status of success; 204 has no body, 201 and 202 a ``Location``.
    ``other_status``: a second status with the same answer, which the handler chooses by a Response of its own.
    ``location``: where the created thing is, with the answer's fields in braces.
    ``for_update``: the caller's own row may be what is changed, or guards a limit of the caller's own, so it is locked
    as such from the start.
    ``fresh``: the caller has signed in, or confirmed it, within the last 10 minutes, else 403.
    ``fresh_fields``: the same, where one of these fields of the body is sent.
    ``errors``: what else can go wrong, beyond what follows from the above.
    """

    permission: str | Access
    load: Callable[..., Any] | None = None
    body: type[Schema] | None = None
    upload: bool = False
    before_transaction: Callable[..., dict[str, Any]] | None = None
    response: type[Schema] | None = None
    media_type: str | None = None
    accepts_ranges: bool = False
    listing: Listing | None = None
    query: tuple[Parameter, ...] = ()
    status: int = 200
    other_status: int | None = None
    location: str | None = None
    for_update: bool = False
    fresh: bool = False
    fresh_fields: frozenset[str] = frozenset()
    errors: tuple[type[AppError], ...] = ()

    def __call__(self, handler: Handler) -> Handler:
        """Declare this of ``handler``, which is otherwise left as it is."""
        handler.contract = self  # type: ignore[attr-defined]
        return handler

    @property
    def looks_at_caller(self) -> bool:
        """Whether the response depends on who asks."""
        return self.permission not in (Access.ANONYMOUS, Access.REFRESH, Access.REFRESH_COOKIE)

    @property
    def may_be_kept(self) -> bool:
        """Whether the caller's own browser may keep the response: it shows no token."""
        return self.looks_at_caller and self.permission is not Access.EITHER_COOKIE

    @property
    def needs_caller(self) -> bool:
        """Whether nobody is answered who has not signed in."""
        return self.looks_at_caller and self.permission is not Access.PUBLIC

    def parameters(self, method: str, url: str) -> tuple[Parameter, ...]:
        """Return the query parameters that the endpoint takes when it handles ``method`` at ``url``."""
        if self.listing:
            return (*self.listing.parameters, *self.query)
        can_be_dry = method not in READING and url.startswith(API) and not self.upload
        return (*self.query, DRY_RUN) if can_be_dry else self.query

    def takes_idempotency_key(self, method: str, url: str) -> bool:
        """Return whether a repeat with the same key is answered without a second effect."""
        return method == "POST" and url.startswith(API) and self.looks_at_caller

    def is_tagged(self, method: str) -> bool:
        """Return whether the answer has an entity tag."""
        shows_resource = method in (*READING, "PUT", "PATCH") or self.status == 201 or self.load is not None
        shown = self.response is not None and shows_resource and (self.may_be_kept or self.status == 201)
        return shown or self.accepts_ranges

    def checks_if_match(self, method: str, resource: Any) -> bool:
        """Return whether a write is refused when the resource has changed since the client has read it."""
        reader = getattr(resource, "get", None)
        return method in ("PUT", "PATCH", "DELETE") and reader is not None and reader.contract.is_tagged("GET")
