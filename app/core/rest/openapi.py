"""The OpenAPI 3.1 document, made from what each handler declares."""

import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from apispec import APISpec
from flask import Flask
from werkzeug.routing import Rule

from app.core.errors import (
    AppError,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    RangeNotSatisfiable,
    ServiceUnavailable,
    Unauthorized,
    Unprocessable,
    UnsupportedMediaType,
)
from app.core.http.error_handler import PROBLEM
from app.core.http.multipart import FIELD
from app.core.http.request_body import JSON_TYPE, MERGE_PATCH_TYPE, MULTIPART_TYPE
from app.core.http.responses import ACCEPTED
from app.core.parameters import Parameter
from app.core.permissions import Access
from app.core.rest.contract import DRY_RUN, Contract
from app.core.rest.openapi_schemas import Components, reference
from app.core.rest.openapi_security import access, security_of, security_schemes
from app.core.rest.resource import Resource
from app.core.schema import MAX_ID

VERSION = "1.0.0"
DESCRIPTION = Path(__file__).with_suffix(".md").read_text()
Json = dict[str, Any]
# As https://flask.palletsprojects.com/en/stable/api/#url-route-registrations writes them: <converter:name>.
PATH_PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")

TEXT: Json = {"type": "string"}
ONE_FILE: Json = {
    "type": "object",
    "properties": {FIELD: {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1}},
    "required": [FIELD],
    "additionalProperties": False,
}
IDEMPOTENCY_KEY: Json = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}


def document(app: Flask) -> Json:
    """Return the whole document for the routes of ``app``."""
    spec = APISpec("Agora", VERSION, "3.1.0", info={"description": DESCRIPTION})
    for name, scheme in security_schemes(app).items():
        spec.components.security_scheme(name, scheme)
    components = Components(spec)
    tags: dict[str, Json] = {}
    for rule, view in described_rules(app):
        package = view.__module__.rpartition(".")[0]
        tag = package.rpartition(".")[2]
        tags[tag] = {"name": tag, "description": sys.modules[package].__doc__}
        methods = sorted(view.methods)  # type: ignore[attr-defined]
        operations = {m.lower(): _Operation(rule, view, m, components).described(tag) for m in methods}
        path, parameters = path_of(rule)
        spec.path(path, operations=operations, parameters=parameters)
    return {**spec.to_dict(), "servers": [{"url": "/"}], "tags": list(tags.values())}


def described_rules(app: Flask) -> Iterator[tuple[Rule, type]]:
    """Return every route of ours with the resource behind it; views without a contract have nothing to describe."""
    for rule in app.url_map.iter_rules():
        resource = getattr(app.view_functions[rule.endpoint], "view_class", None)
        if resource is not None and issubclass(resource, Resource):
            yield rule, resource


def path_of(rule: Rule) -> tuple[str, list[Json]]:
    """Return a rule's path as OpenAPI writes it, and its parameters."""
    parameters = []
    for converter, name in PATH_PARAMETER.findall(rule.rule):
        number = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
        parameters.append(
            {"name": name, "in": "path", "required": True, "schema": number if converter == "id" else TEXT}
        )
    return PATH_PARAMETER.sub(r"{\2}", rule.rule), parameters


class _Operation:
    """One method at one path."""

    def __init__(self, rule: Rule, view: type, method: str, components: Components) -> None:
        self.rule, self.view, self.method, self.components = rule, view, method, components
        self.handler = getattr(view, method.lower())
        self.contract: Contract = self.handler.contract
        self.reads = method == "GET"
        self.tagged = self.contract.is_tagged(method)
        self.checks_if_match = self.contract.checks_if_match(method, view)
        self.security = security_of(self.contract, reads=self.reads)
        self.takes_key = self.contract.takes_idempotency_key(method, rule.rule)

    def described(self, tag: str) -> Json:
        """Return the operation as OpenAPI writes it."""
        summary, _, description = (self.handler.__doc__ or "").partition("\n")
        lines = [*description.strip().splitlines(), "", access(self.contract)]
        operation: Json = {
            "operationId": f"{self.method.lower()}_{self.rule.endpoint}",
            "summary": summary.strip().rstrip("."),
            "description": "\n".join(line.strip() for line in lines),
            "tags": [tag],
            "security": self.security,
            "parameters": [*self._query_parameters(), *self._header_parameters()],
            "responses": self._responses(),
        }
        return operation | self._request_body()

    def _query_parameters(self) -> Iterator[Json]:
        for parameter in self.contract.parameters(self.method, self.rule.rule):
            schema = self.components.parameter(parameter)
            array = {"style": "form", "explode": False} if schema["type"] == "array" else {}
            described = {"name": parameter.name, "in": "query", "description": _meaning(parameter), "schema": schema}
            yield described | array

    def _header_parameters(self) -> Iterator[Json]:
        if self.tagged and self.reads:
            yield _header("If-None-Match", "304 if the resource still has one of these entity tags.")
        if self.contract.accepts_ranges:
            yield _header("Range", "One part of it, as `bytes=0-99`; RFC 9110, section 14.")
        if self.checks_if_match:
            yield _header("If-Match", "412 unless the resource has one of these entity tags.")
        if self.takes_key:
            yield _header("Idempotency-Key", "Makes a repeat have one effect, for 24 hours.") | {
                "schema": IDEMPOTENCY_KEY
            }

    def _request_body(self) -> Json:
        if self.contract.upload:
            return {"requestBody": {"required": True, "content": {MULTIPART_TYPE: {"schema": ONE_FILE}}}}
        if not self.contract.body:
            return {}
        schema = self.components.body(self.contract.body, patch=self.method == "PATCH")
        taken = (JSON_TYPE, MERGE_PATCH_TYPE) if self.method == "PATCH" else (JSON_TYPE,)
        return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in taken}}}

    def _responses(self) -> Json:
        statuses = filter(None, (self.contract.status, self.contract.other_status))
        responses: Json = {str(status): self._success(status) for status in statuses}
        if self.tagged and self.reads:
            responses["304"] = {"description": HTTPStatus(304).phrase}
        for error in self._possible_errors():
            content = {JSON_TYPE: {"schema": reference("Error")}, PROBLEM: {"schema": reference("Problem")}}
            described = {"description": HTTPStatus(error.status).phrase, "content": content}
            responses.setdefault(str(error.status), described)
        return dict(sorted(responses.items()))

    def _success(self, status: int) -> Json:
        answer: Json = {"description": HTTPStatus(status).phrase, "headers": self._answer_headers()}
        contract = self.contract
        if contract.listing:
            answer["content"] = {JSON_TYPE: {"schema": self.components.page(contract.listing)}}
        elif contract.response:
            can_be_dry = status in (201, ACCEPTED) and not contract.upload
            shown = self.components.created if can_be_dry else self.components.answer
            answer["content"] = {JSON_TYPE: {"schema": shown(contract.response)}}
        elif contract.media_type:
            answer["content"] = {contract.media_type: {}}
        return answer

    def _answer_headers(self) -> Json:
        headers = {"X-Request-ID": "The name of this request in the log."}
        if self.contract.listing:
            headers["Link"] = "RFC 8288: next, prev, first, last; after a long query only the first that applies."
        if self.contract.location:
            headers["Location"] = "The URL of what was made."
        if self.contract.status == ACCEPTED and self.contract.response:
            headers["Retry-After"] = "Seconds after which the job is worth a look."
        if self.tagged:
            headers["ETag"] = "RFC 9110: changes with every change."
        if self.takes_key:
            headers["Idempotent-Replayed"] = "`true` on the answer to a repeat."
        if DRY_RUN in self.contract.parameters(self.method, self.rule.rule):
            headers["Dry-Run"] = "`true` on the answer to a dry run."
        always = {"X-Request-ID", "Link", "ETag" if self.reads else ""}
        return {
            name: {"description": meaning, "required": name in always, "schema": TEXT}
            for name, meaning in headers.items()
        }

    def _possible_errors(self) -> Iterator[type[AppError]]:
        """Return what follows from a declaration, and what it adds."""
        yield BadRequest
        if self.contract.permission is not Access.ANONYMOUS:
            yield Unauthorized
        if isinstance(self.contract.permission, str) or any("csrf_token" in way for way in self.security):
            yield Forbidden
        if self.rule.arguments:
            yield NotFound
        if not self.reads:
            yield PayloadTooLarge
        if self.contract.body or self.method == "POST":
            yield UnsupportedMediaType
        yield from self._errors_of_headers()
        yield ServiceUnavailable
        yield from self.contract.errors

    def _errors_of_headers(self) -> Iterator[type[AppError]]:
        if self.checks_if_match:
            yield PreconditionFailed
        if self.contract.accepts_ranges:
            yield RangeNotSatisfiable
        if self.takes_key:
            yield from (Conflict, Unprocessable)


def _meaning(parameter: Parameter) -> str:
    if parameter.permission is None:
        return parameter.meaning
    return f"{parameter.meaning} Needs the permission `{parameter.permission}`."


def _header(name: str, meaning: str) -> Json:
    return {"name": name, "in": "header", "description": meaning, "schema": TEXT}
