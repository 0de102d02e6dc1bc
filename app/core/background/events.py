"""Event types: what can happen that other features hear of. A feature declares its own in its ``events.py``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that has happened.

    A subclass is one type of event: its docstring says what has happened, its fields are the payload, JSON values all
    of them. A field that is added later needs a default, for the events that were stored before.
    """

    name: ClassVar[str]

    def payload(self) -> dict[str, Any]:
        """Return the fields and their values."""
        return vars(self).copy()


E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Subscription(Generic[E]):
    """A listener of one type of event. It is called once for each, inside a unit of work, and only writes rows."""

    event: type[E]
    listener: Callable[[E], None]
