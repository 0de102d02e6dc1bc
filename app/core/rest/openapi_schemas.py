"""The schemas of the OpenAPI document, made from ours."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import fields

from app.core.errors import MAX_ERRORS
from app.core.lists.listing import Listing
from app.core.parameters import Parameter
from app.core.schema import Schema

Json = dict[str, Any]

ERROR_PROPERTIES: Json = {
    "code": {"type": "string", "description": "For a program."},
    "request_id": {"type": "string", "description": "To find the request in the log by."},
    "errors": {
        "type": "object",
        "description": f"What is wrong, by field: of more than {MAX_ERRORS} the first ones.",
        "maxProperties": MAX_ERRORS,
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
    },
}
ENVELOPE: Json = {
    "page": {"type": "integer", "minimum": 1},
    "per_page": {"type": "integer", "minimum": 1},
    "total": {"type": ["integer", "null"], "minimum": 0},
    "pages": {"type": ["integer", "null"], "minimum": 0},
    "has_more": {"type": "boolean"},
    "next_cursor": {"type": ["string", "null"]},
}


def reference(name: str) -> Json:
    """Refer to the schema called ``name``."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, required: list[str]) -> Json:
    described = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**described, "required": required} if required else described


def _name(schema: type[Schema]) -> str:
    return schema.__name__.removesuffix("Schema")


class Components:
    """The schemas that the document refers to: of each of ours, those that its endpoints need."""

    def __init__(self, spec: APISpec) -> None:
        self._spec = spec
        self._converter = OpenAPIConverter("3.1.0", lambda _schema: None, spec)
        self._error("Error", error="The status in words.", message="For a person.")
        self._error("Problem", type="", title="The status in words.", status="", detail="For a person.")

    def _error(self, name: str, **words: str) -> None:
        own = {key: {"type": "integer" if key == "status" else "string", "description": words[key]} for key in words}
        self._spec.components.schema(name, _object({**own, **ERROR_PROPERTIES}, [*own, "code", "request_id"]))

    def answer(self, schema: type[Schema]) -> Json:
        """Refer to what goes out: every field that all callers see is there."""
        properties = self._shown(schema)
        return self._refer(_name(schema), properties, [name for name in properties if name not in schema.private])

    def created(self, schema: type[Schema]) -> Json:
        """Refer to what a creation answers; in a dry run it has no id."""
        properties = self._shown(schema)
        properties["id"] = {**properties["id"], "type": ["integer", "null"], "description": "`null` in a dry run."}
        required = [name for name in properties if name not in schema.private]
        return self._refer(f"{_name(schema)}Created", properties, required)

    def page(self, listing: Listing) -> Json:
        """Refer to a page of a list; what an item has depends on the parameter ``fields``."""
        item = self._refer(f"{_name(listing.schema)}Item", self._shown(listing.schema), [])
        properties = {listing.name: {"type": "array", "items": item}, **ENVELOPE}
        return self._refer(f"{_name(listing.schema)}Page", properties, [listing.name, "per_page", "has_more"])

    def body(self, schema: type[Schema], *, patch: bool) -> Json:
        """Refer to what comes in."""
        taken = {name: field for name, field in schema().fields.items() if not field.dump_only}
        required = [name for name, field in taken.items() if field.required and not patch]
        drop = ("default",) if patch else ()
        properties = {name: self._property(field, drop) for name, field in taken.items()}
        return self._refer(_name(schema) + ("Patch" if patch else "Input"), properties, required)

    def parameter(self, parameter: Parameter) -> Json:
        """Return the schema of a query parameter."""
        described: Json = self._converter.field2property(parameter.field)
        return described

    def _shown(self, schema: type[Schema]) -> Json:
        shown = {name: field for name, field in schema().fields.items() if not field.load_only}
        return {name: self._property(field, ("readOnly", "default")) for name, field in shown.items()}

    def _property(self, field: Any, drop: tuple[str, ...]) -> Json:
        if isinstance(field, fields.Nested):
            nested = self.answer(type(field.schema))  # type: ignore[arg-type]
            return {**({"anyOf": [nested, {"type": "null"}]} if field.allow_none else nested), **field.metadata}
        described = self._converter.field2property(field)
        if hasattr(field, "described"):  # It depends on the settings.
            described |= field.described()
        return {key: value for key, value in described.items() if key not in drop}

    def _refer(self, name: str, properties: Json, required: list[str]) -> Json:
        if name not in self._spec.components.schemas:
            self._spec.components.schema(name, _object(properties, required))
        return reference(name)
