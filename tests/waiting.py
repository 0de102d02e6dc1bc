"""Waiting for what other processes and threads do, but not for ever."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], within: float = 40) -> Any:
    """Wait for others, and return what they have come to."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("It never came to pass")
