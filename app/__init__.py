"""Agora: the backend of a community marketplace."""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import api, auth, cli, jobs, rates, registry
from app.config import load_settings
from app.config.given import read_given
from app.core import hooks, request_state
from app.core.background import dispatcher, outbox
from app.core.db import engines
from app.core.http import cross_origin, error_handler, headers, request_body
from app.core.http.application import Application
from app.core.observability import logging, metrics, telemetry
from app.core.rest import resource
from app.extensions import cors, db, migrate


def create_app(config: object = None, overrides: Mapping[str, Any] | None = None) -> Flask:
    """Make the service.

    ``config`` is the environment's name (by default what FLASK_ENV says), or the settings as a class, object, import
    path or mapping. ``overrides`` win over all other sources. Raises ConfigError with every reason not to start.
    """
    name, given = read_given(config)
    app = Application(__name__, static_folder=None)
    app.config.from_mapping({**given, **load_settings(name, {**given, **(overrides or {})})})
    app.config.from_mapping(engines.engine_settings(app.config))

    request_state.init_app(app)
    telemetry.init_app(app)
    logging.init_app(app)
    headers.init_app(app)
    request_body.init_app(app)
    error_handler.init_app(app)

    db.init_app(app)
    engines.init_app(app, db)
    telemetry.trace_statements(app, db)
    migrate.init_app(app)
    if app.config["CORS_ORIGINS"]:
        cors.init_app(app, **cross_origin.options(app.config["CORS_ORIGINS"]))

    auth.init_app(app)
    dispatcher.init_app(app)
    outbox.init_app(app, registry.SUBSCRIPTIONS)
    hooks.init_app(app, registry.HOOKS)
    jobs.init_app(app, registry.KINDS)
    rates.init_app(app)
    resource.route(app, api.ROUTES)
    metrics.init_app(app, db)
    cli.init_app(app)
    if app.config["TRUSTED_PROXIES"]:
        hops = app.config["TRUSTED_PROXIES"]
        trusted = dict.fromkeys(("x_for", "x_proto", "x_host", "x_prefix"), hops)
        app.wsgi_app = ProxyFix(app.wsgi_app, **trusted)  # type: ignore[method-assign]
    return app
