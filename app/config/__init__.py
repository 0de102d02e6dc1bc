"""How the settings are loaded.

A setting is looked for in the environment, then in ``.env`` beside ``wsgi.py``, then in ``instance/config.py``, and
falls back to its default. ``settings.py`` lists them all.
"""

import os
import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from dotenv import dotenv_values
from flask import Config

from app.config.parsers import Setting
from app.config.settings import ENVIRONMENTS, NO_APP, NO_SENDER, SETTINGS

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("SECRET_KEY", "JWT_SECRET_KEY")
SECRET_BYTES = 32  # RFC 7518, section 3.2: an HS256 key is at least as long as its hash.
# What some settings need to have installed: the category of the Pipfile, and its modules.
OPTIONAL = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "otel",
        (
            "opentelemetry.sdk",
            "opentelemetry.exporter.otlp.proto.http",
            "opentelemetry.instrumentation.flask",
            "opentelemetry.instrumentation.sqlalchemy",
        ),
    ),
    "SENTRY_DSN": ("sentry", ("sentry_sdk",)),
}
LOCAL_PAGES = ["http://localhost:*", "http://127.0.0.1:*"]  # as Vite and Next serve them
PLACEHOLDERS = ("only-for-tests", "change", "default", "example", "secret", "password", "replace", "your-", "dev-")


class ConfigError(click.ClickException, RuntimeError):
    """The settings do not let the service start; the message names every reason.

    A ClickException is one sentence to the ``flask`` command, a RuntimeError is one to Gunicorn: neither prints a
    traceback.
    """


# Tests neither read this machine's settings nor spend time on password hashes.
TESTING: dict[str, Any] = {
    "TESTING": True,
    "DATABASE_URL": "sqlite:///testing.db",
    "SECRET_KEY": "only-for-tests-0123456789-abcdefgh",
    "JWT_SECRET_KEY": "only-for-tests-9876543210-hgfedcba",
    "PASSWORD_HASH_MEMORY": 8,
    "PASSWORD_HASH_PASSES": 1,
    "LOG_LEVEL": "ERROR",
}


def load_settings(
    config_name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    instance: Path | None = None,
) -> dict[str, Any]:
    """Return all settings of the environment ``config_name`` (or of FLASK_ENV).

    Takes ``overrides``, which win over every other source, and the folder ``instance`` (by default the one beside
    ``wsgi.py``). Raises ConfigError with every reason why the service may not start.
    """
    instance = instance or ROOT / "instance"
    problems: list[str] = []
    sources = _sources(instance)
    name = config_name or next((s["FLASK_ENV"] for s in sources if s.get("FLASK_ENV")), "development")
    if name not in ENVIRONMENTS:
        raise ConfigError(f"FLASK_ENV must be one of {', '.join(ENVIRONMENTS)}, not {name!r}.")
    if name == "testing":
        sources = [TESTING]
    settings: dict[str, Any] = {"TESTING": name == "testing"}
    for setting in SETTINGS:
        settings[setting.name] = _read(setting, [dict(overrides or {}), *sources], problems)
    settings["FLASK_ENV"] = name
    if name == "development":
        _fill_in_for_development(settings, instance)
    problems += _missing_packages(settings)
    if name == "production":
        problems += _unsafe_in_production(settings)
    if problems:
        raise ConfigError("The settings do not let Agora start:\n" + "\n".join(f"  - {p}" for p in problems))
    return settings


def _sources(instance: Path) -> list[Mapping[str, Any]]:
    """The places that a setting is looked for in, the first one first."""
    of_this_machine = Config(instance)
    of_this_machine.from_pyfile("config.py", silent=True)
    return [os.environ, dotenv_values(ROOT / ".env"), of_this_machine]


def _read(setting: Setting, sources: list[Mapping[str, Any]], problems: list[str]) -> Any:
    value = next((s[setting.name] for s in sources if s.get(setting.name) not in (None, "")), setting.default)
    if isinstance(value, str) and value:
        try:
            return setting.parse(value)
        except ValueError as error:
            problems.append(f"{setting.name} {error}.")
            return None
    return value


def _fill_in_for_development(settings: dict[str, Any], instance: Path) -> None:
    if settings["DATABASE_URL"] == "":
        settings["DATABASE_URL"] = "sqlite:///agora.db"
    if settings["RATES_URL"] == "" and settings["PORT"] is not None:
        settings["RATES_URL"] = f"http://127.0.0.1:{settings['PORT'] + 10}"
    settings["CORS_ORIGINS"] = settings["CORS_ORIGINS"] or LOCAL_PAGES
    for name in SECRETS:
        settings[name] = settings[name] or _kept_secret(instance / name.lower())


def _kept_secret(path: Path) -> str:
    """Read the secret kept at ``path``; the first process that asks makes it, the others find it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(SECRET_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # Another process was faster, and its secret is the one that counts.
        except OSError:
            draft.replace(path)  # A file system without hard links.
        draft.unlink(missing_ok=True)
    return path.read_text().strip()


def _missing_packages(settings: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} needs packages that are not installed: pipenv sync --categories={category}."
        for name, (category, modules) in OPTIONAL.items()
        if settings[name] and not all(map(_is_installed, modules))
    ]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # It is below a package that is missing, too.
        return False


def _unsafe_in_production(settings: Mapping[str, Any]) -> list[str]:
    problems = [problem for name in SECRETS for problem in _weaknesses(name, settings[name])]
    one, other = (settings[name] for name in SECRETS)
    if one and other and (one in other or other in one):
        problems.append(f"{' and '.join(SECRETS)} must differ, and neither may contain the other.")
    if settings["DATABASE_URL"] == "":
        problems.append("DATABASE_URL is not set.")
    if settings["BROKER_URL"] == "":
        problems.append("BROKER_URL is not set.")
    if settings["SMTP_URL"] and settings["MAIL_FROM"] == NO_SENDER:
        problems.append("MAIL_FROM is not set.")
    if settings["SMTP_URL"] and settings["APP_URL"] == NO_APP:
        problems.append("APP_URL is not set.")
    if any("*" in origin for origin in settings["CORS_ORIGINS"] or ()):
        problems.append("CORS_ORIGINS must name its origins, without a wildcard.")
    return problems


def _weaknesses(name: str, secret: str) -> list[str]:
    """Say what is wrong with a production secret."""
    if not secret:
        return [f"{name} is not set."]
    problems = []
    if any(word in secret.lower() for word in PLACEHOLDERS) or len(set(secret)) < 8:
        problems.append(f"{name} is a default or guessable value.")
    if len(secret.encode()) < SECRET_BYTES:
        problems.append(f"{name} is shorter than {SECRET_BYTES} bytes.")
    return problems
