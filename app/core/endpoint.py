"""What a handler declares, and what follows from it.

``@endpoint(...)`` stands above a handler and is its whole contract with clients: who may call it, what comes in, what
goes out. From this one declaration the request is authenticated, authorised, validated and executed, in this order,
the answer is serialised, and the OpenAPI document is made; so the document cannot drift.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import orjson
from flask import Response, current_app, g, request

from app.core.caller import NOBODY, Caller, recognise_caller
from app.core.errors import AppError, Unauthorized
from app.core.gate import READING, read_json
from app.core.permissions import Access
from app.core.query import Listing, Parameter, link_header, page_of, parameters_of, read_parameters
from app.core.schema import Schema, dump, load
from app.core.transaction import unit_of_work

Handler = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The declaration of one handler, and the decorator that puts it there. A handler's first argument is the caller.

    ``permission``: the permission that the caller needs, or the Access that takes its place.
    ``body``: the schema of the JSON body, which the handler gets as keyword arguments; a PATCH needs none of its
    fields, and a POST or PUT those that are required.
    ``prepare``: called with caller, body and path, gives the body that the handler gets: for what is slow, and so must
    be done before the transaction begins.
    ``answer``: the schema of what the handler returns.
    ``listing``: the handler returns a query, and the answer is a page of it.
    ``status``: the status of success; 204 has no body, 201 a ``Location``.
    ``other_status``: a second status with the same answer, which the handler chooses by a Response of its own.
    ``location``: where the created thing is, with the answer's fields in braces.
    ``errors``: what else can go wrong, beyond what follows from the above.
    """

    permission: str | Access
    body: type[Schema] | None = None
    prepare: Callable[..., dict[str, Any]] | None = None
    answer: type[Schema] | None = None
    listing: Listing | None = None
    status: int = 200
    other_status: int | None = None
    location: str | None = None
    errors: tuple[type[AppError], ...] = ()

    def __call__(self, handler: Handler) -> Handler:
        """Put the contract before ``handler``."""

        @wraps(handler)
        def perform(resource: Any, **path: int) -> Response:
            return _perform(self, partial(handler, resource), path)

        perform.contract = self  # type: ignore[attr-defined]
        return perform

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The query parameters that the endpoint takes."""
        return parameters_of(self.listing)

    @property
    def looks_at_caller(self) -> bool:
        """Whether the answer depends on who asks."""
        return self.permission not in (Access.ANONYMOUS, Access.REFRESH)


endpoint = Contract


def _perform(contract: Contract, handler: Handler, path: dict[str, int]) -> Response:
    caller = _authenticated(contract)
    _authorise(contract, caller)
    sent = read_parameters(contract.parameters)
    body = _validated_body(contract)
    if contract.prepare:
        body = contract.prepare(caller, body, **path)

    def answer() -> Response:
        return _answer(contract, handler(caller, **path, **body), sent, caller=caller)

    if request.method in READING:
        return answer()
    return unit_of_work(answer)


def _authenticated(contract: Contract) -> Caller:
    if not contract.looks_at_caller:
        g.cache_control = "no-store"
        return NOBODY
    g.cache_control = "private, no-cache"
    return recognise_caller()


def _authorise(contract: Contract, caller: Caller) -> None:
    if isinstance(contract.permission, Access):
        if contract.permission is Access.SIGNED_IN and caller is NOBODY:
            raise Unauthorized
        return
    if caller is NOBODY:
        raise Unauthorized
    caller.demand(contract.permission)


def _validated_body(contract: Contract) -> dict[str, Any]:
    if contract.body is None:
        return {}
    return load(contract.body, read_json(), partial=request.method == "PATCH")


def _answer(contract: Contract, result: Any, sent: dict[str, Any], *, caller: Caller) -> Response:
    """Serialise what the handler gave, before the transaction ends: what cannot be shown is not kept either."""
    if isinstance(result, Response):
        return result
    if contract.listing:
        page = page_of(contract.listing, result, sent, caller=caller)
        return json_response(page, headers={"Link": link_header(page["page"], page["pages"])})
    if contract.answer is None:
        return Response(status=contract.status)
    shown = dump(contract.answer, result, caller)
    headers = {"Location": contract.location.format(**shown)} if contract.location else None
    return json_response(shown, contract.status, headers=headers)


def json_response(value: Any, status: int = 200, *, headers: dict[str, str] | None = None) -> Response:
    """Make a JSON answer: UTF-8, moments as RFC 3339 with ``Z``."""
    response: Response = current_app.response_class(
        orjson.dumps(value, option=orjson.OPT_UTC_Z) + b"\n", status, headers, mimetype="application/json"
    )
    return response
