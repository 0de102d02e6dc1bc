"""Thumbnails of pictures, made by Pillow within bounds of memory."""

import io
import logging
from typing import IO

from PIL import Image, ImageOps

log = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
SIDE = 320  # pixels
MAX_PIXELS = 2**25  # decoded, they take 128 MiB
MEDIA_TYPE = "image/webp"


def thumbnail(content: IO[bytes]) -> bytes | None:
    """Return a WebP picture of at most 320 by 320 pixels, upright, of the first frame, without metadata.

    None for what is no picture of the FORMATS, is broken, or has more than MAX_PIXELS: that is read off its head,
    before anything is decoded.
    """
    try:
        with Image.open(content, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return None
            return _scaled_down(picture)
    except Exception as error:  # A broken picture makes a decoder raise whatever it likes.
        log.info("No thumbnail: %s", type(error).__name__)
        return None


def _scaled_down(picture: Image.Image) -> bytes:
    picture.draft("RGB", (2 * SIDE, 2 * SIDE))  # A JPEG is decoded at a fraction of its size.
    mode = "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
    small = picture if picture.mode == mode else picture.convert(mode)
    small.thumbnail((SIDE, SIDE))
    ImageOps.exif_transpose(small, in_place=True)
    small.info.clear()
    made = io.BytesIO()
    small.save(made, "WEBP", quality=80)
    return made.getvalue()
