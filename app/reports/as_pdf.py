"""A report as a PDF to print: the totals, the bars of the months, and tables of limited length."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    KeepInFrame,
    KeepTogether,
    LongTable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
)
from reportlab.platypus import Table as Grid

from app.reports import fonts
from app.reports.chart import GREY, RULE, bars
from app.reports.content import Column, Is, Period, Report
from app.reports.shortened import Kept

AUTHOR = "Agora"
MARGIN = 48  # points, as all sizes here
FRAME_PADDING = 6  # that a page adds to its margins
WIDTH = A4[0] - 2 * MARGIN
SIZE = 8
LEAST_ROOM = 110  # for a heading with a few rows; with less, it begins a page
MAX_HEIGHT = 300  # of a text in a table: no row may be higher than a page
FEW_LINES = 12  # of letters side by side; broken between words they are twice as many at most, and below MAX_HEIGHT
PADDING = 5
INK = HexColor("#1b2733")
SHADE = HexColor("#f3f6f8")
LINE_COLOUR = HexColor("#1f5c7a")
MINUS = "\u2212"

PLAIN = ParagraphStyle("plain", fontName=fonts.REGULAR, fontSize=9, leading=13, textColor=GREY)
CELL = ParagraphStyle("cell", PLAIN, fontSize=SIZE, leading=SIZE + 2.5, textColor=INK)
TITLE = ParagraphStyle("title", PLAIN, fontName=fonts.BOLD, fontSize=20, leading=26, textColor=INK)
OWNER = ParagraphStyle("owner", PLAIN, fontSize=12, leading=17, textColor=INK)
HEADING = ParagraphStyle("heading", TITLE, fontSize=11, leading=14, spaceBefore=16, spaceAfter=6)


def write(report: Report, kept: tuple[Kept, ...], path: Path) -> None:
    """Write the report, of whose tables that much was kept, to ``path``."""
    fonts.load()
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=MARGIN - FRAME_PADDING,
        rightMargin=MARGIN - FRAME_PADDING,
        topMargin=MARGIN,
        bottomMargin=MARGIN + 12,
        title=f"{report.title} \u2013 {report.owner}",
        subject=_period(report.period),
        author=AUTHOR,
        creator=AUTHOR,
        producer=AUTHOR,
        lang="en",
        invariant=1,
    )
    document.build(list(_story(report, kept)), canvasmaker=partial(_NumberedPages, report=report))


class _NumberedPages(Canvas):  # type: ignore[misc]
    """Pages that know how many they are: each is kept until the last one is there, and then gets its foot."""

    def __init__(self, *args: Any, report: Report, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._foot = f"{report.title} \u2013 {_period(report.period)}"
        self._kept_pages: list[dict[str, Any]] = []
        written_at = report.period.until.strftime("D:%Y%m%d%H%M%S+00'00'")
        self.setDateFormatter(lambda *_: written_at)

    def showPage(self) -> None:  # noqa: N802
        self._kept_pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._kept_pages, start=1):
            self.__dict__.update(page)
            self._draw_foot(f"{number} of {len(self._kept_pages)}")
            super().showPage()
        super().save()

    def _draw_foot(self, number: str) -> None:
        self.setStrokeColor(RULE)
        self.line(MARGIN, MARGIN, A4[0] - MARGIN, MARGIN)
        self.setFont(fonts.REGULAR, 7)
        self.setFillColor(GREY)
        self.drawString(MARGIN, MARGIN - 12, self._foot)
        self.drawRightString(A4[0] - MARGIN, MARGIN - 12, number)


def _story(report: Report, kept: tuple[Kept, ...]) -> Iterator[Flowable]:
    months = kept[0]
    yield _paragraph(report.title, TITLE)
    yield _paragraph(report.owner, OWNER)
    yield _paragraph(f"{_period(report.period)}. All amounts in {report.currency}.", PLAIN)
    yield Spacer(0, 12)
    yield _totals(report)
    if not months.rows:
        yield Spacer(0, 18)
        yield _paragraph("Nothing has moved in this period.", PLAIN)
    else:
        yield KeepTogether([_paragraph("By month", HEADING), bars(report, months.rows, WIDTH)])
    for part in kept:
        if part.rows:
            yield CondPageBreak(LEAST_ROOM)
            yield _paragraph(part.table.title, HEADING)
            if part.number > len(part.rows):
                yield _paragraph(_shortened(part), PLAIN)
                yield Spacer(0, 6)
            yield _grid(part)


def _shortened(part: Kept) -> str:
    ranks = [column.title.lower() for column in part.table.columns if column.name == part.table.rank]
    which = f"with the highest {ranks[0]}" if ranks else "that came last"
    return f"Shown are the {len(part.rows):,} of {part.number:,} {which}. The total is over all."


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(fonts.shown(text)), style)


def _period(period: Period) -> str:
    since = f"From {_moment(period.since)} until" if period.since else "Until"
    return f"{since} {_moment(period.until)} UTC"


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _totals(report: Report) -> Grid:
    rows = [[_paragraph(column.title, CELL), _text(column, total)] for column, total in report.totals]
    style = [
        *_common_style(),
        ("FONT", (1, 0), (1, -1), fonts.BOLD, SIZE + 1),
        ("ALIGN", (1, 0), (1, -1), "RIGHT"),
        ("LINEABOVE", (0, 0), (-1, 0), 1, LINE_COLOUR),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
    ]
    return Grid(rows, colWidths=[150, 130], hAlign="LEFT", style=style)


def _grid(part: Kept) -> LongTable:
    columns = part.table.columns
    cells = [[_text(column, value) for column, value in zip(columns, values, strict=True)] for values in part.rows]
    totals = ["Total", *(_text(column, total) for column, total in zip(columns[1:], part.sums[1:], strict=True))]
    widths = _widths(columns, [[column.title for column in columns], *cells, totals])
    for row in cells:
        for number, column in enumerate(columns):
            if column.kind is Is.TEXT:
                row[number] = _bounded(row[number], widths[number] - 2 * PADDING)
    right = [number for number, column in enumerate(columns) if column.is_numeric]
    style = [
        *_common_style(),
        ("FONT", (0, 0), (-1, 0), fonts.BOLD, SIZE),
        ("LINEBELOW", (0, 0), (-1, 0), 1, LINE_COLOUR),
        ("ROWBACKGROUNDS", (0, 1), (-1, -2), (None, SHADE)),
        ("FONT", (0, -1), (-1, -1), fonts.BOLD, SIZE),
        ("LINEABOVE", (0, -1), (-1, -1), 1, LINE_COLOUR),
        *(("ALIGN", (number, 0), (number, -1), "RIGHT") for number in right),
    ]
    heading = [column.title for column in columns]
    return LongTable([heading, *cells, totals], colWidths=widths, repeatRows=1, hAlign="LEFT", style=style)


def _bounded(text: str, width: float) -> Flowable:
    """Return a text of a table, which wraps; what would be higher than MAX_HEIGHT is cut off."""
    paragraph = _paragraph(text, CELL)
    if stringWidth(fonts.shown(text), fonts.REGULAR, SIZE) <= FEW_LINES * width:
        return paragraph
    return KeepInFrame(0, MAX_HEIGHT, [paragraph], mode="truncate")


def _common_style() -> list[tuple[Any, ...]]:
    everywhere = (0, 0), (-1, -1)
    return [
        ("FONT", *everywhere, fonts.REGULAR, SIZE),
        ("TEXTCOLOR", *everywhere, INK),
        ("VALIGN", *everywhere, "TOP"),
        ("LEFTPADDING", *everywhere, PADDING),
        ("RIGHTPADDING", *everywhere, PADDING),
        ("TOPPADDING", *everywhere, 2.5),
        ("BOTTOMPADDING", *everywhere, 3.5),
    ]


def _widths(columns: tuple[Column, ...], rows: list[list[str]]) -> list[float]:
    """Return each column what its longest value takes; what is left is for the texts, which wrap."""
    texts = sum(column.kind is Is.TEXT for column in columns)
    widths = [
        0 if column.kind is Is.TEXT else 2 * PADDING + max(stringWidth(row[n], fonts.BOLD, SIZE) for row in rows)
        for n, column in enumerate(columns)
    ]
    if not texts:
        return [width + (WIDTH - sum(widths)) / len(widths) for width in widths]
    return [width or (WIDTH - sum(widths)) / texts for width in widths]


def _text(column: Column, value: Any) -> str:
    if value is None:
        return ""
    match column.kind:
        case Is.MONEY | Is.BALANCE:
            return f"{MINUS if value < 0 else ''}{abs(value) // 100:,}.{abs(value) % 100:02}"
        case Is.NUMBER:
            return f"{value:,}"
        case Is.MOMENT:
            return _moment(value)
    return str(value)
