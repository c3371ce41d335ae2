"""Draws a dashboard from what Prometheus answered, as JSON on standard input, into the file that is named. It is not Grafana: where panels
are, what they ask, their titles, units and legends are those of the dashboard; how they look is matplotlib's."""

import json
import sys
from datetime import datetime

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.dates import DateFormatter  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

COLUMN, ROW = 0.62, 0.42  # inches of Grafana's grid


def shown(value, unit):
    """A number as Grafana would write it."""
    if unit in ("bytes", "decbytes"):
        for prefix in ("", "Ki", "Mi", "Gi", "Ti"):
            if abs(value) < 1024:
                return f"{value:.4g} {prefix}B"
            value /= 1024
        return f"{value:.4g} PiB"
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    suffix = {"reqps": "/s", "ops": "/s", "percent": "%", "short": "", "none": "", "bool": ""}.get(unit, f" {unit}")
    return f"{value:.4g}{suffix}"


def draw(axes, panel):
    axes.set_title(panel["title"], fontsize=9, loc="left")
    series = panel["series"] or []
    if not series:
        axes.text(0.5, 0.5, "No data", ha="center", va="center", color="gray", transform=axes.transAxes)
        axes.set_axis_off()
    elif panel["type"] in ("stat", "gauge"):
        text = "\n".join(shown(one["points"][-1][1], panel["unit"]) for one in series[:3])
        axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=20, color="#37872d", transform=axes.transAxes)
        axes.set_axis_off()
    elif panel["type"] == "table":
        rows = [[one["legend"], shown(one["points"][-1][1], panel["unit"])] for one in series]
        table = axes.table(cellText=rows, loc="upper center", cellLoc="left", colWidths=[0.75, 0.25])
        table.auto_set_font_size(False)
        table.set_fontsize(8)
        axes.set_axis_off()
    else:
        for one in series:
            axes.plot([datetime.fromtimestamp(t) for t, _ in one["points"]], [v for _, v in one["points"]], label=one["legend"], linewidth=1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, panel["unit"])))
        axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=6, loc="upper left", ncols=2)


def main():
    dashboard = json.load(sys.stdin)
    panels = dashboard["panels"]
    height = max(panel["y"] + panel["h"] for panel in panels) * ROW + 0.5
    figure = plt.figure(figsize=(24 * COLUMN, height), dpi=80)
    figure.text(0.01, 1 - 0.3 / height, dashboard["title"], fontsize=13, weight="bold")
    for panel in panels:
        left, width = panel["x"] / 24, panel["w"] / 24
        top = 1 - (panel["y"] * ROW + 0.5) / height
        tall = panel["h"] * ROW / height
        draw(figure.add_axes([left + 0.045, top - tall + 0.5 * ROW / height, width - 0.06, tall - 1.4 * ROW / height]), panel)
    figure.savefig(sys.argv[1])


main()
