"""Pages of other origins: which may call the API with their cookies, and what they may read.

The protocol is https://fetch.spec.whatwg.org/#http-cors-protocol, and Flask-CORS speaks it.
"""

import re
from collections.abc import Sequence
from typing import Any

ANY_PORT = ":*"
MAX_AGE = 7200  # seconds that a browser may keep the answer to a preflight; Chromium keeps none for longer

EXPOSED = [
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
    "Idempotent-Replayed",
    "Dry-Run",
]


def options(origins: Sequence[str]) -> dict[str, Any]:
    """Return Flask-CORS's options for pages of these ``origins``, and of no others.

    Its Vary is left to us: it leaves it out where there is only one origin.
    """
    return {
        "origins": [_pattern(origin) for origin in origins],
        "supports_credentials": True,
        "expose_headers": EXPOSED,
        "max_age": MAX_AGE,
        "always_send": False,
        "vary_header": False,
    }


def _pattern(origin: str) -> "re.Pattern[str]":
    """Return what matches this origin from end to end.

    Flask-CORS takes a text with brackets or a star in it for a pattern, of which it matches no more than the beginning.
    """
    host = origin.removesuffix(ANY_PORT)
    port = "" if host == origin else "(:[0-9]{1,5})?"
    return re.compile(f"{re.escape(host)}{port}\\Z")
