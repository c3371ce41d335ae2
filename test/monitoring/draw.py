"""Draws a dashboard from what Prometheus answered, as JSON on standard input, into the file that is named. It is not Grafana: where panels
are, what they ask, their titles, units, mappings, thresholds and legends are those of the dashboard; how they look is matplotlib's."""

import json
import sys
from datetime import datetime

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.dates import DateFormatter  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

COLUMN, ROW = 0.62, 0.42  # inches of Grafana's grid
COLOURS = {"green": "#37872d", "orange": "#e0752d", "red": "#c4162a", "yellow": "#e0b400", "blue": "#1f60c4"}
MOST = 8  # series in a legend


def number(value, unit):
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
    if unit == "mbytes":
        return number(value * 1024**2, "bytes")
    suffix = {"celsius": " °C", "watt": " W", "reqps": "/s", "ops": "/s", "cps": "/s", "percent": "%", "short": "", "none": "", "bool": ""}.get(unit, f" {unit}")
    return f"{value:.4g}{suffix}"


def shown(value, panel):
    """A value with the text and the colour that the panel gives it."""
    defaults = panel["defaults"]
    colour = "green"
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    text = number(value, defaults.get("unit", "none"))
    for mapping in defaults.get("mappings", []):
        if mapping["type"] == "value" and f"{value:g}" in mapping["options"]:
            option = mapping["options"][f"{value:g}"]
            text, colour = option["text"], option.get("color", colour)
    return text, COLOURS.get(colour, "#37872d")


def table(axes, panel, series):
    names = sorted({name for one in series for name in one["labels"]} - set(panel["hidden"]))
    cells, colours = [], []
    for one in sorted(series, key=lambda one: [one["labels"].get(name, "") for name in names]):
        text, colour = shown(one["points"][-1][1], panel)
        cells.append([one["labels"].get(name, "") for name in names] + [text])
        colours.append(colour)
    drawn = axes.table(cellText=cells, colLabels=names + ["value"], loc="upper center", cellLoc="left")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)
    for row, colour in enumerate(colours, start=1):
        drawn[row, len(names)].get_text().set_color(colour)
    for cell in drawn.get_celld().values():
        cell.set_edgecolor("#cccccc")


def lines(axes, panel, series):
    # Those that say something, above those that are 0 all the time.
    series = sorted(series, key=lambda one: -max(abs(value) for _, value in one["points"]))
    for one in series:
        times, values = zip(*one["points"])
        axes.plot([datetime.fromtimestamp(t) for t in times], values, label=one["legend"], linewidth=1.2)
    if all(value == 0 for one in series for _, value in one["points"]):
        axes.set_ylim(0, 1)
    else:
        axes.set_ylim(bottom=0)
        axes.margins(y=0.1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, panel["defaults"].get("unit", "none"))))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > MOST:
        labels[MOST - 1] = f"and {len(labels) - MOST + 1} more"
    axes.legend(handles[:MOST], labels[:MOST], fontsize=6, loc="upper left", ncols=2)


def draw(axes, panel):
    axes.set_title(panel["title"], fontsize=9, loc="left")
    series = panel["series"] or []
    if panel["type"] in ("timeseries", "barchart") and series:
        lines(axes, panel, series)
        return
    axes.set_axis_off()
    if not series:
        text = panel["defaults"].get("noValue", "No data")
        axes.text(0.5, 0.5, text, ha="center", va="center", color="gray", transform=axes.transAxes)
    elif panel["type"] == "table":
        table(axes, panel, series)
    else:
        text, colour = shown(series[0]["points"][-1][1], panel)
        axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=20, color=colour, transform=axes.transAxes)


def main():
    dashboard = json.load(sys.stdin)
    panels = dashboard["panels"]
    height = max(panel["y"] + panel["h"] for panel in panels) * ROW + 0.5
    figure = plt.figure(figsize=(24 * COLUMN, height), dpi=64)
    figure.text(0.01, 1 - 0.3 / height, dashboard["title"], fontsize=13, weight="bold")
    for panel in panels:
        left, width = panel["x"] / 24, panel["w"] / 24
        top = 1 - (panel["y"] * ROW + 0.5) / height
        tall = panel["h"] * ROW / height
        draw(figure.add_axes([left + 0.045, top - tall + 0.5 * ROW / height, width - 0.06, tall - 1.4 * ROW / height]), panel)
    figure.savefig(sys.argv[1])


main()
