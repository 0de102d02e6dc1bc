"""Gunicorn's worker, faster: fewer ways between threads and fewer look-ups for each request, and an even load.

Nothing here is needed for a right answer: ``FAST_WORKER=false`` goes without. docs/decisions/0001-gunicorns-worker.md.
"""

import mmap
import select
import socket
import time
from typing import Any

from app.core.waiting import record_wait
from app.server.arrival import Arrival
from app.server.graceful import GracefulWorker

KEEPALIVE_WAIT_MS = 2  # milliseconds; a thread that waits for long is missed by the other connections
YIELD_SECONDS = 0.0002  # that a process with fewer connections is given to accept first
NOT_ACCEPTING = 255  # where there is no process, or one that accepts no more
CONNECTIONS = mmap.mmap(-1, 256)  # how many each process has, for all to see; of each one at the place of its ``age``
CONNECTIONS.write(bytes([NOT_ACCEPTING]) * len(CONNECTIONS))


def forget_connections(worker: Any) -> None:
    """Forget the connections of a process that has ended, however it has."""
    CONNECTIONS[worker.age % len(CONNECTIONS)] = NOT_ACCEPTING


class FastWorker(GracefulWorker):
    """A worker whose threads keep a busy connection, and which lets a process with fewer connections accept first."""

    def init_process(self) -> None:
        """Begin, with Gunicorn's settings as plain attributes: it looks twenty of them up for each request."""
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def notify(self) -> None:
        """Show at least once a second that the process is alive, and how many connections it has."""
        CONNECTIONS[self.age % len(CONNECTIONS)] = self.connections() if self.alive else NOT_ACCEPTING
        super().notify()

    def connections(self) -> int:
        """Return how many there are, as far as is shown. Gunicorn counts one twice that breaks off in its answer."""
        shown: int = max(0, min(self.nr_conns, NOT_ACCEPTING - 1))
        return shown

    def serve(self, conn: Any) -> Any:
        """Serve a connection as long as its next request comes at once and nobody else waits.

        To hand it back to the main thread, and be given it again, takes a tenth of a short request.
        """
        keep = super().serve(conn)
        while keep is True and self.alive and self.is_free_for(conn) and self.has_next_request(conn):
            record_wait(0.0)
            keep = super().serve(conn)
        return keep

    def is_free_for(self, conn: Any) -> bool:
        """Return whether the connection may keep its thread: nobody waits for it, and it is not kept for others."""
        keeps = conn.pool in (self.tpool, self.own_pools[Arrival.WRITE])
        return keeps and conn.pool._work_queue.empty()

    def has_next_request(self, conn: Any) -> bool:
        """Wait for a moment for the next request, or for the connection's end.

        Return whether it is there, and is one for the thread that has served the last one.
        """
        if not conn.reader.received:
            poller = select.poll()
            poller.register(conn.sock, select.POLLIN)
            if not poller.poll(KEEPALIVE_WAIT_MS):
                return False
        arrival = conn.reader.receive()
        return arrival is not Arrival.PARTIAL and self.pool_for(arrival) is conn.pool

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, and let a process come first that has less than four fifths as many.

        Gunicorn's own leaves it to chance: of eight connections that are opened one after another, one process of two
        often gets them all, and serves them alone for as long as they are kept alive.
        """
        if min(CONNECTIONS[:]) * 5 // 4 < self.connections():
            time.sleep(YIELD_SECONDS)
        super().accept(listener)
