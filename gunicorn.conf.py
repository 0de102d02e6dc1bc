"""How Gunicorn serves the app. Every figure comes from a setting; see app/config.py."""

import errno
import gc
import json
import math
import mmap
import os
import select
import socket
import sys
import time
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gunicorn.util
from gunicorn.workers.gthread import ThreadWorker

from app.cli import welcome
from app.config import ConfigError, load_settings
from app.core.errors import ServiceUnavailable
from app.core.http.headers import SECURITY
from app.core.http.request_body import CHUNK_SIZE, MULTIPART_OVERHEAD
from app.extensions import db

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


STAY = 2  # milliseconds; a thread that stays for long is missed by the other connections
CONNECTIONS = mmap.mmap(-1, 256)  # how many each process has, for all to see; of this one at the place of its ``age``
NOBODY = 255  # where there is no process, or one that accepts no more
CONNECTIONS.write(bytes([NOBODY]) * len(CONNECTIONS))
LONGEST_WAIT = settings["LOCK_TIMEOUT"] * 0.9  # seconds for a thread; who waits behind a lock need not wait for it, too
LOOK = 1.5  # seconds, at most, between two looks at the clock by a process that is not frozen
WAY = 0.0002  # seconds that who has fewer is given to come first
LET_IN = settings["MAX_UPLOAD_SIZE"] + MULTIPART_OVERHEAD  # the most bytes of a refused body
LET_IN_SECONDS = 5


def has_request(conn: Any) -> bool:
    """Wait for a moment for something to be read, or for the connection's end."""
    if conn.parser.unreader.buf.getvalue():
        return True  # It came with the last one.
    poller = select.poll()
    poller.register(conn.sock, select.POLLIN)
    return bool(poller.poll(STAY))


def throw_away(conn: Any) -> bool:
    """Let in what nobody has read of a request's body, and return whether that was all of it.

    Who is refused while still sending would see the connection break and not the answer; a proxy makes a 503 of that.
    """
    body, left, until = conn.parser.mesg.body, LET_IN, time.monotonic() + LET_IN_SECONDS
    if getattr(body.reader, "length", None) != 0:
        conn.sock.settimeout(LET_IN_SECONDS)
        try:
            while chunk := body.read(CHUNK_SIZE):
                left -= len(chunk)
                if left < 0 or time.monotonic() > until:
                    return False
        except Exception:  # Too slow, gone, or not what it has announced.
            return False
        finally:
            conn.sock.settimeout(None)
    return not body.failed


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's worker of threads, which refuses new connections as soon as it is told to stop.

    Gunicorn's own leaves its socket open until its last connection is closed; who connects meanwhile waits for nobody
    and is cut off in the end, and a proxy must not repeat a POST that was sent. Who is refused goes to another server.
    """

    def init_process(self) -> None:
        """Begin, with Gunicorn's settings as plain attributes: it looks twenty of them up for each request."""
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        self.awake = (0.0, time.monotonic())  # for how long, until when
        super().init_process()

    def seconds_awake(self) -> float:
        """Return for how long the process has been awake. The main thread looks once a second; a freeze is more."""
        seconds, until = self.awake
        return seconds + min(time.monotonic() - until, LOOK)

    def notify(self) -> None:
        """Show at least once a second that the process is alive, and how many connections it has."""
        self.awake = (self.seconds_awake(), time.monotonic())
        CONNECTIONS[self.age % len(CONNECTIONS)] = self.connections() if self.alive else NOBODY
        super().notify()

    def connections(self) -> int:
        """Return how many there are, as far as is shown. Gunicorn counts one twice that breaks off in its answer."""
        shown: int = max(0, min(self.nr_conns, NOBODY - 1))
        return shown

    def enqueue_req(self, conn: Any) -> None:
        """Have a connection wait for a thread, and note since when."""
        conn.waits_since = self.seconds_awake()
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Serve a connection as long as its next request comes at once and nobody else waits.

        To hand it back to the main thread, and be given it again, takes a tenth of a short request. One that has waited
        for a thread for too long is refused: where all threads wait for a lock, no queue gets shorter.
        """
        waited = self.seconds_awake() - conn.waits_since
        if waited > LONGEST_WAIT:
            self.log.warning("A request has waited for a thread for %.1f seconds, and is answered 503", waited)
            refuse(conn.sock, 503, BUSY, {"Retry-After": "1"})
            return False
        keep = super().handle(conn)
        while keep is True and self.alive and self.tpool._work_queue.empty() and has_request(conn):
            keep = super().handle(conn)
        return keep

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Return whether the connection can have another request. Gunicorn's own lets in no more than 64 kB."""
        return throw_away(conn) and keepalive

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; for good, when the worker is stopping: whoever has connected already is served."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                self.accept_all(listener)
                listener.close()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, and let a process come first that has less than four fifths as many.

        Gunicorn's own leaves it to chance: of eight connections that are opened one after another, one process of two
        often gets them all, and serves them alone for as long as they are kept alive.
        """
        if min(CONNECTIONS[:]) * 5 // 4 < self.connections():
            time.sleep(WAY)
        super().accept(listener)

    def accept_all(self, listener: socket.socket) -> None:
        """Accept the connections that wait in the backlog, those of a worker beside this one, too."""
        listener.setblocking(False)
        before = -1
        while before < self.nr_conns < self.worker_connections:
            before = self.nr_conns
            self.accept(listener)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections that were idle for too long, but none on which a request waits.

        Both are there when the whole process was frozen. Gunicorn's own would cut the request off unread.
        """
        if not force and self.keepalived_conns and self.keepalived_conns[0].timeout <= time.monotonic():
            self.wait_for_and_dispatch_events(timeout=0)
        super().murder_keepalived(force)


wsgi_app = "wsgi:app"
bind = f"{settings['HOST']}:{settings['PORT']}"  # An IPv6 address has its brackets already.
workers = settings["WEB_CONCURRENCY"] or max(2, cores())  # With one, a single long computation would stop it all.
threads = settings["WEB_THREADS"]
worker_class = Worker
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


BUSY = {"code": ServiceUnavailable.code, "message": ServiceUnavailable.message}
MALFORMED = {"code": "malformed_request", "message": "The request is not well-formed HTTP, or its head is too large."}


def write_json_error(connection: socket.socket, status: int, _reason: str, _message: str) -> None:
    """Refuse what is not HTTP; Gunicorn's own words are a page that quotes the request."""
    refuse(connection, status, MALFORMED, {})


def refuse(connection: socket.socket, status: int, words: dict[str, str], more: dict[str, str]) -> None:
    """Answer in the one shape of errors, with ``more`` headers, and end the connection."""
    request_id = uuid.uuid4().hex
    reason = HTTPStatus(status).phrase
    body = json.dumps({"error": reason, **words, "request_id": request_id}).encode() + b"\n"
    headers = SECURITY | {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
        **more,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    gunicorn.util.write_nonblock(connection, f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body)


gunicorn.util.write_error = write_json_error


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
    """Forget the connections of a process that has ended, however it has."""
    CONNECTIONS[worker.age % len(CONNECTIONS)] = NOBODY


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
