"""The way of a request: from the URL to the handler, and from what the handler returns to the response.

A request is authenticated, authorised, validated and executed, and the first refusal in this order is the one that the
client gets. All of a write that touches the database is one transaction, and nothing slow is in it: neither a client
that is still sending its body, nor the validation of that. So what was sent is validated before the transaction begins,
once the token has proved to be ours; what is wrong with it is told in its turn, after the member's session and
permission (401, 403) and what is to be changed (404, 403), each of which is one statement inside.
"""

from functools import partial
from typing import Any

from flask import Response, request

from app.core.caller import ANONYMOUS, Caller, Credentials, hold, identify, sent_credentials
from app.core.errors import AppError, Unauthorized
from app.core.http import conditional, idempotency
from app.core.http.multipart import receive_file
from app.core.http.request_body import READING, parse_json, read_body
from app.core.http.responses import json_response, shown_response, without_ids
from app.core.lists.page import page_of
from app.core.parameters import read_parameters
from app.core.permissions import Access
from app.core.representation import dump
from app.core.request_state import request_state
from app.core.rest.call import Call, Sent
from app.core.rest.contract import Contract
from app.core.schema import Schema, load
from app.core.unit_of_work import roll_back_with, unit_of_work

endpoint = Contract  # A declaration, by the name that it has above a handler: @endpoint(permission=...).


def handle(resource: Any, path: dict[str, Any]) -> Response:
    """Answer the request under way by the method of ``resource`` that it asks for; ``path`` is what its URL names."""
    call = Call.of_request(resource, path)
    contract = call.contract
    request_state().cache_control = "private, no-cache" if contract.may_be_kept else "no-store"
    credentials = _authenticated(contract)
    if call.method in READING:
        caller = _authorised(contract, credentials)
        return _execute(call, caller, _received(call, caller))
    sent = _received(call, ANONYMOUS)
    known = None
    if contract.before_transaction:
        known = _authorised(contract, credentials)
        sent = _prepared(call, known, sent)
    return unit_of_work(partial(_write, call, credentials, known, sent))


def _write(call: Call, credentials: Credentials | None, known: Caller | None, sent: Sent) -> Response:
    """Do the part of a write that is one transaction. In it the member's row is held: nobody is deleted while writing.

    The caller is ``known`` where something slow has come before.
    """
    if known is None:
        return _execute(call, _authorised(call.contract, credentials), sent)
    hold(known, for_update=call.contract.for_update)
    return _execute(call, known, sent)


def _execute(call: Call, caller: Caller, sent: Sent) -> Response:
    """Load what is to be changed, refuse what is not valid or out of date, call the handler, and serialise."""
    targets = _loaded(call, caller)
    fields = sent.valid_fields()
    if call.contract.fresh_fields & fields.keys():
        caller.demand_fresh()
    _demand_unchanged(call, caller)
    answer = partial(_answer, call, caller, targets, fields, sent.parameters)
    key = idempotency.sent_key() if call.takes_idempotency_key else None
    if sent.parameters.get("dry_run"):
        request_state().is_dry_run = True
        roll_back_with(without_ids(answer()))
    if key is not None:
        return idempotency.once(key, sent.identity, answer, caller=caller)
    return answer()


def _authenticated(contract: Contract) -> Credentials | None:
    """Return what the token says, None for an anonymous caller. No statement is sent for it.

    Raises Unauthorized, or Forbidden for a write by cookie without its CSRF token.
    """
    or_refresh = contract.permission is Access.EITHER_COOKIE
    credentials = sent_credentials(or_refresh=or_refresh) if contract.looks_at_caller else None
    if credentials is None and contract.needs_caller:
        raise Unauthorized
    return credentials


def _authorised(contract: Contract, credentials: Credentials | None) -> Caller:
    """Return the caller. Raises Unauthorized when the session has ended, Forbidden without the permission."""
    if credentials is None:
        return ANONYMOUS
    caller = request_state().caller = identify(credentials, for_update=contract.for_update)
    if isinstance(contract.permission, str):
        caller.demand(contract.permission)
    if contract.fresh:
        caller.demand_fresh()
    return caller


def _received(call: Call, caller: Caller) -> Sent:
    """Read, parse and validate what was sent. The refusal of what is not valid is kept until its turn has come."""
    contract = call.contract
    has_body = call.method not in READING and not contract.upload
    raw = read_body() if has_body else b""  # Also where nothing is done with it: a client may be slow.
    parameters: dict[str, Any] = {}
    value = None
    try:
        if call.environ.get("QUERY_STRING"):
            parameters = read_parameters(contract.parameters(call.method, call.rule), caller)
        fields = (
            {} if contract.listing else {p.name: parameters[p.name] for p in contract.query if p.name in parameters}
        )
        if has_body and contract.body:
            value = parse_json(raw)
            fields |= load(contract.body, value, partial=call.method == "PATCH")
        elif call.method == "POST" and raw:
            load(Schema, parse_json(raw))  # A step takes no fields.
    except AppError as refusal:
        return Sent(parameters, {}, refusal=refusal)
    return Sent(parameters, fields, identity=value)


def _prepared(call: Call, caller: Caller, sent: Sent) -> Sent:
    """Do what is slow, unless the request will be refused anyway."""
    contract = call.contract
    if contract.load is None:
        sent.valid_fields()  # Nothing else comes before this refusal.
    prepare = contract.before_transaction
    if prepare is None or sent.refusal:
        return sent
    if not contract.upload:
        return sent._replace(fields=prepare(caller, sent.fields, **call.path))
    with receive_file() as upload:
        return sent._replace(fields=prepare(caller, upload, **call.path), identity=[upload.name, upload.sha256])


def _loaded(call: Call, caller: Caller) -> tuple[Any, ...]:
    """Return what a handler is called with beside the caller: what is to be changed, or the ids of the path."""
    if call.contract.load:
        return (call.contract.load(caller, **call.path),)
    return tuple(call.path.values())


def _demand_unchanged(call: Call, caller: Caller) -> None:
    """Raise PreconditionFailed unless what is to be changed, locked by now, is still what an If-Match names."""
    if not (conditional.is_asked(call.environ) and call.contract.checks_if_match(call.method, call.resource)):
        return
    reader = call.resource.get
    current = reader(caller, **call.path)
    conditional.demand_unchanged(_serialised(reader.contract, current, {}, caller=caller))


def _answer(
    call: Call, caller: Caller, targets: tuple[Any, ...], fields: dict[str, Any], parameters: dict[str, Any]
) -> Response:
    """Call the handler, and serialise before the transaction ends: what cannot be shown is not kept either."""
    return _serialised(call.contract, call.handler(caller, *targets, **fields), parameters, caller=caller)


def _serialised(contract: Contract, result: Any, parameters: dict[str, Any], *, caller: Caller) -> Response:
    if isinstance(result, Response):
        return result
    if contract.listing:
        page = page_of(contract.listing, result, parameters, caller=caller)
        return json_response(page.body, headers={"Link": page.link})
    if contract.response is None:
        return Response(status=contract.status)
    response = shown_response(dump(contract.response, result, caller), contract.status, location=contract.location)
    return conditional.tag(response) if contract.is_tagged(request.method) else response
