"""What a handler declares, and what follows from it.

``@endpoint(...)`` stands above a handler and is its whole contract with clients: who may call it, what comes in, what
goes out. From this one declaration the request is authenticated, authorised, validated and executed, in this order,
the answer is serialised, and the OpenAPI document is made; so the document cannot drift.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple

from flask import Response, g, request
from flask.globals import request_ctx

from app.core.caller import ANONYMOUS, Caller, authenticate
from app.core.errors import Unauthorized
from app.core.http import conditional, idempotency
from app.core.http.multipart import receive_file
from app.core.http.request_body import READING, json_body, read_body
from app.core.http.responses import json_response, shown_response, without_ids
from app.core.lists.page import page_of
from app.core.parameters import read_parameters
from app.core.permissions import Access
from app.core.representation import dump
from app.core.rest.contract import Contract
from app.core.schema import Schema, load
from app.core.unit_of_work import dry_run, unit_of_work

Handler = Callable[..., Any]


class Endpoint(Contract):
    """A contract, and the decorator that puts it before a handler."""

    def __call__(self, handler: Handler) -> Handler:
        """Put the contract before ``handler``."""

        @wraps(handler)
        def perform(resource: Any, **path: int) -> Response:
            asked = request_ctx.request  # Not through its proxy: 40 look-ups were a tenth of a short request.
            rule = asked.url_rule.rule if asked.url_rule else ""
            return _perform(_Call(self, resource, partial(handler, resource), path, asked.method, rule, asked.environ))

        perform.contract = self  # type: ignore[attr-defined]
        perform.handler = handler  # type: ignore[attr-defined]
        return perform


endpoint = Endpoint


class _Call(NamedTuple):
    """One call of a handler: its contract, the resource that it belongs to, the ids of the path, and the request."""

    contract: Contract
    resource: Any
    handler: Handler
    path: dict[str, int]
    method: str
    rule: str
    environ: dict[str, Any]

    @property
    def takes_idempotency_key(self) -> bool:
        return self.contract.takes_idempotency_key(self.method, self.rule)


def _perform(call: _Call) -> Response:
    contract = call.contract
    g.cache_control = "private, no-cache" if contract.looks_at_caller else "no-store"
    if call.method in READING:
        return _execute(call)
    if not contract.upload:
        read_body()  # Before the transaction: a slow client must not hold one open.
    prepared = _prepared(call, contract.before_transaction) if contract.before_transaction else None
    return unit_of_work(lambda: _execute(call, prepared))


def _prepared(call: _Call, prepare: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Do what comes before the transaction: authenticate, authorise, validate, and all that is slow."""
    contract = call.contract
    caller = _authorised(contract)
    _targets(call, caller)
    _parameters(call, caller)
    if not contract.upload:
        return prepare(caller, _validated_body(call), **call.path)
    with receive_file() as upload:
        return prepare(caller, upload, **call.path)


def _execute(call: _Call, prepared: dict[str, Any] | None = None) -> Response:
    """Authenticate, authorise, validate, execute and serialise. For a write, all of it is in the transaction.

    Looking the caller up in there keeps a member from writing while being deleted, at no more queries.
    """
    contract = call.contract
    caller = _authorised(contract)
    targets = _targets(call, caller)
    sent = _parameters(call, caller)
    fields = _validated_body(call) if prepared is None else prepared
    if contract.query and not contract.listing:
        fields |= {parameter.name: sent[parameter.name] for parameter in contract.query if parameter.name in sent}

    def answer() -> Response:
        return _answer(contract, call.handler(caller, *targets, **fields), sent, caller=caller)

    key = idempotency.sent_key() if call.takes_idempotency_key else None
    if sent.get("dry_run"):
        g.dry_run = True
        return dry_run(lambda: without_ids(_checked(call, caller, answer)))
    if key is not None:
        return idempotency.once(key, _identity(contract, fields), answer, caller=caller)
    return _checked(call, caller, answer)


def _identity(contract: Contract, body: dict[str, Any]) -> Any:
    """Return the part of a request's body that a repeat has in common with it."""
    if contract.upload:
        return [body["name"], body["sha256"]]
    return json_body() if contract.body else None


def _targets(call: _Call, caller: Caller) -> tuple[Any, ...]:
    """Return what a handler is called with beside the caller: what is to be changed, or the ids of the path."""
    if call.contract.load:
        return (call.contract.load(caller, **call.path),)
    return tuple(call.path.values())


def _parameters(call: _Call, caller: Caller) -> dict[str, Any]:
    if not call.environ.get("QUERY_STRING"):
        return {}
    return read_parameters(call.contract.parameters(call.method, call.rule), caller)


def _checked(call: _Call, caller: Caller, answer: Callable[[], Response]) -> Response:
    """Answer, if the resource is still what an If-Match names."""
    if not (conditional.is_asked(call.environ) and call.contract.checks_if_match(call.method, call.resource)):
        return answer()
    reader = call.resource.get

    def current() -> Response:
        return _answer(reader.contract, reader.handler(call.resource, caller, **call.path), {}, caller=caller)

    response: Response = conditional.execute_if_unchanged(current, answer)
    return response


def _authorised(contract: Contract) -> Caller:
    """Return the caller. Raises Unauthorized, or Forbidden for one without the permission."""
    if not contract.looks_at_caller:
        return ANONYMOUS
    caller = authenticate(for_update=contract.for_update)
    if contract.permission is Access.PUBLIC:
        return caller
    if caller is ANONYMOUS:
        raise Unauthorized
    if isinstance(contract.permission, str):
        caller.demand(contract.permission)
    return caller


def _validated_body(call: _Call) -> dict[str, Any]:
    if call.contract.body is None:
        if call.method == "POST" and read_body():
            load(Schema, json_body())  # A step takes no fields.
        return {}
    return load(call.contract.body, json_body(), partial=call.method == "PATCH")


def _answer(contract: Contract, result: Any, sent: dict[str, Any], *, caller: Caller) -> Response:
    """Serialise what the handler gave, before the transaction ends: what cannot be shown is not kept either."""
    if isinstance(result, Response):
        return result
    if contract.listing:
        page = page_of(contract.listing, result, sent, caller=caller)
        return json_response(page.body, headers={"Link": page.link})
    if contract.response is None:
        return Response(status=contract.status)
    response = shown_response(dump(contract.response, result, caller), contract.status, location=contract.location)
    return conditional.tag(response) if contract.is_tagged(request.method) else response
