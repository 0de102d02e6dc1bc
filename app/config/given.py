"""What ``create_app`` is given: the name of an environment, or a configuration as Flask's documentation writes them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Config

ALIASES = {"default": "development"}
SYNONYMS = {"SQLALCHEMY_DATABASE_URI": "DATABASE_URL"}  # Flask-SQLAlchemy's name, and ours


def read_given(config: object) -> tuple[str | None, dict[str, Any]]:
    """Return the name of the environment, None where ``config`` does not say, and the settings in it.

    ``config`` is an environment's name, or a class, an object, the import path of one, or a mapping, whose upper-case
    names are settings. It names the environment as ``FLASK_ENV``, or by ``TESTING``.
    """
    if config is None:
        return None, {}
    if isinstance(config, str) and "." not in config:
        return ALIASES.get(config, config), {}
    given = Config("")
    if isinstance(config, Mapping):
        given.from_mapping(config)
    else:
        given.from_object(config)
    settings = {SYNONYMS.get(name, name): _as_setting(value) for name, value in given.items()}
    name: str = settings.get("FLASK_ENV") or ("testing" if settings.get("TESTING") else "")
    return ALIASES.get(name, name) or None, settings


def _as_setting(value: Any) -> Any:
    """Return the seconds of an interval, as our settings count time."""
    return int(value.total_seconds()) if isinstance(value, timedelta) else value
