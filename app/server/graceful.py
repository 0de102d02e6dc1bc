"""Gunicorn's worker as it has to be to lose no request: when it is stopped, frozen, orphaned, or sent to slowly."""

import struct
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from socket import SO_SNDTIMEO, SOL_SOCKET, socket
from typing import Any, ClassVar

import gunicorn.util
from gunicorn.workers.gthread import ThreadWorker

from app.core.errors import RequestTimeout, ServiceUnavailable
from app.core.http.request_body import CHUNK_SIZE
from app.core.waiting import record_wait
from app.server import closing, errors
from app.server.arrival import Arrival, Limits, RequestReader

MAX_STEP_SECONDS = 1.5  # seconds, at most, between two looks at the clock by a process that is not frozen
PART_FOR_THREAD = 0.9  # of LOCK_TIMEOUT: who waits behind a lock need not wait for it, too
LOOK_INTERVAL = 1.0  # seconds between two looks for requests that have not arrived in time


class GracefulWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's worker of threads, which refuses new connections as soon as it is told to stop.

    Gunicorn's own leaves its socket open until its last connection is closed; who connects meanwhile waits for nobody
    and is cut off in the end, and a proxy must not repeat a POST that was sent. Who is refused goes to another server.

    A thread is given whole requests. Those that write have threads of their own, since they may wait for locks; so have
    searches, which may take seconds, and large ones, whose bodies are waited for. When all threads are busy, the
    question whether the process is alive is answered by one that nothing else is given. See
    docs/decisions/0001-gunicorns-worker.md.
    """

    limits: ClassVar[Limits]

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse TLS, which a request cannot be collected from without a thread; it ends at the proxy."""
        if cfg.is_ssl:
            sys.exit("Error: Agora's worker takes no certfile. TLS ends at the proxy before it.")
        super().check_config(cfg, log)

    def init_process(self) -> None:
        """Begin, with threads for what may not wait for the others."""
        gunicorn.util.write_error = errors.write_error
        gunicorn.util.close_graceful = closing.close
        self.awake = (0.0, time.monotonic())  # for how long, until when
        self.next_look = 0.0
        self.busy = 0  # connections that were given to the threads for requests that read
        self.health_pool = ThreadPoolExecutor(1)
        some = max(1, self.cfg.threads // 2)
        self.own_pools = {
            Arrival.WRITE: ThreadPoolExecutor(self.cfg.threads),
            Arrival.SEARCH: ThreadPoolExecutor(some),
            Arrival.LARGE: ThreadPoolExecutor(some),
        }
        super().init_process()

    def seconds_awake(self) -> float:
        """Return for how long the process has been awake. The main thread looks once a second; a freeze is more."""
        seconds, until = self.awake
        return seconds + min(time.monotonic() - until, MAX_STEP_SECONDS)

    def notify(self) -> None:
        """Show at least once a second that the process is alive."""
        self.awake = (self.seconds_awake(), time.monotonic())
        super().notify()

    def is_parent_alive(self) -> bool:
        """Return whether Gunicorn's master is there; without it, the worker stops as if it were told to."""
        is_alive: bool = super().is_parent_alive()
        if not is_alive:
            self.alive = False
        return is_alive

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection's request to a thread, if it is there; else have it arrive, which takes no thread."""
        if not conn.initialized:
            conn.init()
            conn.sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", self.limits.read_timeout, 0))
            conn.reader = conn.parser.unreader = RequestReader(conn, self.limits, self.seconds_awake)
        arrival = conn.reader.receive()
        if arrival is Arrival.PARTIAL:
            conn.idle_until = self.seconds_awake() + self.cfg.keepalive
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
            return
        conn.waits_since = self.seconds_awake()
        conn.pool = self.pool_for(arrival)
        self.busy += conn.pool is self.tpool
        future = conn.pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def pool_for(self, arrival: Arrival) -> Any:
        """Return the threads for a request."""
        if arrival is Arrival.HEALTH:
            pool = self.health_pool if self.busy >= self.cfg.threads else self.tpool
        else:
            pool = self.own_pools.get(arrival, self.tpool)
        return pool

    def finish_request(self, conn: Any, future: "Future[Any]") -> None:
        """Go on with a connection that comes back from a thread."""
        self.busy -= conn.pool is self.tpool
        super().finish_request(conn, future)

    def handle(self, conn: Any) -> Any:
        """Serve a connection, unless its request has waited for a thread for too long.

        Where all threads wait for a lock, no queue gets shorter.
        """
        waited = self.seconds_awake() - conn.waits_since
        if waited > self.limits.lock_timeout * PART_FOR_THREAD:
            self.log.warning("A request has waited for a thread for %.1f seconds, and is answered 503", waited)
            errors.refuse(conn.sock, ServiceUnavailable())
            return False
        conn.reader.extend(waited)
        conn.data_ready = True
        record_wait(waited)
        return self.serve(conn)

    def serve(self, conn: Any) -> Any:
        """Answer a connection's next request, and return whether there may be another one."""
        keep = super().handle(conn)
        conn.reader.finish()
        return keep

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request. A client that takes nothing of its answer for ``read_timeout`` seconds is cut off."""
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            self.log.warning(
                "A client has not taken its answer for %d seconds, and is cut off", self.limits.read_timeout
            )
            return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer in the one shape of errors."""
        if isinstance(exc, RequestTimeout):
            errors.refuse(client, exc)
        else:
            super().handle_error(req, client, addr, exc)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Return whether the connection can have another request. Gunicorn's own reads no more than 64 kB."""
        return self.discard_body(conn) and keepalive

    def discard_body(self, conn: Any) -> bool:
        """Read what nobody has read of a request's body, and return whether that was all of it.

        Who is refused while still sending would see the connection break and not the answer; a proxy makes that a 503.
        """
        body, left = conn.parser.mesg.body, self.limits.max_body
        try:
            while getattr(body.reader, "length", None) != 0 and (chunk := body.read(CHUNK_SIZE)):
                left -= len(chunk)
                if left < 0:
                    return False
        except Exception:  # Too slow, gone, or not what it has announced.
            return False
        return not body.failed

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; for good, when the worker is stopping: whoever has connected already is served."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                if listener.fileno() >= 0:
                    self.accept_all(listener)
                    listener.close()

    def accept_all(self, listener: socket) -> None:
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

    def murder_pending(self) -> None:
        """Once a second, close new connections that send nothing, and refuse requests that have not arrived in time."""
        now = self.seconds_awake()
        if now < self.next_look:
            return
        self.next_look = now + LOOK_INTERVAL
        for conn in list(self.pending_conns):
            has_begun = conn.reader.begun is not None
            if now < (conn.reader.deadline if has_begun else conn.idle_until):
                continue
            self.pending_conns.remove(conn)
            self.poller.unregister(conn.sock)
            if has_begun:
                errors.refuse(conn.sock, RequestTimeout())
            self.nr_conns -= 1
            conn.close()
