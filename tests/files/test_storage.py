"""Where the bytes are: a folder or an S3-compatible store, swept of what belongs to no file; 503 while it is away."""

import logging
import os
import socket
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from app import create_app
from app.core import clock
from app.core.clients import storage
from app.files.service import make_thumbnail, sweep
from tests.client import CheckedClient
from tests.conftest import AsUser, dispose, new_client, use_token
from tests.contract.resources import PICTURE
from tests.files.test_upload import URL, upload

SECRET = "s3cr3t-access-key"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedMotoServer]:
    """A server that speaks S3, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel("ERROR")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    point_at(monkeypatch, f"http://{host}:{port}")
    bucket = urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")
    urllib.request.urlopen(bucket).close()  # noqa: S310
    yield server
    s3_backends.reset()  # It closes the temporary files that hold the objects.
    server.stop()


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)


@pytest.fixture
def on_s3(app: Flask, as_user: AsUser) -> Iterator[CheckedClient]:
    """A member of the same service on a bucket."""
    url = app.config["DATABASE_URL"]
    s3_app = create_app("testing", {"DATABASE_URL": url, "STORAGE_URL": "s3://bucket/some/prefix"})
    s3_app.test_client_class = CheckedClient
    client = new_client(s3_app)
    use_token(client, as_user().environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
    yield client
    dispose(s3_app)


def test_a_bucket_holds_files_of_several_parts(s3: ThreadedMotoServer, on_s3: CheckedClient) -> None:
    content = os.urandom(storage.CHUNK_SIZE + 300_000)
    assert upload(on_s3, content).status_code == 201
    assert on_s3.get(f"{URL}/1/content").data == content
    part = on_s3.get(f"{URL}/1/content", headers={"Range": "bytes=5242870-5242899"})
    assert (part.status_code, part.data) == (206, content[5_242_870:5_242_900])
    upload(on_s3, PICTURE)
    with on_s3.application.app_context():
        make_thumbnail(2)
    assert on_s3.get(f"{URL}/2/thumbnail").status_code == 200


def test_a_bucket_is_swept(s3: ThreadedMotoServer, on_s3: CheckedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        upload(on_s3, b"some bytes")
        assert on_s3.get(f"{URL}/{number}").status_code == 200
    on_s3.delete(f"{URL}/1")
    now = clock.now()
    with on_s3.application.app_context():
        assert sweep() == 0
        monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=25))
        assert (sweep(), sweep()) == (1, 0)
    monkeypatch.undo()


def check_unavailable(client: CheckedClient) -> None:
    for answer in (upload(client), client.get(f"{URL}/1/content")):
        assert (answer.status_code, answer.get_json()["code"]) == (503, "storage_unavailable")
        assert answer.headers["Retry-After"] == "1"
    assert client.get(URL).get_json()["total"] == 1
    assert client.head(f"{URL}/1/content").status_code == 200


def test_a_store_that_is_away_is_503_for_what_needs_it_until_it_is_back(
    s3: ThreadedMotoServer, on_s3: CheckedClient, caplog: pytest.LogCaptureFixture
) -> None:
    upload(on_s3)
    host, port = s3.get_host_and_port()
    s3.stop()
    with caplog.at_level("ERROR", logger="app"):
        check_unavailable(on_s3)
    assert "storage is away" in caplog.text
    assert SECRET not in caplog.text
    s3._ip_address, s3._port = host, port
    s3.start()
    assert upload(on_s3).status_code == 201


def test_a_store_that_is_frozen_is_503_too_and_not_waited_for_for_ever(
    app: Flask, on_s3: CheckedClient, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("app").setLevel("CRITICAL")
    quick = timedelta(milliseconds=300)
    monkeypatch.setitem(storage.CLIENT, "timeout", quick)
    monkeypatch.setitem(storage.RETRY, "retry_timeout", quick)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_at(monkeypatch, f"http://user:{SECRET}@127.0.0.1:{silent.getsockname()[1]}")
        answer = upload(on_s3)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "storage_unavailable")


def test_credentials_in_an_endpoint_are_not_logged(
    app: Flask, on_s3: CheckedClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    point_at(monkeypatch, f"http://user:{SECRET}@127.0.0.1:1")
    with caplog.at_level("ERROR", logger="app"):
        assert upload(on_s3).status_code == 503
    assert "127.0.0.1:1" in caplog.text
    assert SECRET not in caplog.text


def stored_in(app: Flask) -> set[Path]:
    folder = Path(unquote(urlsplit(app.config["STORAGE_URL"]).path))
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_swept_of_old_bytes_without_a_file(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        sweep_all(monkeypatch)
    others = stored_in(app)
    member = as_user()
    upload(member, PICTURE)
    upload(member, PICTURE)
    with app.app_context():
        make_thumbnail(1)
        make_thumbnail(2)
    assert len(stored_in(app) - others) == 4
    member.delete(f"{URL}/1")
    with app.app_context():
        assert sweep() == 0  # It may belong to an upload that is under way.
        assert sweep_all(monkeypatch) == 2
    assert len(stored_in(app) - others) == 2
    assert member.get(f"{URL}/2/content").data == PICTURE
    assert member.get(f"{URL}/2/thumbnail").status_code == 200


def sweep_all(monkeypatch: pytest.MonkeyPatch) -> int:
    now = clock.now()
    with monkeypatch.context() as later:
        later.setattr(clock, "now", lambda: now + timedelta(hours=25))
        return sweep()


def test_bytes_that_were_lost_are_404_and_logged(app: Flask, as_user: AsUser, caplog: pytest.LogCaptureFixture) -> None:
    member = as_user()
    before = stored_in(app)
    upload(member)
    (lost,) = stored_in(app) - before
    lost.unlink()
    with caplog.at_level("ERROR", logger="app"):
        assert member.get(f"{URL}/1/content").status_code == 404
    assert "missing in the storage" in caplog.text


def test_a_refused_upload_stores_nothing(app: Flask, as_user: AsUser) -> None:
    before = stored_in(app)
    member = as_user()
    assert upload(member, b"").status_code == 400
    assert upload(member, b"x", query_string="a=1").status_code == 400
    assert stored_in(app) == before
