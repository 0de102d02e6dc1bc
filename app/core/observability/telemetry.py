"""Traces for OpenTelemetry and errors for Sentry, each only where its setting is set.

Their packages are categories of their own in the Pipfile, and are imported only then; app/config.py says so if they
are missing.
"""

from typing import Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy

from app.core.observability.scrubbing import scrubbed
from app.core.request_state import request_id

SERVICE = "agora"
TRACES = "agora-traces"
FLUSH_SECONDS = 2  # that a process may take at its end to send what is left


def init_app(app: Flask) -> None:
    """Set up what the settings ask for; before anything else wraps the app, so that a trace has the request's id."""
    if app.config["SENTRY_DSN"]:
        _send_to_sentry(app)
    if app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        _trace(app)


def _send_to_sentry(app: Flask) -> None:
    """Send what is logged as an error, with its traceback, and nothing of the request but its id."""
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=app.config["SENTRY_DSN"],
        environment=app.config["FLASK_ENV"],
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,  # A local variable may be a password.
        max_breadcrumbs=0,
        shutdown_timeout=FLUSH_SECONDS,
        # Others would add the request, the command's arguments and the queries, or report what was answered.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[LoggingIntegration(level=None), DedupeIntegration(), AtexitIntegration(lambda *_: None)],
        before_send=_without_secrets,
    )


def _without_secrets(event: Any, _hint: Any) -> Any:
    """Return what is sent to Sentry: the event with the request's id, and without what looks like a secret."""
    event.setdefault("tags", {})["request_id"] = request_id()
    return _clean(event)


def _clean(value: Any) -> Any:
    match value:
        case str():
            return scrubbed(value)
        case dict():
            return {key: _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
    return value


def _trace(app: Flask) -> None:
    """Send a span for each request and each of its statements, whose values stay here."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # OpenTelemetry's own variables of the environment, like OTEL_SERVICE_NAME, win.
    resource = Resource({SERVICE_NAME: SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(f"{app.config['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    app.extensions[TRACES] = provider
    hooks = {"request_hook": _name_request, "response_hook": _hide_query}
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider, **hooks)


def trace_statements(app: Flask, db: SQLAlchemy) -> None:
    """Send a span for each statement, where traces are asked for."""
    if TRACES in app.extensions:
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        with app.app_context():
            engines = list(db.engines.values())
        # It refuses SQLAlchemy 2.1 by its number alone; tests/health/test_observed.py shows that it works.
        SQLAlchemyInstrumentor().instrument(
            engines=engines, tracer_provider=app.extensions[TRACES], skip_dep_check=True
        )


def _name_request(span: Any, _environ: dict[str, Any]) -> None:
    span.set_attribute("request.id", request_id())


def _hide_query(span: Any, _status: str, _headers: Any) -> None:
    """Leave out what a client has searched for, as the log does."""
    span.set_attribute("http.target", request.path)
