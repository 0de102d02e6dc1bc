"""Files through a real Gunicorn: in constant memory, and nothing stays of an upload that dies."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from tests.test_running import Checkout, checkout

__all__ = ["checkout"]

MEBIBYTE = 1024 * 1024
SIZE = 96 * MEBIBYTE
MOST_GROWTH = 48 * MEBIBYTE
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
END = b"\r\n--b--\r\n"


@pytest.fixture
def server(checkout: Checkout) -> Iterator["subprocess.Popen[bytes]"]:
    checkout.environment["MAX_UPLOAD_SIZE"] = str(SIZE)
    checkout.run("flask", "db", "upgrade")
    made = checkout.run(
        "flask", "create-user", "me@example.com", "--name", "Me", "--role", "member", "--password", "-",
        stdin="Correct-horse-1\n",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    process = checkout.serve()
    yield process
    checkout.stop(process)


def connected(checkout: Checkout) -> "closing[http.client.HTTPConnection]":
    return closing(http.client.HTTPConnection("127.0.0.1", checkout.port, timeout=60))


def signed_in(checkout: Checkout) -> dict[str, str]:
    account = json.dumps({"email": "me@example.com", "password": "Correct-horse-1"})
    with connected(checkout) as connection:
        connection.request("POST", "/auth/login", account, {"Content-Type": "application/json"})
        return {"Authorization": f"Bearer {json.load(connection.getresponse())['access_token']}"}


def most_memory(server: "subprocess.Popen[bytes]") -> int:
    """Return the most memory that the worker has ever had (bytes)."""
    worker = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    assert found
    return int(found[1]) * 1024


def pieces(mebibyte: bytes) -> Iterator[bytes]:
    yield HEAD
    for _ in range(SIZE // MEBIBYTE):
        yield mebibyte
    yield END


def test_a_large_file_goes_in_and_out_in_constant_memory(checkout: Checkout, server: "subprocess.Popen[bytes]") -> None:
    headers = signed_in(checkout) | {"Content-Type": "multipart/form-data; boundary=b"}
    mebibyte = os.urandom(MEBIBYTE)
    before = most_memory(server)
    length = {"Content-Length": str(len(HEAD) + SIZE + len(END))}
    digest = sha256()
    with connected(checkout) as connection:
        connection.request("POST", "/api/v1/files", pieces(mebibyte), headers | length)
        made = json.load(connection.getresponse())
        assert made["size"] == SIZE
        connection.request("GET", made["url"], headers=headers)
        answer = connection.getresponse()
        while piece := answer.read(MEBIBYTE):
            digest.update(piece)
    assert digest.hexdigest() == made["sha256"]
    assert most_memory(server) - before < MOST_GROWTH


@pytest.mark.parametrize("framing", [b"Content-Length: 50000000", b"Transfer-Encoding: chunked"])
def test_a_client_that_dies_in_the_middle_leaves_nothing(
    checkout: Checkout, server: "subprocess.Popen[bytes]", framing: bytes
) -> None:
    headers = signed_in(checkout)
    with socket.create_connection(("127.0.0.1", checkout.port), timeout=10) as dying:
        dying.sendall(
            b"POST /api/v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            + f"Authorization: {headers['Authorization']}\r\n".encode()
            + framing
            + b"\r\n\r\n"
            + (b"f4240\r\n" if b"chunked" in framing else b"")
            + HEAD
            + b"x" * 500_000
        )
    for _ in range(100):
        if "/api/v1/files" in checkout.log.read_text():
            break
        time.sleep(0.1)
    with connected(checkout) as connection:
        connection.request("GET", "/api/v1/files", headers=headers)
        assert json.load(connection.getresponse())["total"] == 0
    assert not [path for path in (checkout.folder / "instance" / "files").rglob("*") if path.is_file()]
