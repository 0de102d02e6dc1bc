"""What a setting is, and how the text of one is read. Each reader raises ValueError with a reason."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[^/\s*:@]+)(:([0-9]{1,5}|\*))?")


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its default, what it means and how its text is read (raising ValueError)."""

    name: str
    default: Any
    meaning: str
    parse: Callable[[str], Any] = str


def flag(text: str) -> bool:
    """Read ``true`` or ``false`` (also 1/0, yes/no, on/off)."""
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be true or false")


def number(least: int, most: int) -> Callable[[str], int]:
    """Read a whole number from ``least`` to ``most``."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """Read one of ``words``."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def origins(text: str) -> list[str]:
    """Read a list of origins, separated by commas; ``:*`` in place of a port stands for each."""
    found = [origin.strip() for origin in text.split(",") if origin.strip()]
    if any(not ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError("must be origins like https://shop.example.com, separated by commas")
    return found


def currency(text: str) -> str:
    """Read the code of a currency (ISO 4217)."""
    if not re.fullmatch("[A-Z]{3}", text):
        raise ValueError("must be three capital letters")
    return text


def broker_url(text: str) -> str:
    """Read the address of a broker that Celery speaks to."""
    if not text.startswith(("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")):
        raise ValueError("must be an address like redis://host:6379/0 or amqp://user:password@host")
    return text


def service_url(text: str) -> str:
    """Read the address below which another service is found; a slash at its end is left out."""
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[^?#\s]*)?", text, re.ASCII):
        raise ValueError("must be an address like https://rates.example.com/v1, without a password or a query")
    return text.rstrip("/")


def log_target(text: str) -> str:
    """Read where the log goes."""
    url = urlsplit(text)
    in_file = url.scheme in ("file", "syslog") and not url.netloc and len(url.path) > 1
    on_host = url.scheme == "syslog" and url.hostname and url.netloc.count("@") == 0 and not url.path
    if text != "stderr" and not ((in_file or on_host) and not url.query and url.port != 0):
        raise ValueError("must be stderr, file:///folder/agora.log, syslog://host:514 or syslog:///dev/log")
    return text


def bearer(text: str) -> str:
    """Read a token that is hard to guess and fits into a header."""
    if not re.fullmatch(r"[\w.~+/=-]{16,256}", text, re.ASCII):
        raise ValueError("must have from 16 to 256 letters, digits and -._~+/=")
    return text


def sentry_dsn(text: str) -> str:
    """Read the address of a project at Sentry."""
    if not re.fullmatch(r"https?://\w+@[\w.-]+(:[0-9]{1,5})?(/[\w.-]+)*/[0-9]+", text, re.ASCII):
        raise ValueError("must be an address like https://key@sentry.example.com/1")
    return text


def smtp_url(text: str) -> str:
    """Read the address of a mail server. A password is not sent without encryption."""
    url = urlsplit(text)
    encrypted = url.scheme == "smtps" or url.query == "starttls"
    if url.scheme not in ("smtp", "smtps") or not url.hostname or url.query not in ("", "starttls"):
        raise ValueError("must be an address like smtp://user:password@host:587?starttls or smtps://host")
    if url.port == 0 or (url.username and not encrypted):
        raise ValueError("must be smtps:// or end in ?starttls where it has a password, and name a real port")
    return text


def mail_sender(text: str) -> str:
    """Read the address that mails come from, with or without a name before it."""
    if "\n" in text or not re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(text)[1]):
        raise ValueError("must be an address like Agora <agora@example.com>")
    return text


def database_url(text: str) -> str:
    """Read a SQLite or PostgreSQL address; a PostgreSQL one is given the driver that is installed."""
    try:
        url: URL = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("must be an address like sqlite:///agora.db or postgresql://user:pw@host/name") from None
    backend = url.drivername.partition("+")[0]
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    if backend != "sqlite":
        raise ValueError("must be a SQLite or PostgreSQL address")
    if url.database in (None, "", ":memory:"):
        raise ValueError("must name a file: a database in memory is lost between connections")
    return text


def storage_url(text: str) -> str:
    """Read the address of a folder or of a bucket; credentials do not stand in it, since addresses are shown."""
    url = urlsplit(text)
    is_folder = url.scheme == "file" and not url.netloc and len(url.path) > 1
    is_bucket = url.scheme == "s3" and url.netloc == url.hostname
    if not (is_folder or is_bucket) or url.query or url.fragment:
        raise ValueError("must be file:///folder or s3://bucket/prefix, with nothing else in it")
    return text
