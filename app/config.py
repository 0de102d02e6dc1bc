"""Every setting, with its default and its meaning.

A setting is looked for in the environment, then in ``.env`` beside ``wsgi.py``, then in ``instance/config.py``, and
falls back to its default. ``.env.example`` lists the same settings for people; a test keeps the two equal.
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

from app.core.settings import (
    Setting,
    bearer,
    broker_url,
    currency,
    database_url,
    flag,
    log_target,
    mail_sender,
    number,
    one_of,
    origins,
    sentry_dsn,
    service_url,
    smtp_url,
    storage_url,
)

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("development", "testing", "production")
SECRETS = ("SECRET_KEY", "JWT_SECRET_KEY")
SECRET_BYTES = 32  # RFC 7518, section 3.2: an HS256 key is at least as long as its hash.
NO_SENDER = "agora@localhost"
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
PLACEHOLDERS = ("only-for-tests", "change", "default", "example", "secret", "password", "replace", "your-", "dev-")


class ConfigError(click.ClickException, RuntimeError):
    """The settings do not let the service start; the message names every reason.

    A ClickException is one sentence to the ``flask`` command, a RuntimeError is one to Gunicorn: neither prints a
    traceback.
    """


SETTINGS = (
    Setting("FLASK_ENV", "development", "development, testing or production.", one_of(*ENVIRONMENTS)),
    Setting("SECRET_KEY", "", "Signs what clients hand back, at least 32 bytes. Development makes its own."),
    Setting("JWT_SECRET_KEY", "", "Signs the tokens, at least 32 bytes. Development makes its own."),
    Setting(
        "DATABASE_URL",
        "",
        "sqlite:///file (below instance/) or postgresql://user:password@host/name. "
        "Development uses sqlite:///agora.db.",
        database_url,
    ),
    Setting(
        "TEST_DATABASE_URL",
        "",
        "A PostgreSQL server on which the tests make a database of their own. Without it they start one.",
        database_url,
    ),
    Setting(
        "BROKER_URL",
        "",
        "redis://host:6379/0 or amqp://user:password@host: how the workers are called. make run starts one of its own.",
        broker_url,
    ),
    Setting("WORKER_CONCURRENCY", 2, "Processes of the Celery worker.", number(1, 256)),
    Setting("JOB_TIME_LIMIT", 900, "Seconds that one job may take.", number(10, 86400)),
    Setting("HOST", "127.0.0.1", "The address that Gunicorn listens on; of IPv6 in brackets, like [::1]."),
    Setting("PORT", 8000, "The port that Gunicorn listens on.", number(1, 65535)),
    Setting(
        "WEB_CONCURRENCY", "", "Worker processes of Gunicorn. Empty, one for each core, at least 2.", number(1, 256)
    ),
    Setting("WEB_THREADS", 4, "Threads of each worker; also the size of its connection pools.", number(1, 256)),
    Setting("REQUEST_TIMEOUT", 30, "Seconds after which Gunicorn ends a worker that hangs.", number(2, 3600)),
    Setting("STATEMENT_TIMEOUT", 10, "Seconds that one SQL statement may take (PostgreSQL).", number(1, 3600)),
    Setting("LOCK_TIMEOUT", 5, "Seconds to wait for a lock, a connection of the pool, or a thread.", number(1, 3600)),
    Setting("TRUSTED_PROXIES", 0, "How many proxies in front may set the X-Forwarded headers.", number(0, 10)),
    Setting(
        "LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING or ERROR.",
        one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
    Setting(
        "LOG_TO",
        "stderr",
        "stderr; file:///folder/agora.log, which all processes may share; syslog://host:514 (UDP) or syslog:///dev/log.",
        log_target,
    ),
    Setting(
        "LOG_FILE_SIZE",
        104857600,
        "Bytes after which the file of LOG_TO is put by as .1, the older ones up to .9.",
        number(1024, 1099511627776),
    ),
    Setting(
        "METRICS_TOKEN",
        "",
        "The bearer token that /metrics asks for. Empty, only this machine is answered, and no proxy.",
        bearer,
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Where OpenTelemetry's traces go, like http://127.0.0.1:4318. Needs the package category otel.",
        service_url,
    ),
    Setting("SENTRY_DSN", "", "Where Sentry is told of errors. Needs the package category sentry.", sentry_dsn),
    Setting("SQLALCHEMY_ECHO", False, "Log every SQL statement.", flag),
    Setting("CORS_ORIGINS", [], "Origins whose pages may call the API, separated by commas.", origins),
    Setting("RATELIMIT_ENABLED", True, "Limit how often a caller may try what invites guessing.", flag),
    Setting("JWT_ACCESS_TOKEN_EXPIRES", 3600, "Seconds that an access token lives.", number(1, 86400)),
    Setting(
        "JWT_REFRESH_TOKEN_EXPIRES",
        2592000,
        "Seconds that a session and its refresh tokens live.",
        number(1, 31536000),
    ),
    Setting("PASSWORD_HASH_MEMORY", 19456, "KiB of memory that argon2 takes to hash.", number(8, 4194304)),
    Setting("PASSWORD_HASH_PASSES", 2, "How often argon2 passes over that memory.", number(1, 100)),
    Setting("CURRENCY", "EUR", "The currency of the community's credits, three letters.", currency),
    Setting(
        "RATES_URL",
        "",
        "The exchange-rate service, one that speaks as Frankfurter does. Without it there are no rates. "
        "Development uses a small one of its own, at PORT + 10.",
        service_url,
    ),
    Setting("RATES_MAX_AGE", 3600, "Seconds for which a rate is fresh, and not asked for again.", number(1, 604800)),
    Setting(
        "SMTP_URL",
        "",
        "smtp://host, smtp://user:password@host:587?starttls or smtps://...: the mail server. "
        "Development without one prints mails to the log.",
        smtp_url,
    ),
    Setting("MAIL_FROM", NO_SENDER, "Whom mails come from, like Agora <agora@example.com>.", mail_sender),
    Setting("PAGE_SIZE_DEFAULT", 20, "Items on a page when per_page is not given.", number(1, 1000)),
    Setting("PAGE_SIZE_MAX", 100, "The most items on a page; a larger per_page is served as this.", number(1, 1000)),
    Setting("MAX_CONTENT_LENGTH", 1048576, "The most bytes of a request's body.", number(1024, 1073741824)),
    Setting("MAX_UPLOAD_SIZE", 10485760, "The most bytes of an uploaded file.", number(1, 1073741824)),
    Setting(
        "STORAGE_URL",
        "",
        "Where files live: file:///folder, or s3://bucket/prefix. Empty, it is the folder instance/files.",
        storage_url,
    ),
)

# Tests neither read this machine's settings nor spend time on password hashes.
TESTING: dict[str, Any] = {
    "TESTING": True,
    "DATABASE_URL": "sqlite:///testing.db",
    "SECRET_KEY": "only-for-tests-0123456789-abcdefgh",
    "JWT_SECRET_KEY": "only-for-tests-9876543210-hgfedcba",
    "PASSWORD_HASH_MEMORY": 8,
    "PASSWORD_HASH_PASSES": 1,
    "RATELIMIT_ENABLED": False,
    "LOG_LEVEL": "ERROR",
}


def load_settings(
    config_name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    instance: Path | None = None,
) -> dict[str, Any]:
    """Give all settings of the environment ``config_name`` (or of FLASK_ENV).

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
    if settings["DATABASE_URL"] == "":
        problems.append("DATABASE_URL is not set.")
    if settings["BROKER_URL"] == "":
        problems.append("BROKER_URL is not set.")
    if settings["SMTP_URL"] and settings["MAIL_FROM"] == NO_SENDER:
        problems.append("MAIL_FROM is not set.")
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
