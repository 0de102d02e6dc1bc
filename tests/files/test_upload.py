"""Uploading: exactly one file, of bounded size, known by its content, under a name that harms nobody."""

from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.core.http import multipart
from tests.client import CheckedClient
from tests.conftest import AsUser, use_token
from tests.contract.resources import PICTURE

URL = "/api/v1/files"
LIMIT = 10 * 1024 * 1024
MULTIPART = "multipart/form-data"
END = b"--b--\r\n"
KEY = {"Idempotency-Key": "a-key"}


def upload(client: CheckedClient, content: bytes = b"text", name: str = "a.txt", **more: Any) -> TestResponse:
    body = part(f'form-data; name="file"; filename="{name}"', content) + END
    return client.post(URL, data=body, content_type=f"{MULTIPART}; boundary=b", **more)


def send(client: CheckedClient, body: bytes, content_type: str = f"{MULTIPART}; boundary=b") -> TestResponse:
    return client.post(URL, data=body, content_type=content_type)


def part(disposition: str = 'form-data; name="file"; filename="a"', content: bytes = b"x", more: str = "") -> bytes:
    return f"--b\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n"


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    return as_user()


def test_a_file_is_described_as_what_was_sent(member: CheckedClient) -> None:
    made = upload(member, b"Hello", "greeting.txt")
    file = made.get_json()
    assert made.status_code == 201
    assert (file["name"], file["content_type"], file["size"]) == ("greeting.txt", "text/plain", 5)
    assert file["sha256"] == sha256(b"Hello").hexdigest()
    assert (file["url"], file["thumbnail_url"]) == (f"{URL}/1/content", None)
    assert member.get(made.headers["Location"]).get_json() == file
    assert member.get(URL).get_json()["files"] == [file]
    assert member.get(file["url"]).data == b"Hello"


def test_a_part_may_have_eight_kibibytes_of_headers(member: CheckedClient) -> None:
    assert send(member, part(more="X-Long: " + "x" * 8000 + "\r\n", content=b"x" * 200_000) + END).status_code == 201


@pytest.mark.parametrize(("size", "status"), [(1, 201), (LIMIT - 1, 201), (LIMIT, 201), (LIMIT + 1, 413)])
def test_a_file_has_at_most_ten_mebibytes(member: CheckedClient, size: int, status: int) -> None:
    assert upload(member, b"x" * size).status_code == status
    assert member.get(URL).get_json()["total"] == (status == 201)


@pytest.mark.parametrize("size", [1, LIMIT])
def test_without_room_for_it_a_file_is_refused_for_the_moment(
    member: CheckedClient, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(multipart, "TemporaryFile", partial(Path("/dev/full").open, "w+b"))
    answer = upload(member, b"x" * size)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "storage_unavailable")
    assert answer.headers["Retry-After"] == "1"
    monkeypatch.undo()
    assert upload(member, b"x" * size).status_code == 201


def test_what_is_announced_as_too_large_is_refused_unread(member: CheckedClient) -> None:
    huge = {"CONTENT_LENGTH": str(10**10)}
    assert upload(member, b"x", environ_overrides=huge).status_code == 413


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 201), (LIMIT + 200_000, 413)])
def test_a_size_that_is_not_announced_is_bounded_too(member: CheckedClient, size: int, status: int) -> None:
    body = part(content=b"x" * size) + END
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = member.post(URL, data=body, content_type=f"{MULTIPART}; boundary=b", environ_overrides=chunked)
    assert answer.status_code == status


BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "no part": END,
    "an empty file": part(content=b"") + END,
    "no file chosen": part('form-data; name="file"; filename=""', b"") + END,
    "two files": part() + part() + END,
    "two files, the first without a name": part('form-data; name="file"; filename=""') + part() + END,
    "another field": part() + part('form-data; name="title"') + END,
    "another field first": part('form-data; name="title"') + part() + END,
    "another file": part('form-data; name="picture"; filename="a"') + END,
    "a field called file": part('form-data; name="file"') + END,
    "no name": part("form-data") + END,
    "no disposition": b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END,
    "cut off in the head": part()[:30],
    "cut off in the file": part(content=b"x" * 200_000)[:100_000],
    "a head of 9 kB": part(more="X-Long: " + "x" * 9000 + "\r\n") + END,
    "a huge head": part(more="X-Long: " + "x" * 300_000 + "\r\n") + END,
    "a disposition of 100 kB": part(f'form-data; name="file"; filename="{"a" * 100_000}"') + END,
    "many headers": part(more="X: y\r\n" * 100_000) + END,
    "another boundary": part().replace(b"--b", b"--c") + b"--c--\r\n",
    "a head that is not UTF-8": b"--b\r\nContent-Disposition: form-data; name=\xff\r\n\r\nx\r\n" + END,
    "10,000 parts": part() * 10_000 + END,
    "10,000 fields": part('form-data; name="a"') * 10_000 + END,
    "nested": part('form-data; name="files"', part() + END, "Content-Type: multipart/mixed; boundary=c\r\n") + END,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_not_exactly_one_file_is_400_and_leaves_nothing(member: CheckedClient, body: bytes) -> None:
    answer = send(member, body)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["file"])
    assert member.get(URL).get_json()["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 300_000 + part() + END,
        part() + END + b"x" * 300_000,
    ],
    ids=["a long preamble", "a long epilogue"],
)
def test_what_is_long_around_the_file_is_413(member: CheckedClient, body: bytes) -> None:
    assert send(member, body).status_code == 413


@pytest.mark.parametrize("kind", [MULTIPART, f"{MULTIPART}; boundary={'x' * 201}"])
def test_a_missing_or_overlong_boundary_is_400(member: CheckedClient, kind: str) -> None:
    answer = send(member, part() + END, kind)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["file"])


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/mixed", "x"])
def test_what_is_no_multipart_form_is_415(member: CheckedClient, kind: str) -> None:
    assert send(member, b"{}", kind).status_code == 415


def test_a_compressed_body_is_415(member: CheckedClient) -> None:
    assert upload(member, headers={"Content-Encoding": "gzip"}).status_code == 415


def test_no_body_at_all_is_400(member: CheckedClient) -> None:
    answer = member.post(URL)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["file"])


def test_a_body_that_breaks_off_is_400_and_leaves_nothing(member: CheckedClient) -> None:
    assert upload(member, b"x" * 1000, environ_overrides={"CONTENT_LENGTH": "5000"}).status_code == 400
    assert member.get(URL).get_json()["total"] == 0


def test_who_may_not_is_told_so_before_the_body_is_read(client: CheckedClient) -> None:
    class Unreadable(BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise AssertionError("the body was read")

    unread = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": "100"}
    kind = f"{MULTIPART}; boundary=b"
    assert client.post(URL, content_type=kind, environ_overrides=unread).status_code == 401
    use_token(client, "bad")
    assert client.post(URL, content_type=kind, environ_overrides=unread).status_code == 401


def test_an_upload_knows_no_dry_run(member: CheckedClient) -> None:
    assert upload(member, query_string="dry_run=true").get_json()["code"] == "unknown_parameter"


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("C:\\fakepath\\photo.png", "photo.png"),
    ("gpj.\u202eexe", "gpj.exe"),
    ("a\u2066b\u200f.txt", "ab.txt"),
    ("a\u2028b.txt", "ab.txt"),
    ("\u00dcbung \U0001f34b.txt", "\u00dcbung \U0001f34b.txt"),
    ("..", "file"),
    ("a/", "file"),
    ("x" * 300 + ".txt", "x" * 255),
    ('a"; filename=b.txt', 'a"; filename=b.txt'),
]


@pytest.mark.parametrize(("sent", "kept"), NAMES)
def test_a_name_is_kept_without_what_misleads(member: CheckedClient, sent: str, kept: str) -> None:
    quoted = sent.replace("\\", "\\\\").replace('"', '\\"')
    made = send(member, part(f'form-data; name="file"; filename="{quoted}"') + END)
    assert (made.status_code, made.get_json()["name"]) == (201, kept)
    assert member.get(made.get_json()["url"]).status_code == 200


@pytest.mark.parametrize("encoded", ["a%0D%0ASet-Cookie:x=1.txt", "a%00b.txt", "%E2%80%AEa.txt", "%ED%A0%80.txt"])
def test_a_name_smuggles_nothing_into_a_header(member: CheckedClient, encoded: str) -> None:
    made = send(member, part(f"form-data; name=file; filename*=UTF-8''{encoded}") + END)
    assert made.status_code == 201
    got = member.get(made.get_json()["url"])
    assert got.status_code == 200
    assert "Set-Cookie" not in got.headers
    assert "\r" not in got.headers["Content-Disposition"]


HTML = b"<!DOCTYPE html><script>alert(1)</script>"
CONTENTS: dict[str, tuple[bytes, str, str]] = {
    "PNG": (PICTURE, "a.txt", "image/png"),
    "JPEG": (b"\xff\xd8\xff\xe0rest", "a.html", "image/jpeg"),
    "GIF that is a script": (b"GIF89a/*\xff*/=1;alert(1)", "a.js", "image/gif"),
    "WebP": (b"RIFF\x00\x00\x00\x00WEBPVP8 \x00", "a", "image/webp"),
    "PDF": (b"%PDF-1.4\n%%EOF", "a.png", "application/pdf"),
    "HTML as a picture": (HTML, "a.png", "text/plain"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "a.svg", "text/plain"),
    "CSV": ("n\u00e4me,price\n".encode(), "a.CSV", "text/csv"),
    "binary as CSV": (b"\x00\x01\x02\xff" * 9, "a.csv", "application/octet-stream"),
    "text that ends in half a character": (b"abc\xc3", "a.txt", "application/octet-stream"),
    "text with a NUL": (b"abc\x00", "a.txt", "application/octet-stream"),
    "HTML with a NUL": (HTML + b"\x00\xff", "a.html", "text/html"),
    "ZIP": (b"PK\x03\x04" + bytes(40), "a.png", "application/"),
}


@pytest.mark.parametrize(("content", "name", "kind"), CONTENTS.values(), ids=CONTENTS)
def test_what_a_file_is_is_told_by_its_content_alone(
    member: CheckedClient, content: bytes, name: str, kind: str
) -> None:
    made = member.post(URL, data={"file": (BytesIO(content), name, "image/png")}).get_json()
    assert made["content_type"].startswith(kind)
    got = member.get(made["url"])
    assert got.data == content
    shown = made["content_type"].startswith(("image/", "text/plain"))
    assert got.mimetype == (made["content_type"] if shown else "application/octet-stream")
    assert got.headers["Content-Disposition"].startswith("inline" if shown else "attachment")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]


def test_a_repeat_with_the_same_key_is_the_same_file(app: Flask, member: CheckedClient) -> None:
    first = upload(member, b"one", headers=KEY)
    again = upload(member, b"one", headers=KEY)
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    for other in (upload(member, b"two", headers=KEY), upload(member, b"one", "b.txt", headers=KEY)):
        assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_mismatch")
    assert member.get(URL).get_json()["total"] == 1
