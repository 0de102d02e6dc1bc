"""How Gunicorn serves the app. Every figure comes from a setting; see app/config/settings.py."""

import errno
import gc
import math
import os
import socket
import sys
from pathlib import Path
from typing import Any

from app.config import ConfigError, load_settings
from app.core.http.request_body import MULTIPART_OVERHEAD
from app.extensions import db
from app.server.arrival import Limits
from app.server.fast import FastWorker, forget_connections
from app.server.graceful import GracefulWorker
from app.server.welcome import welcome

try:
    settings = load_settings()
except ConfigError as error:
    sys.exit(f"Error: {error.format_message()}")


def cores() -> int:
    """Return how many cores this process may use: those it is bound to, or its container's quota (cgroup v2)."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(bound, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # There is no such file, or it says "max".
        return bound


wsgi_app = "wsgi:app"
bind = f"{settings['HOST']}:{settings['PORT']}"  # An IPv6 address has its brackets already.
workers = settings["WEB_CONCURRENCY"] or max(2, cores())  # With one, a single long computation would stop it all.
threads = settings["WEB_THREADS"]
worker_class = FastWorker if settings["FAST_WORKER"] else GracefulWorker
worker_class.limits = Limits(
    lock_timeout=settings["LOCK_TIMEOUT"],
    read_timeout=settings["READ_TIMEOUT"],
    max_body=settings["MAX_UPLOAD_SIZE"] + MULTIPART_OVERHEAD,
)
# Nginx lets go of an idle connection after one second, so that it never sends a request into one that is closed here:
# after this time, or two seconds after a worker was told to stop.
keepalive = 5
# A worker's sign of life is a file's time; on a disk that is busy, setting it could wait.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
timeout = settings["REQUEST_TIMEOUT"]
graceful_timeout = settings["REQUEST_TIMEOUT"]
preload_app = True  # An app that cannot start is one message, not one from each worker for ever.
max_requests = 100_000
max_requests_jitter = 20_000
limit_request_line = 8190
control_socket_disable = True
forwarded_allow_ips = ""  # Which proxies are believed is the setting TRUSTED_PROXIES, and the app's business.
accesslog = None  # The app writes a line for each request, with its id.
loglevel = "warning" if settings["FLASK_ENV"] == "development" else "info"


def on_starting(_server: Any) -> None:
    """Say in one sentence that the port is taken, before Gunicorn tries for five seconds."""
    if "GUNICORN_FD" in os.environ or "LISTEN_PID" in os.environ:
        return  # The socket is handed over, by the server that this one replaces or by systemd.
    family = socket.AF_INET6 if ":" in settings["HOST"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings["HOST"].strip("[]"), settings["PORT"]))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            sys.exit(f"Error: {bind} {reason}. Stop what uses it, or choose another with PORT=8001.")


def child_exit(_server: Any, worker: Any) -> None:
    """Have the connections of a process that has ended forgotten."""
    forget_connections(worker)


def when_ready(server: Any) -> None:
    """Say where the service is; and set apart what the workers share, or each one's garbage collector would copy it."""
    app = server.app.wsgi()
    with app.app_context():
        print(welcome(), file=sys.stderr, flush=True)
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    gc.collect()
    gc.freeze()
