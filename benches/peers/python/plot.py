"""Draws what benches/run has measured: `plot.py rows.json folder [svg|png]`."""

import json
import sys
from pathlib import Path

import matplotlib
import matplotlib.ticker

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "#c2410c"
PEERS = ["#1d4ed8", "#0f766e", "#7c3aed", "#a78bfa", "#4b5563", "#9ca3af"]
LIMIT = "#000000"


def styles(names):
    """Ours stands out, the limits are dotted, peers have a colour each."""
    peers, lines = iter(PEERS), iter([":", "--", "-.", (0, (5, 1, 1, 1, 1, 1))])
    chosen = {}
    for name in names:
        if name.startswith("asyncz"):
            chosen[name] = {"color": OURS, "linewidth": 2.6, "zorder": 5}
        elif name.startswith("limit"):
            chosen[name] = {"color": LIMIT, "linestyle": next(lines), "linewidth": 1.1}
        else:
            chosen[name] = {"color": next(peers, "#9ca3af"), "linewidth": 1.4}
    return chosen


def herd(rows, names, style):
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6))
    for axis, key, title in [
        (axes[0], "late_p99_ms", "lateness, p99 (ms)"),
        (axes[1], "cpu_ns_per_fire", "processor time per fire (ns)"),
    ]:
        for name in names:
            of = [row for row in rows if row["scheduler"] == name and row["mode"] == "herd" and key in row]
            of.sort(key=lambda row: row["tasks"])
            if not of:
                continue
            axis.plot([row["tasks"] for row in of], [row[key] for row in of], label=name, **style[name])
            whole = [row for row in of if row["fires"] >= 0.995 * row["expected"]]
            lost = [row for row in of if row not in whole]
            dots = {"color": style[name]["color"], "zorder": 6, "s": 22}
            axis.scatter([row["tasks"] for row in whole], [row[key] for row in whole], **dots)
            axis.scatter([row["tasks"] for row in lost], [row[key] for row in lost], marker="x", **dots)
        axis.set(xscale="log", yscale="log", xlabel="tasks, all due at every whole second")
        axis.set_title(title, loc="left", fontsize=11)
        axis.grid(True, which="major", color="#e5e7eb", linewidth=0.8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=3, frameon=False, fontsize=9)
    figure.text(0.995, 0.965, "× = less than 99.5 % of the fires", ha="right", fontsize=9, color="#4b5563")
    figure.tight_layout(rect=(0, 0.16, 1, 0.97))
    return figure


def tasks(rows, names, style):
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharey=True)
    largest = {
        (name, mode): max((r for r in rows if (r["scheduler"], r["mode"]) == (name, mode)), key=lambda r: r["tasks"], default=None)
        for name in names
        for mode in ("idle", "burst")
    }
    panels = [
        ("idle", "adding a cron task (µs)", lambda row: row["add_us"]),
        ("idle", "memory per task (bytes)", lambda row: row["rss_per_task"]),
        ("burst", "burst (handlers/s)", lambda row: row["fires"] / row["burst_s"] if row.get("burst_s") else None),
    ]
    for axis, (mode, title, figure_of) in zip(axes, panels):
        for place, name in enumerate(names):
            row = largest[name, mode]
            value = figure_of(row) if row else None
            if not value or value <= 0:
                continue
            lost = mode == "burst" and row["fires"] < 0.995 * row["expected"]
            axis.scatter([value], [place], color=style[name]["color"], s=46, zorder=3, marker="x" if lost else "o")
            text = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
            axis.annotate(text, (value, place), (0, 7), textcoords="offset points", ha="center", fontsize=8)
        axis.set(xscale="log")
        axis.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axis.margins(x=0.18)
        axis.set_title(title, loc="left", fontsize=11)
        axis.grid(True, which="major", axis="both", color="#e5e7eb", linewidth=0.8)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    axes[0].set_ylim(len(names) - 0.4, -0.8)
    figure.tight_layout()
    return figure


def main():
    rows = json.loads(Path(sys.argv[1]).read_text())
    folder, form = Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "svg"
    plt.rcParams.update({"svg.hashsalt": "asyncz", "axes.spines.top": False, "axes.spines.right": False})
    names = list(dict.fromkeys(row["scheduler"] for row in rows))
    style = styles(names)
    for name, draw in [("herd", herd), ("tasks", tasks)]:
        metadata = {"Date": None} if form == "svg" else None
        draw(rows, names, style).savefig(folder / f"{name}.{form}", metadata=metadata, dpi=110)


main()
