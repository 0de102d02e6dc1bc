"""The letters of a PDF: two fonts that travel with it, and what is shown in place of a letter that they lack."""

import unicodedata
from functools import cache
from io import BytesIO

import pymupdf_fonts
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

# FiraGO has the letters of Europe's languages, Greek and Cyrillic among them, and of a good many others.
REGULAR, BOLD = "figo", "figbo"
MISSING = "?"


def load() -> None:
    """Register the fonts, with which all text is measured and drawn."""
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, BytesIO(pymupdf_fonts.myfont(name))))


def shown(text: str) -> str:
    """Return a text in letters that the fonts have: without an accent they lack, or with a sign that one is missing."""
    return "".join(map(_shown, unicodedata.normalize("NFC", text)))


@cache
def _letters() -> frozenset[int]:
    both = [pdfmetrics.getFont(name).face.charToGlyph.keys() for name in (REGULAR, BOLD)]
    return frozenset.intersection(*map(frozenset, both))


def _shown(char: str) -> str:
    if char.isspace():
        return char
    if unicodedata.category(char) in ("Mn", "Me", "Cf", "Cc"):
        return ""
    if ord(char) in _letters():
        return char
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    return plain if plain and all(ord(part) in _letters() for part in plain) else MISSING
