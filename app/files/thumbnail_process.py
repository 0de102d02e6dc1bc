"""The program that makes one thumbnail: a picture comes in at standard input, WebP goes out at standard output.

Whatever a picture does to its decoder is done to this process alone. It is run by its path and imports nothing but
Pillow, so that it starts within 0.1 s; it knows no database, no settings and no secrets.
"""

import io
import resource
import sys
from typing import NoReturn

from PIL import Image, ImageOps

# Measured with Pillow 13 on pictures of noise and of one colour: 12 megapixels take 251 MiB at most (of WebP, whose
# decoder holds several pictures; 132 of the other formats) and 0.8 s; 33 take 316 MiB and 2 s, but 558 MiB of WebP.
MEMORY = 320 * 2**20  # bytes of address space
CPU_TIME = 5  # seconds
LIMITS = {
    resource.RLIMIT_AS: MEMORY,
    resource.RLIMIT_CPU: CPU_TIME,
    resource.RLIMIT_FSIZE: 0,  # It writes to a pipe.
    resource.RLIMIT_CORE: 0,
}
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
MAX_PIXELS = 2**25
SIDE = 320  # pixels
NO_THUMBNAIL = 3  # the exit status for what is no picture of the FORMATS, is broken or too large


def main() -> None:
    """Write the thumbnail, or exit with NO_THUMBNAIL and the reason on standard error."""
    for limit, value in LIMITS.items():
        resource.setrlimit(limit, (value, value))
    try:
        with Image.open(sys.stdin.buffer, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:  # As its head says, before anything is decoded.
                _refuse("TooManyPixels")
            made = _scaled_down(picture)
    except Exception as error:  # A broken picture makes a decoder raise whatever it likes.
        _refuse(type(error).__name__)
    sys.stdout.buffer.write(made)


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(reason)
    sys.exit(NO_THUMBNAIL)


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


if __name__ == "__main__":
    main()
