"""Settings: where they come from, and what production refuses."""

import ast
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app import config
from app.config import ConfigError, load_settings
from app.config.settings import SETTINGS

GOOD = {
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuv-A",
    "JWT_SECRET_KEY": "0123456789-abcdefghijklmnopqrstuv-B",
    "DATABASE_URL": "postgresql://agora@db/agora",
    "BROKER_URL": "redis://broker/0",
}


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing is set, and a checkout of its own."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setattr(config, "ROOT", tmp_path)
    return tmp_path


def test_the_environment_wins_over_dotenv_over_the_instance_over_the_default(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings()["PORT"] == 8000
    (bare_machine / "instance" / "config.py").write_text("PORT = 8001\nPAGE_SIZE_DEFAULT = 5\nHOST = '::1'\n")
    assert load_settings()["PORT"] == 8001
    (bare_machine / ".env").write_text("PORT=8002\nPAGE_SIZE_DEFAULT=6\n")
    assert load_settings()["PORT"] == 8002
    monkeypatch.setenv("PORT", "8003")
    settings = load_settings()
    assert (settings["PORT"], settings["PAGE_SIZE_DEFAULT"], settings["HOST"]) == (8003, 6, "::1")
    assert load_settings(overrides={"PORT": 8004})["PORT"] == 8004


def test_the_environment_names_what_the_service_runs_as(monkeypatch: pytest.MonkeyPatch, bare_machine: Path) -> None:
    assert load_settings()["FLASK_ENV"] == "development"
    (bare_machine / ".env").write_text("FLASK_ENV=testing\n")
    assert load_settings()["FLASK_ENV"] == "testing"
    monkeypatch.setenv("FLASK_ENV", "nonsense")
    with pytest.raises(ConfigError, match="nonsense"):
        load_settings()


def test_every_setting_is_in_the_example_with_its_default_and_meaning(project: Path) -> None:
    example = (project / ".env.example").read_text()
    found: dict[str, tuple[str, str]] = {}
    comment: list[str] = []
    for line in example.splitlines():
        if line.startswith("# "):
            comment.append(line[2:])
        elif line:
            name, _, value = line.partition("=")
            found[name] = (value, " ".join(comment))
            comment = []
        else:
            comment = []
    assert found == {setting.name: (as_text(setting.default), setting.meaning) for setting in SETTINGS}


def as_text(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, list) else str(default)


def test_every_setting_is_read_outside_of_the_settings(project: Path) -> None:
    """By the app or by Gunicorn; what only the tests need, by them."""
    app = project / "app"
    files = [path for path in app.rglob("*.py") if not path.is_relative_to(app / "config")]
    read = names_read([*files, project / "gunicorn.conf.py"])
    read |= {name for name in names_read((project / "tests").rglob("*.py")) if name.startswith("TEST_")}
    assert {setting.name for setting in SETTINGS} - read == set()


def names_read(paths: Iterable[Path]) -> set[str]:
    """The texts by which something is looked up, as ``config["NAME"]`` or ``config.get("NAME")``."""
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Subscript(slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                    names.add(name)
                case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
                    names.add(name)
    return names


def test_every_setting_is_on_its_page(project: Path) -> None:
    page = (project / "docs" / "settings.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{setting.name}` | {as_text(setting.default)} | {setting.meaning} |" for setting in SETTINGS]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_TO", "stdout"),
        ("LOG_TO", "file://host/agora.log"),
        ("LOG_TO", "syslog://"),
        ("LOG_TO", "syslog://host:99999"),
        ("LOG_FILE_SIZE", "0"),
        ("METRICS_TOKEN", "short"),
        ("METRICS_TOKEN", "with a space in it"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("SENTRY_DSN", "sentry.example.com"),
        ("SQLALCHEMY_ECHO", "perhaps"),
        ("DATABASE_URL", "mysql://db/agora"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "no address"),
        ("BROKER_URL", "memory://"),
        ("BROKER_URL", "broker:6379"),
        ("WEB_THREADS", "-1"),
        ("RATES_URL", "rates.example.com"),
        ("RATES_URL", "ftp://rates.example.com"),
        ("RATES_URL", "https://rates.example.com/latest?key=1"),
        ("RATES_URL", "https://user:hidden@rates.example.com"),
        ("RATES_URL", "http://127.0.0.1:port"),
        ("RATES_URL", "http://[::1"),
        ("SMTP_URL", "mail.example.com"),
        ("SMTP_URL", "http://mail.example.com"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://host:99999"),
        ("SMTP_URL", "smtp://host?tls"),
        ("SMTP_URL", "smtp://user:password@host"),
        ("MAIL_FROM", "Agora"),
        ("MAIL_FROM", "a@example.com\nBcc: b@example.com"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        load_settings()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_a_postgresql_address_is_given_the_driver_that_is_installed(scheme: str) -> None:
    settings = load_settings("development", {"DATABASE_URL": f"{scheme}://u:p%40@host:5/name?sslmode=require"})
    assert settings["DATABASE_URL"] == "postgresql+psycopg2://u:p%40@host:5/name?sslmode=require"


def test_development_asks_its_own_rate_service_and_production_none() -> None:
    assert load_settings("development", {"PORT": 8001})["RATES_URL"] == "http://127.0.0.1:8011"
    assert load_settings("production", GOOD)["RATES_URL"] == ""
    for name in ("development", "production"):
        settings = load_settings(name, {**GOOD, "RATES_URL": "https://rates.example.com/v1/"})
        assert settings["RATES_URL"] == "https://rates.example.com/v1"


@pytest.mark.parametrize(
    "url", ["redis://h/0", "rediss://:pw@h:6380/1", "redis+socket:///run/broker", "amqp://u:p@h//", "amqps://u:p@h"]
)
def test_a_broker_is_redis_or_rabbitmq(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BROKER_URL", url)
    assert load_settings()["BROKER_URL"] == url


@pytest.mark.parametrize(
    "target",
    ["stderr", "file:///var/log/agora.log", "syslog://logs.example.com", "syslog://[::1]:5140", "syslog:///dev/log"],
)
def test_the_log_goes_to_the_console_a_file_or_syslog(target: str) -> None:
    assert load_settings("production", {**GOOD, "LOG_TO": target})["LOG_TO"] == target


@pytest.mark.parametrize(
    ("name", "value", "category"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "otel"),
        ("SENTRY_DSN", "https://key@sentry.example.com/1", "sentry"),
    ],
)
def test_a_setting_whose_packages_are_missing_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, category: str
) -> None:
    monkeypatch.setattr(config, "find_spec", lambda _module: None)
    with pytest.raises(ConfigError, match=f"{name} needs packages .* --categories={category}"):
        load_settings("production", {**GOOD, name: value})


def test_a_mail_server_needs_a_sender_in_production() -> None:
    server = {**GOOD, "SMTP_URL": "smtp://agora:p%40@mail.example.com:2525?starttls"}
    with pytest.raises(ConfigError, match="MAIL_FROM is not set"):
        load_settings("production", server)
    server["MAIL_FROM"] = "Agora <agora@example.com>"
    with pytest.raises(ConfigError, match="APP_URL is not set"):
        load_settings("production", server)
    settings = load_settings("production", {**server, "APP_URL": "https://market.example.com"})
    assert settings["SMTP_URL"] == server["SMTP_URL"]


def test_production_starts_with_good_settings() -> None:
    assert load_settings("production", GOOD)["FLASK_ENV"] == "production"


def test_production_names_every_reason_at_once() -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings("production", {"CORS_ORIGINS": "*", "JWT_SECRET_KEY": "short-1234"})
    missing = [f"{name} is not set" for name in ("SECRET_KEY", "DATABASE_URL", "BROKER_URL")]
    for reason in (*missing, "JWT_SECRET_KEY is shorter", "CORS_ORIGINS"):
        assert reason in refusal.value.message


@pytest.mark.parametrize(
    "secret", ["", "short", "change-me-please-0123456789-abcdefghi", "a" * 40, "your-secret-key-your-secret-key-123"]
)
@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET_KEY"])
def test_production_refuses_a_missing_default_or_short_secret(name: str, secret: str) -> None:
    with pytest.raises(ConfigError, match=f" {name} is"):
        load_settings("production", {**GOOD, name: secret})


@pytest.mark.parametrize("other", ["", "-and-more", "-B"])
def test_production_refuses_two_secrets_of_which_one_tells_the_other(other: str) -> None:
    for names in (("SECRET_KEY", "JWT_SECRET_KEY"), ("JWT_SECRET_KEY", "SECRET_KEY")):
        secrets = dict(zip(names, (GOOD["SECRET_KEY"], GOOD["SECRET_KEY"] + other), strict=True))
        with pytest.raises(ConfigError, match="SECRET_KEY and JWT_SECRET_KEY must differ"):
            load_settings("production", {**GOOD, **secrets})


def test_production_refuses_the_secrets_of_the_tests_and_a_wildcard_within_an_origin() -> None:
    for wrong in ({"SECRET_KEY": config.TESTING["SECRET_KEY"]}, {"CORS_ORIGINS": "https://*.example.com"}):
        with pytest.raises(ConfigError):
            load_settings("production", {**GOOD, **wrong})


def test_development_makes_its_secrets_once_and_keeps_them_for_this_user_alone(bare_machine: Path) -> None:
    first = load_settings()
    assert len(first["SECRET_KEY"].encode()) >= 32
    assert first["SECRET_KEY"] != first["JWT_SECRET_KEY"]
    assert load_settings()["JWT_SECRET_KEY"] == first["JWT_SECRET_KEY"]
    kept = bare_machine / "instance" / "secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(path.name for path in kept.parent.iterdir()) == ["jwt_secret_key", "secret_key"]


def test_the_tests_never_see_this_machines_database(monkeypatch: pytest.MonkeyPatch, bare_machine: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/precious")
    (bare_machine / ".env").write_text("DATABASE_URL=sqlite:///precious.db\n")
    assert load_settings("testing")["DATABASE_URL"] == "sqlite:///testing.db"
    assert os.environ["DATABASE_URL"] == "postgresql://db/precious"
