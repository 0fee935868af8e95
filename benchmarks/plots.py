"""A plot that explains the waiting rule: what it gains and what it costs."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

from benchmarks.settings import PLOT
from benchmarks.targets import tolerated_lag

mpl.use("agg")
# The same figures give the same file.
mpl.rcParams["svg.hashsalt"] = "performance"
mpl.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

_COLOURS = {
    "ours": "#0b62c4",
    "Provider, 5 s (default)": "#d1741f",
    "Provider, 1 s": "#e8b27a",
    "crhelper poll_create": "#8a4fa3",
    "crhelper, looks by hand": "#3c9a4a",
    "Terraform": "#777777",
}


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw lag and looks over the time of UPDATING, side by side."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    _lines(left, rows, "lag", "seconds from ACTIVE to the answer, median")
    _lines(right, rows, "looks", "DescribeStreamSummary calls, median")
    times = sorted({row["updating"] for row in rows})
    allowed = [tolerated_lag(updating) for updating in times]
    left.plot(times, allowed, color="black", linestyle=":", label="target")
    left.legend(fontsize="small")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
    plt.close(figure)


def _lines(axes: Axes, rows: list[dict[str, Any]], what: str, label: str) -> None:
    for peer, colour in _COLOURS.items():
        points = [
            (row["updating"], row[what]["median"])
            for row in rows
            if row["peer"] == peer and row[what]
        ]
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            markersize=3,
            color=colour,
            linewidth=2.4 if peer == "ours" else 1.2,
            label=peer,
        )
    axes.set(xscale="log", yscale="log", xlabel="seconds that the stream is UPDATING", ylabel=label)
    axes.grid(visible=True, which="major", alpha=0.3)
