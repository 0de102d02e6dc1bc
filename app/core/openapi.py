"""The OpenAPI 3.1 document, made from what each handler declares."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from marshmallow import fields
from werkzeug.routing import Rule

from app.core.endpoint import Contract
from app.core.errors import (
    AppError,
    BadRequest,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)
from app.core.gate import JSON_TYPE, MERGE_PATCH_TYPE
from app.core.permissions import Access
from app.core.query import Listing
from app.core.schema import MAX_ID, Schema

VERSION = "1.0.0"
DESCRIPTION = """The backend of a community marketplace.

Sign up at `POST /api/v1/users`, sign in at `POST /auth/login`, and send the `access_token` as
`Authorization: Bearer ...`. Errors have one shape on every path; a client that accepts `application/problem+json`
gets them as RFC 9457. Times are RFC 3339 in UTC. A `PATCH` is a JSON Merge Patch (RFC 7396). Every answer has an
`X-Request-ID`: yours, if you send one of 8 to 128 letters, digits, dots, dashes and underscores.
"""
Json = dict[str, Any]

ERROR: Json = {
    "type": "object",
    "required": ["error", "message", "code", "request_id"],
    "properties": {
        "error": {"type": "string", "description": "The status in words."},
        "message": {"type": "string", "description": "For a person."},
        "code": {"type": "string", "description": "For a program."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "What is wrong, by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "additionalProperties": False,
}
PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        **{name: ERROR["properties"][name] for name in ("code", "request_id", "errors")},
    },
    "additionalProperties": False,
}
ENVELOPE: Json = {
    "page": {"type": "integer", "minimum": 1},
    "per_page": {"type": "integer", "minimum": 1},
    "total": {"type": "integer", "minimum": 0},
    "pages": {"type": "integer", "minimum": 0},
    "has_more": {"type": "boolean"},
}
SECURITY_SCHEMES: Json = {
    "access_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "refresh_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
SECURITY: dict[Access, list[Json]] = {
    Access.ANONYMOUS: [],
    Access.PUBLIC: [{}, {"access_token": []}],
    Access.SIGNED_IN: [{"access_token": []}],
    Access.REFRESH: [{"refresh_token": []}],
}


def document(app: Flask) -> Json:
    """Give the whole document for the routes of ``app``."""
    spec = APISpec("Agora", VERSION, "3.1.0", info={"description": DESCRIPTION})
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    spec.components.schema("Error", ERROR)
    spec.components.schema("Problem", PROBLEM)
    components = Components(spec)
    for rule, view in described_rules(app):
        operations = {method: _operation(rule, view, method, components) for method in _methods(view)}
        path, parameters = _path(rule)
        spec.path(path, operations=operations, parameters=parameters)
    return {**spec.to_dict(), "servers": [{"url": "/"}]}


def described_rules(app: Flask) -> Iterator[tuple[Rule, type]]:
    """Give every route with the resource behind it."""
    for rule in app.url_map.iter_rules():
        view: Any = app.view_functions[rule.endpoint]
        yield rule, view.view_class


def contract_of(view: type, method: str) -> Contract:
    """Give what the handler for ``method`` declares."""
    contract: Contract = getattr(view, method).contract
    return contract


def _methods(view: type) -> list[str]:
    return sorted(method.lower() for method in view.methods)  # type: ignore[attr-defined]


def _path(rule: Rule) -> tuple[str, list[Json]]:
    """Give the path as OpenAPI writes it, and its parameters."""
    path, parameters = "", []
    for is_parameter, text in rule._trace:
        if is_parameter:
            number = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
            schema = number if text.endswith("id") else {"type": "string"}
            parameters.append({"name": text, "in": "path", "required": True, "schema": schema})
        path += f"{{{text}}}" if is_parameter else text.lstrip("|")
    return path, parameters


class Components:
    """The schemas of the document: for each of ours up to three, for what goes out, comes in, and patches."""

    def __init__(self, spec: APISpec) -> None:
        self._spec = spec
        self._converter = OpenAPIConverter("3.1.0", lambda _schema: None, spec)

    def answer(self, schema: type[Schema]) -> Json:
        """Refer to what goes out: every field that all callers see is there."""
        shown = {name: field for name, field in schema().fields.items() if not field.load_only}
        required = [name for name in shown if name not in schema.private]
        return self._refer(_name(schema), shown, required, drop=("readOnly", "default"))

    def body(self, schema: type[Schema], *, patch: bool) -> Json:
        """Refer to what comes in."""
        taken = {name: field for name, field in schema().fields.items() if not field.dump_only}
        required = [name for name, field in taken.items() if field.required and not patch]
        suffix = "Patch" if patch else "Input"
        return self._refer(f"{_name(schema)}{suffix}", taken, required, drop=("default",) if patch else ())

    def page(self, listing: Listing) -> Json:
        """Refer to a page of a list."""
        name = f"{_name(listing.schema)}Page"
        if name not in self._spec.components.schemas:
            items = {"type": "array", "items": self.answer(listing.schema)}
            properties = {listing.name: items, **ENVELOPE}
            self._spec.components.schema(name, _object(properties, list(properties)))
        return _reference(name)

    def _refer(self, name: str, shown: dict[str, Any], required: list[str], *, drop: tuple[str, ...]) -> Json:
        if name not in self._spec.components.schemas:
            properties = {key: self._property(field, drop) for key, field in shown.items()}
            self._spec.components.schema(name, _object(properties, required))
        return _reference(name)

    def _property(self, field: Any, drop: tuple[str, ...]) -> Json:
        if isinstance(field, fields.Nested):
            return self.answer(type(field.schema))  # type: ignore[arg-type]
        described = self._converter.field2property(field)
        return {key: value for key, value in described.items() if key not in drop}


def _name(schema: type[Schema]) -> str:
    return schema.__name__.removesuffix("Schema")


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, required: list[str]) -> Json:
    described = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**described, "required": required} if required else described


def _operation(rule: Rule, view: type, method: str, components: Components) -> Json:
    handler = getattr(view, method)
    contract = contract_of(view, method)
    summary, _, description = (handler.__doc__ or "").partition("\n")
    room = view.__module__.split(".")[1]
    operation: Json = {
        "operationId": f"{method}_{rule.endpoint}",
        "summary": summary.strip().rstrip("."),
        "description": "\n".join(line.strip() for line in [*description.strip().splitlines(), "", _access(contract)]),
        "tags": [room],
        "security": SECURITY.get(contract.permission, [{"access_token": []}]),  # type: ignore[arg-type]
        "responses": _responses(rule, method, contract, components),
    }
    if contract.parameters:
        operation["parameters"] = [
            {"name": p.name, "in": "query", "description": p.meaning, "schema": p.json_schema}
            for p in contract.parameters
        ]
    if contract.body:
        schema = components.body(contract.body, patch=method == "patch")
        taken = (JSON_TYPE, MERGE_PATCH_TYPE) if method == "patch" else (JSON_TYPE,)
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema} for kind in taken}}
    return operation


def _access(contract: Contract) -> str:
    if isinstance(contract.permission, Access):
        return contract.permission.value
    return f"Needs the permission `{contract.permission}`."


def _responses(rule: Rule, method: str, contract: Contract, components: Components) -> Json:
    statuses = filter(None, (contract.status, contract.other_status))
    responses: Json = {str(status): _success(status, contract, components) for status in statuses}
    for error in _possible_errors(rule, method, contract):
        content = {
            JSON_TYPE: {"schema": _reference("Error")},
            "application/problem+json": {"schema": _reference("Problem")},
        }
        responses.setdefault(str(error.status), {"description": HTTPStatus(error.status).phrase, "content": content})
    return dict(sorted(responses.items()))


def _success(status: int, contract: Contract, components: Components) -> Json:
    answer: Json = {"description": HTTPStatus(status).phrase}
    if contract.listing:
        answer["content"] = {JSON_TYPE: {"schema": components.page(contract.listing)}}
        answer["headers"] = {
            "Link": {"description": "RFC 8288: first, prev, next, last.", "schema": {"type": "string"}}
        }
    elif contract.answer:
        answer["content"] = {JSON_TYPE: {"schema": components.answer(contract.answer)}}
    if contract.location:
        answer["headers"] = {"Location": {"description": "The URL of what was made.", "schema": {"type": "string"}}}
    return answer


def _possible_errors(rule: Rule, method: str, contract: Contract) -> Iterator[type[AppError]]:
    """Give what follows from a declaration, and what it adds."""
    yield BadRequest
    if contract.looks_at_caller or contract.permission is Access.REFRESH:
        yield Unauthorized
    if isinstance(contract.permission, str):
        yield Forbidden
    if rule.arguments:
        yield NotFound
    if method != "get":
        yield PayloadTooLarge
    if contract.body:
        yield UnsupportedMediaType
    yield ServiceUnavailable
    yield from contract.errors
