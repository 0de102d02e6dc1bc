"""The plot: a small chart for each workload, a bar for each contender, a line for the spread of the rounds."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

from bench.contenders import TITLES
from bench.work import WORKS

mpl.use("svg")
from matplotlib import pyplot as plt

OURS, THEIRS = "#1b6ca8", "#b8c4cf"


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw requests for a second of CPU as an SVG."""
    mpl.rcParams.update({"svg.hashsalt": "agora", "font.size": 9})
    figures = {name: found for name, found in result["figures"].items() if name != "pgbench"}
    works = [work for work in WORKS if work.shared and any(work.name in found for found in figures.values())]
    figure, charts = plt.subplots(2, 3, figsize=(11, 5), layout="constrained")
    for chart in charts.flat[len(works) :]:
        chart.set_visible(False)
    for work, chart in zip(works, charts.flat, strict=False):
        rates = {name: found[work.name]["per_cpu_second"] for name, found in figures.items() if work.name in found}
        middles = [median(rounds) for rounds in rates.values()]
        spread = [
            [middle - min(rounds) for middle, rounds in zip(middles, rates.values(), strict=True)],
            [max(rounds) - middle for middle, rounds in zip(middles, rates.values(), strict=True)],
        ]
        colours = [OURS if name == "agora" else THEIRS for name in rates]
        bars = chart.barh([TITLES[name] for name in rates], middles, xerr=spread, color=colours, ecolor="#555")
        chart.bar_label(bars, fmt="{:,.0f}", padding=6)
        chart.set_title(f"{work.name} {work.title}", loc="left")
        chart.invert_yaxis()
        chart.margins(x=0.2)
        chart.spines[["top", "right"]].set_visible(False)
    on = result["machine"]
    figure.suptitle(f"Requests for a second of CPU, the database's included ({on['date']}, {on['cores']} cores)")
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
