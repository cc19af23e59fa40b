"""Tables, summary and plot of the records that accuracy.py writes."""

from collections import defaultdict

import numpy as np
from _data import PUBLISHED

HINDSIGHT = "lbfgs-hindsight"
# Penalties of L-BFGS that must have been run for the best of them to be called that.
_FEWEST_ALPHAS = 4
LABELS = {
    "sketchgn": "SketchGNRegressor()",
    "sketchgn-auto": 'SketchGN(encoding="auto")',
    "sketchgn-piecewise": 'SketchGN(encoding="piecewise")',
    "sketchgn-vote": "the mean of the two encodings",
    "sketchgn-fixed": "SketchGN, fixed settings",
    "hgb": "HistGradientBoosting",
    "ridge": "RidgeCV()",
    "mlp": "MLPRegressor()",
    "mlp-adam2000": "MLP, Adam, 2000 epochs",
    "mlp-lbfgs-grid": "MLP, L-BFGS, 5-fold search",
    HINDSIGHT: "MLP, L-BFGS, alpha picked on the test set",
}


def gather(records, order):
    """Return {(method, table): {split: record}}, with the hindsight choice among the alphas."""
    cells = defaultdict(dict)
    for record in records:
        cells[record["method"], record["table"]][record["split"]] = record
    grid = [m for m in order if m.startswith("mlp-lbfgs-") and m != "mlp-lbfgs-grid"]
    for table in {t for _, t in cells}:
        at_alpha = [cells[m, table] for m in grid if (m, table) in cells]
        if len(at_alpha) >= _FEWEST_ALPHAS and (shared := set.intersection(*map(set, at_alpha))):
            means = [mean(cell, "rmse", shared) for cell in at_alpha]
            best = at_alpha[int(np.argmin(means))]
            cells[HINDSIGHT, table] = {split: best[split] for split in shared}
    return dict(cells)


def mean(cell, field, splits=None):
    return float(np.mean([cell[s][field] for s in (cell if splits is None else splits)]))


def geometric_mean(values):
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")


def error_text(cell):
    """Mean +- standard error; a star for capped fits."""
    errors = [r["rmse"] for r in cell.values()]
    text = f"{np.mean(errors):.3g}"
    if len(errors) > 1:
        text += f"±{np.std(errors, ddof=1) / np.sqrt(len(errors)):.1g}"
    return text + ("*" if any(r["capped"] for r in cell.values()) else "")


def print_rows(title, columns, rows):
    """Print an aligned table; `rows` maps a name to one text per column."""
    widths = [max(len(c), *(len(r[i]) for r in rows.values())) for i, c in enumerate(columns)]
    longest = max(map(len, ["table", *rows]))
    print(f"\n{title}")
    for name, texts in {"table": columns, **rows}.items():
        print(name.ljust(longest), *map(str.rjust, texts, widths), sep="  ")


def print_report(records, order, tables):
    """Print errors, fit times and, for each of our methods, the comparison with the others."""
    cells = gather(records, order)
    methods = [m for m in [*order, HINDSIGHT] if any((m, t) in cells for t in tables)]
    published = ["mc-dropout", "published", "target"] if set(tables) & set(PUBLISHED) else []
    errors, times = {}, {}
    for table in tables:
        row = [cells.get((m, table), {}) for m in methods]
        splits = max((len(cell) for cell in row), default=0)
        # A cell that has fewer splits than the fullest of its row says so.
        short = [f" ({len(c)}/{splits})" if 0 < len(c) < splits else "" for c in row]
        errors[table] = [error_text(c) + s if c else "-" for c, s in zip(row, short, strict=True)]
        known = PUBLISHED.get(table, {})
        errors[table] += [f"{known[name]:.3g}" if known else "-" for name in published]
        times[table] = [f"{mean(c, 'fit_seconds'):.2f}" if c else "-" for c in row]
        errors[table].insert(0, str(splits))
        times[table].insert(0, str(splits))
    print_rows("Test RMSE", ["splits", *methods, *published], errors)
    print_rows("Fit seconds", ["splits", *methods], times)
    print_new_rows(cells, methods, tables)
    for ours in methods:
        if ours.startswith("sketchgn"):
            print_summary(cells, ours, tables)


def print_new_rows(cells, methods, tables):
    """Print errors on the test rows that are copies of no training row, where some are copies.

    Whoever remembers the training rows gains on copies, and may lose on all others.
    """
    rows = {}
    for table in tables:
        row = [cells.get((m, table), {}) for m in methods]
        told = [r for cell in row for r in cell.values() if "rmse_new" in r]
        if all(r["share_new"] == 1 for r in told):
            continue
        whole = [c if all("rmse_new" in r for r in c.values()) else {} for c in row]
        rows[table] = [f"{1 - np.mean([r['share_new'] for r in told]):.1%}"]
        rows[table] += [f"{mean(c, 'rmse_new'):.3g} ({len(c)})" if c else "-" for c in whole]
    if rows:
        print_rows(
            "RMSE on test rows that are copies of no training row (splits)",
            ["copies", *methods],
            rows,
        )


def compare(cells, ours, others, tables, field):
    """Ratios ours / best of others, one per table that all have, on the splits they share."""
    ratios = []
    for table in tables:
        row = [cells.get((m, table), {}) for m in (ours, *others)]
        shared = set.intersection(*map(set, row))
        if shared:
            values = [mean(cell, field, shared) for cell in row]
            ratios.append(values[0] / min(values[1:]))
    return np.array(ratios)


def print_summary(cells, ours, tables):
    print(f"\n{ours}, same splits for both sides")
    rivals = [
        ("better of adam2000 and lbfgs-hindsight", ["mlp-adam2000", HINDSIGHT]),
        ("5-fold grid search", ["mlp-lbfgs-grid"]),
        ("MLPRegressor()", ["mlp"]),
        ("lbfgs-hindsight", [HINDSIGHT]),
        ("HistGradientBoosting", ["hgb"]),
        ("RidgeCV()", ["ridge"]),
    ]
    for label, others in rivals:
        errors = compare(cells, ours, others, tables, "rmse")
        if not len(errors):
            continue
        times = compare(cells, ours, others, tables, "fit_seconds")
        print(
            f"  {label:39s} at or below on {np.sum(errors <= 1)} of {len(errors)} tables;"
            f" error ratio {geometric_mean(errors):.3f} (worst {errors.max():.2f}),"
            f" {geometric_mean(times):.2g} times the seconds"
        )
    have = [t for t in tables if (ours, t) in cells and t in PUBLISHED]
    if not have:
        return
    met = sum(mean(cells[ours, t], "rmse") <= PUBLISHED[t]["target"] for t in have)
    print(f"  {'target of the project':39s} at or below on {met} of {len(have)} tables")


def save_plot(records, order, tables, path):
    """Plot error relative to the best method of each table against fit time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    cells = gather(records, order)
    methods = [m for m in [*order, HINDSIGHT] if m in LABELS and any(k[0] == m for k in cells)]
    # Only tables that every method has: else a method could look good by missing a hard one.
    shared = [t for t in tables if all((m, t) in cells for m in methods)]
    if not shared:
        print(f"no plot: no table has records of all of {', '.join(methods)}")
        return
    error = np.array([[mean(cells[m, t], "rmse") for t in shared] for m in methods])
    relative = np.exp(np.log(error / error.min(axis=0)).mean(axis=1))
    seconds = [geometric_mean([mean(cells[m, t], "fit_seconds") for t in shared]) for m in methods]
    figure, axes = plt.subplots(figsize=(8, 5))
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.1, top=0.86)
    axes.set(xscale="log", yscale="log")
    axes.margins(x=0.12, y=0.12)
    for method, x, y in zip(methods, seconds, relative, strict=True):
        ours = method.startswith("sketchgn")
        axes.plot(x, y, "o", color="C3" if ours else "0.45", markersize=11 if ours else 8)
    ticks = {axes.xaxis: (1, 2, 5), axes.yaxis: (1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 2.5, 3, 5)}
    for axis, subs in ticks.items():
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("fit time, seconds on one core")
    axes.set_ylabel("test error / least error on that table")
    figure.suptitle(headline(methods, relative, seconds), x=0.09, ha="left", weight="bold")
    note = f"lower left is better; geometric mean over {len(shared)} tables"
    axes.set_title(note, loc="left", fontsize=10, color="0.35", pad=8)
    axes.spines[["top", "right"]].set_visible(False)
    place_labels(axes, methods, seconds, relative)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"\nplot of {', '.join(shared)} in {path}")


def headline(methods, relative, seconds):
    """Say what the plot shows, from its own numbers."""
    if not {"sketchgn", "mlp-lbfgs-grid"} <= set(methods):
        return "Test error against fit time"
    ours, grid = methods.index("sketchgn"), methods.index("mlp-lbfgs-grid")
    change = 100 * (relative[ours] / relative[grid] - 1)
    error = f"{abs(change):.0f} % {'less' if change < 0 else 'more'} error"
    speed = seconds[grid] / seconds[ours]
    return f"Nothing tuned: {error} than a 5-fold search, {speed:.0f} times faster"


def place_labels(axes, methods, seconds, relative):
    """Label each point at the first of a few positions that covers no point and no label."""
    from matplotlib.transforms import Bbox

    axes.figure.canvas.draw()  # settles the limits that the transforms below rely on
    frame = axes.bbox
    points = axes.transData.transform(np.column_stack([seconds, relative]))
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in points]
    sides = [("center", 0, 9), ("left", 10, -4), ("right", -10, -4), ("center", 0, -18)]
    sides += [("left", 8, 8), ("right", -8, 8), ("left", 8, -16), ("right", -8, -16)]
    for method, x, y in zip(methods, seconds, relative, strict=True):
        ours = method.startswith("sketchgn")
        style = {"color": "C3", "weight": "bold"} if ours else {"color": "0.25"}
        for ha, dx, dy in sides:
            label = axes.annotate(
                LABELS[method], (x, y), (dx, dy), textcoords="offset points", ha=ha, **style
            )
            box = label.get_window_extent()
            inside = box.x0 > frame.x0 and box.x1 < frame.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            if (ha, dx, dy) != sides[-1]:
                label.remove()
        taken.append(box)
