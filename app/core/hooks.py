"""Hooks: how an earlier feature reaches a later one at once, inside the transaction."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Hook(Generic[T]):
    """A moment that other features wait for. A listener may refuse what is about to happen by raising an AppError."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], None]] = []

    def listen(self, listener: Callable[[T], None]) -> Callable[[T], None]:
        """Call ``listener`` each time the moment comes. A decorator."""
        self._listeners.append(listener)
        return listener

    def run(self, subject: T) -> None:
        """Call every listener with ``subject``, in the order in which they came."""
        for listener in self._listeners:
            listener(subject)
