"""What the URL map says: every handler of every route, so that a new one is tested without being named here."""

from dataclasses import dataclass
from typing import Any

from app import create_app
from app.core.rest import openapi
from app.core.rest.contract import Contract
from tests.client import CheckedClient

# What stands in a path for a word that is no id.
WORDS = {"string:name": "docs.css", "string:currency": "EUR"}


@dataclass(frozen=True)
class Route:
    """One method at one URL."""

    method: str
    rule: str
    contract: Contract

    @property
    def url(self) -> str:
        """An address of the route, with the id 1 in it."""
        parts = (part.strip("<>") for part in self.rule.split("/"))
        return "/".join("1" if part.startswith("id:") else WORDS.get(part, part) for part in parts)

    def call(self, client: CheckedClient, **kwargs: Any) -> Any:
        """Send a request to the route."""
        return client.open(self.url, method=self.method, **kwargs)

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"


def _routes() -> list[Route]:
    app = create_app("testing")
    found = []
    for rule, view in openapi.described_rules(app):
        for method in sorted(view.methods):  # type: ignore[attr-defined]
            handler = getattr(view, method.lower())
            assert hasattr(handler, "contract"), f"{method} {rule.rule} declares nothing: use @endpoint(...)"
            found.append(Route(method, rule.rule, handler.contract))
    return found


ROUTES = _routes()
BODIES = [route for route in ROUTES if route.contract.body]


def names(route: Route) -> str:
    return str(route)
