"""Thumbnails: small, upright, without metadata, and none of what is broken, huge or no picture."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image

from app.files.service import make_thumbnail
from app.files.thumbnails import thumbnail
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.files.test_upload import URL, upload


def picture(mode: str = "RGB", size: tuple[int, int] = (800, 400), kind: str = "PNG", **more: Any) -> bytes:
    made = BytesIO()
    Image.new(mode, size, more.pop("colour", 0)).save(made, kind, **more)
    return made.getvalue()


def made_from(content: bytes) -> Image.Image:
    made = thumbnail(BytesIO(content))
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
    small = member.get(f"{URL}/1/thumbnail")
    assert (small.status_code, small.mimetype) == (200, "image/webp")
    assert Image.open(BytesIO(small.data)).size == (320, 160)
    assert member.head(f"{URL}/1/thumbnail").content_length == len(small.data)
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


@pytest.mark.parametrize("size", [(50_000, 50_000), (8_000, 8_000), (2**31 - 1, 1), (0, 5)])
def test_a_picture_of_too_many_pixels_is_refused_by_its_head(size: tuple[int, int]) -> None:
    assert thumbnail(BytesIO(png_head(*size))) is None


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO"])
def test_other_pictures_get_none(kind: str) -> None:
    assert thumbnail(BytesIO(picture(kind=kind, size=(64, 64)))) is None


def test_a_picture_is_turned_upright_and_its_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "where I live"
    content = picture(kind="JPEG", exif=exif.tobytes())
    small = made_from(content)
    assert small.size == (160, 320)
    assert not small.getexif()
    made = thumbnail(BytesIO(content))
    assert made
    assert b"where I live" not in made


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
    small = made_from(made.getvalue())
    assert getattr(small, "n_frames", 1) == 1
    red, _green, blue = small.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > 50 > blue
