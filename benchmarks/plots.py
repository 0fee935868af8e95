"""Plots that explain the wait strategy, and where it loses."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

from benchmarks.figures import load
from benchmarks.settings import PLOTS
from benchmarks.targets import tolerated_lag

mpl.use("agg")
# The same figures give the same file.
mpl.rcParams["svg.hashsalt"] = "performance"

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


def draw() -> list[str]:
    """Draw what there are figures for; return the names of the plots."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    drawn = []
    if waits := load("waits"):
        rows = [row for row in waits["rows"] if row["peer"] in _COLOURS]
        drawn += [_lag(rows), _looks(rows)]
    if fleet := load("fleet"):
        drawn.append(_fleet([row for row in fleet["rows"] if row["peer"] in _COLOURS]))
    return drawn


def _lines(axes: Axes, rows: list[dict[str, Any]], x: str, y: str, statistic: str) -> None:
    for peer, colour in _COLOURS.items():
        points = [(row[x], row[y][statistic]) for row in rows if row["peer"] == peer and row[y]]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                marker="o",
                markersize=3,
                color=colour,
                linewidth=2.4 if peer == "ours" else 1.2,
                label=peer,
            )


def _lag(rows: list[dict[str, Any]]) -> str:
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    _lines(axes, rows, "updating", "lag", "median")
    times = sorted({row["updating"] for row in rows})
    axes.plot(
        times,
        [tolerated_lag(updating) for updating in times],
        color="black",
        linestyle=":",
        label="target: max(0.5 s, 10 %)",
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="seconds that the stream is UPDATING",
        ylabel="seconds from ACTIVE to the answer, median",
        title="Lag (simulated; without our five settling seconds)",
    )
    return _save(figure, axes, "lag")


def _looks(rows: list[dict[str, Any]]) -> str:
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    _lines(axes, rows, "updating", "looks", "median")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="seconds that the stream is UPDATING",
        ylabel="DescribeStreamSummary calls, median",
        title="What the lag costs (simulated)",
    )
    return _save(figure, axes, "looks")


def _fleet(rows: list[dict[str, Any]]) -> str:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    _lines(left, rows, "streams", "asked a second", "max")
    left.axhline(20, color="black", linestyle=":", label="quota")
    left.set(
        xscale="log",
        xlabel="streams at once",
        ylabel="looks asked for a second, worst 10 s",
        title="Pressure on the account's quota",
    )
    for peer, colour in _COLOURS.items():
        points = [
            (row["streams"], 100 * row["failed"] / row["of"]) for row in rows if row["peer"] == peer
        ]
        if points:
            right.plot(*zip(*points, strict=True), marker="o", markersize=3, color=colour)
    right.set(
        xscale="log",
        xlabel="streams at once",
        ylabel="resources that fail, %",
        title="Failures (simulated; 20 looks/s, 5 starts/s)",
    )
    right.grid(visible=True, which="major", alpha=0.3)
    return _save(figure, left, "fleet")


def _save(figure: Any, axes: Axes, name: str) -> str:
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize="small")
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        figure.savefig(PLOTS / f"{name}.{suffix}", dpi=110, metadata=metadata)
    plt.close(figure)
    return name
