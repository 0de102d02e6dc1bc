"""The bars of the months."""

from collections.abc import Sequence

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import HexColor

from app.reports.content import Report, Values
from app.reports.fonts import REGULAR

MAX_MONTHS = 24
HEIGHT = 160  # points, as all sizes here
LEFT, BOTTOM = 62, 26
WIDEST = 60  # of a month
COLOURS = (HexColor("#1f5c7a"), HexColor("#d98c3f"), HexColor("#8fb8a8"))
GREY = HexColor("#55606a")
RULE = HexColor("#d5dbe0")
NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def bars(report: Report, months: Sequence[Values], width: float) -> Drawing:
    """Draw the last months, at least one of which is not empty, of the report's chosen columns."""
    columns = report.months.columns
    chosen = [number for number, column in enumerate(columns) if column.name in report.chart]
    last = months[-MAX_MONTHS:]
    drawing = Drawing(width, HEIGHT)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.height = LEFT, BOTTOM, HEIGHT - BOTTOM - 22
    chart.width = min(width - LEFT, WIDEST * len(last))
    chart.data = [[values[number] / 100 for values in last] for number in chosen]
    chart.categoryAxis.categoryNames = [_label(values[0]) for values in last]
    _style(chart)
    drawing.add(chart)
    drawing.add(_legend([columns[number].title for number in chosen], width))
    return drawing


def _label(month: str) -> str:
    return f"{NAMES[int(month[5:]) - 1]}\n{month[:4]}"


def _style(chart: VerticalBarChart) -> None:
    chart.groupSpacing, chart.barSpacing = 6, 1
    chart.bars.strokeColor = None
    for number, colour in enumerate(COLOURS):
        chart.bars[number].fillColor = colour
    for axis in (chart.categoryAxis, chart.valueAxis):
        axis.labels.fontName, axis.labels.fontSize, axis.labels.fillColor = REGULAR, 6.5, GREY
        axis.strokeColor, axis.visibleTicks = RULE, False
    chart.categoryAxis.labels.dy = -4
    chart.categoryAxis.labels.boxAnchor, chart.categoryAxis.labels.textAnchor = "n", "middle"
    value = chart.valueAxis
    value.valueMin, value.rangeRound = 0, "ceiling"
    if not any(map(any, chart.data)):
        value.valueMax = 1
    value.visibleGrid, value.gridStrokeColor, value.gridStrokeWidth = True, RULE, 0.4
    value.visibleAxis = False
    value.labelTextFormat = lambda amount: f"{amount:,.2f}".removesuffix(".00")


def _legend(titles: Sequence[str], width: float) -> Legend:
    legend = Legend()
    legend.x, legend.y, legend.boxAnchor = width, HEIGHT, "ne"
    legend.alignment, legend.columnMaximum, legend.deltax = "right", 1, 12
    legend.autoXPadding = 12
    legend.dx = legend.dy = 7
    legend.fontName, legend.fontSize, legend.fillColor = REGULAR, 7.5, GREY
    legend.strokeColor, legend.dxTextSpace = None, 4
    legend.colorNamePairs = list(zip(COLOURS, titles, strict=False))
    return legend
