"""How a connection ends: what was answered arrives, and nobody waits for its client."""

import socket
from contextlib import suppress

CHUNK_SIZE = 65_536  # bytes


def close(connection: socket.socket) -> None:
    """Announce the end of a connection, and close it.

    What has arrived unread is read first: closed over it, a connection is reset, and the client may lose the answer.
    Gunicorn's own waits up to two seconds for the client to close first (RFC 9112, section 9.6), in the thread that
    gives all other connections their turn.
    """
    with suppress(OSError):  # It is closed already, or there is nothing to read.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(CHUNK_SIZE, socket.MSG_DONTWAIT)
    with suppress(OSError):
        connection.close()
