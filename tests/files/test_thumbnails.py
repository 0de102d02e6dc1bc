"""Thumbnails: small, upright, without metadata, and none of what is broken, huge or no picture."""

import os
import resource
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from subprocess import CalledProcessError
from tempfile import TemporaryFile
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select

from app.extensions import db
from app.files.models import File
from app.files.service import make_thumbnail
from app.files.thumbnails import thumbnail
from app.jobs.models import Job
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.files.test_upload import URL, upload


def picture(mode: str = "RGB", size: tuple[int, int] = (800, 400), kind: str = "PNG", **more: Any) -> bytes:
    made = BytesIO()
    Image.new(mode, size, more.pop("colour", 0)).save(made, kind, **more)
    return made.getvalue()


def small(content: bytes) -> bytes | None:
    with TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return thumbnail(file)


def made_from(content: bytes) -> Image.Image:
    made = small(content)
    assert made
    return Image.open(BytesIO(made))


def png_head(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + bytes(20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_picture_of_each_kind_gets_one(app: Flask, as_user: AsUser, client: CheckedClient, kind: str) -> None:
    member = as_user()
    upload(member, picture(kind=kind), "a")
    assert member.get(f"{URL}/1").get_json()["thumbnail_url"] is None
    assert member.get(f"{URL}/1/thumbnail").status_code == 404
    tag = member.get(f"{URL}/1").headers["ETag"]
    with app.app_context():
        make_thumbnail(1)
    seen = member.get(f"{URL}/1")
    assert (seen.get_json()["thumbnail_url"], seen.headers["ETag"] == tag) == (f"{URL}/1/thumbnail", False)
    made = member.get(f"{URL}/1/thumbnail")
    assert (made.status_code, made.mimetype) == (200, "image/webp")
    assert Image.open(BytesIO(made.data)).size == (320, 160)
    assert member.head(f"{URL}/1/thumbnail").content_length == len(made.data)
    assert client.get(f"{URL}/1/thumbnail").status_code == 404


def test_it_is_made_once(app: Flask, as_user: AsUser) -> None:
    member = as_user()
    upload(member, picture())
    with app.app_context():
        make_thumbnail(1)
        first = member.get(f"{URL}/1/thumbnail").data
        make_thumbnail(1)
    assert member.get(f"{URL}/1/thumbnail").data == first


@pytest.mark.parametrize("content", [picture()[:200], png_head(50_000, 50_000), b"\xff\xd8\xff\xe0nonsense", b"text"])
def test_what_can_have_none_is_not_tried_again(
    app: Flask, as_user: AsUser, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = as_user()
    upload(member, content)
    with app.app_context():
        make_thumbnail(1)
        monkeypatch.setattr("app.files.service.thumbnail", lambda _content: picture())
        make_thumbnail(1)
    assert member.get(f"{URL}/1").get_json()["thumbnail_url"] is None
    assert member.get(f"{URL}/1/content").data == content


def test_a_file_that_is_deleted_meanwhile_is_no_error(app: Flask) -> None:
    with app.app_context():
        make_thumbnail(7)


def animated(size: int) -> bytes:
    """An animation whose decoder keeps several frames at once."""
    first, second = (Image.new("RGB", (size, size), colour) for colour in ("black", "red"))
    made = BytesIO()
    first.save(made, "WEBP", save_all=True, append_images=[second], method=0)
    return made.getvalue()


def scans(repeated: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again: each costs a pass over all pixels, and few bytes."""
    content = picture("L", (5792, 5792), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * repeated + content[-2:]


@pytest.mark.parametrize("content", [animated(5792), scans(2000)], ids=["memory", "time"])
def test_a_picture_that_takes_more_memory_or_time_than_it_may_is_tried_once(
    app: Flask, as_user: AsUser, work: Callable[[], None], content: bytes
) -> None:
    member = as_user()
    assert len(content) < 1_000_000
    upload(member, content)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    work()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 20  # seconds
    with app.app_context():
        assert db.session.execute(select(Job.status, Job.attempts)).all() == [("succeeded", 1)]
        assert not db.session.scalar(select(File.awaits_thumbnail))
    assert member.get(f"{URL}/1").get_json()["thumbnail_url"] is None


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"compress_level": 1}),
        ("GIF", {}),
        ("WEBP", {"method": 0}),
    ],
)
def test_a_photo_of_twelve_megapixels_gets_one(kind: str, more: dict[str, Any]) -> None:
    noise = Image.effect_noise((4032, 3024), 60)
    made = BytesIO()
    Image.merge("RGB", [noise, noise, noise]).save(made, kind, **more)
    assert made_from(made.getvalue()).size == (320, 240)


def test_an_animation_of_twelve_megapixels_gets_one() -> None:
    assert made_from(animated(3500)).size == (320, 320)


def test_a_decoder_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.files.thumbnails.WAIT", 0.5)
    read, write = os.pipe()
    with open(read, "rb") as silent, open(write, "wb"):
        assert thumbnail(silent) is None


def test_where_the_program_cannot_run_the_picture_is_not_given_up(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    member = as_user()
    upload(member, picture())
    monkeypatch.setattr("app.files.thumbnails.PROGRAM", tmp_path / "gone.py")
    with app.app_context(), pytest.raises(CalledProcessError):
        make_thumbnail(1)
    monkeypatch.undo()
    with app.app_context():
        make_thumbnail(1)
    assert member.get(f"{URL}/1/thumbnail").status_code == 200


@pytest.mark.parametrize("size", [(50_000, 50_000), (8_000, 8_000), (2**31 - 1, 1), (0, 5)])
def test_a_picture_of_too_many_pixels_is_refused_by_its_head(size: tuple[int, int]) -> None:
    assert small(png_head(*size)) is None


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO"])
def test_other_pictures_get_none(kind: str) -> None:
    assert small(picture(kind=kind, size=(64, 64))) is None


def test_a_picture_is_turned_upright_and_its_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "where I live"
    content = picture(kind="JPEG", exif=exif.tobytes())
    upright = made_from(content)
    assert upright.size == (160, 320)
    assert not upright.getexif()
    assert b"where I live" not in (small(content) or b"")


def test_a_small_picture_is_not_made_larger() -> None:
    assert made_from(picture(size=(20, 10))).size == (20, 10)


def test_what_is_see_through_stays_so() -> None:
    assert made_from(picture("RGBA")).getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert made_from(picture("P", kind="GIF", transparency=0)).mode == "RGBA"


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("L", "JPEG"), ("1", "PNG"), ("LA", "PNG"), ("P", "PNG")])
def test_pictures_of_all_modes_can_be_made_small(mode: str, kind: str) -> None:
    assert made_from(picture(mode, kind=kind)).size == (320, 160)


def test_of_an_animation_the_first_frame_is_shown() -> None:
    made = BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(made, "GIF", save_all=True, append_images=frames[1:])
    still = made_from(made.getvalue())
    assert getattr(still, "n_frames", 1) == 1
    red, _green, blue = still.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > 50 > blue
