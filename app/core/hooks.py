"""Hooks: how an earlier feature reaches a later one at once, inside the transaction."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from flask import Flask, current_app

EXTENSION = "agora-hooks"

T = TypeVar("T")


class Hook(Generic[T]):
    """A moment at which later features are called. They may refuse what is about to happen by raising an AppError."""

    def calls(self, *functions: Callable[[T], None]) -> "Wiring":
        """Return that this hook calls these ``functions``, for the list of all hooks."""
        return self, functions

    def run(self, subject: T) -> None:
        """Call every function that is wired to this hook with ``subject``, in the order of the list."""
        for function in current_app.extensions[EXTENSION].get(self, ()):
            function(subject)


Wiring = tuple[Hook[Any], tuple[Callable[[Any], None], ...]]


def init_app(app: Flask, wirings: Sequence[Wiring]) -> None:
    """Have each hook call the functions that are wired to it."""
    app.extensions[EXTENSION] = dict(wirings)
