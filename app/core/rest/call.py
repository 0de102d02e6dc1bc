"""One call of a handler: which it is, and what the client has sent to it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import request

from app.core.errors import AppError
from app.core.rest.contract import Contract


class Call(NamedTuple):
    """The call of a handler: its contract, the resource that it belongs to, what the URL names, and the request's."""

    contract: Contract
    resource: Any
    handler: Callable[..., Any]
    path: dict[str, Any]
    method: str
    rule: str
    environ: dict[str, Any]

    @classmethod
    def of_request(cls, resource: Any, path: dict[str, Any]) -> "Call":
        """Return the call that the request under way asks for."""
        asked = request._get_current_object()  # type: ignore[attr-defined]  # Once, and not by its proxy five times.
        method, rule = asked.method, asked.url_rule
        handler = getattr(resource, "get" if method == "HEAD" else method.lower())
        return cls(handler.contract, resource, handler, path, method, rule.rule if rule else "", asked.environ)

    @property
    def takes_idempotency_key(self) -> bool:
        """Whether a repeat with the same key is answered without a second effect."""
        return self.contract.takes_idempotency_key(self.method, self.rule)


class Sent(NamedTuple):
    """What a client has sent, as far as it is valid.

    ``parameters``: those of the query.
    ``fields``: what the handler gets as keyword arguments.
    ``identity``: what a repeat of the request has in common with it, in place of the body.
    ``refusal``: why it is refused, if it is.
    """

    parameters: dict[str, Any]
    fields: dict[str, Any]
    identity: Any = None
    refusal: AppError | None = None

    def valid_fields(self) -> dict[str, Any]:
        """Return the fields. Raises what they are refused with."""
        if self.refusal:
            raise self.refusal
        return self.fields
