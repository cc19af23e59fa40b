"""Tables, performance profiles and plots of the records that time_to_accuracy.py writes."""

from collections import defaultdict

import numpy as np
from _data import TABLES
from _trace import first_time

OURS = ("sketchgn", "sketchgn-short")
LABELS = {
    "sketchgn": "SketchGNRegressor",
    "sketchgn-short": "SketchGNRegressor, fewer steps",
    "mlp-adam": "MLPRegressor, Adam",
    "mlp-lbfgs": "MLPRegressor, L-BFGS, best alpha",
    "torch-adam": "torch Adam",
    "torch-lbfgs": "torch L-BFGS",
    "soap": "SOAP",
    "shampoo": "Shampoo",
    "kfac": "K-FAC",
    "lm": "Levenberg-Marquardt",
}
COLOURS = dict(
    zip(LABELS, ("C3", "C6", "0.2", "C0", "0.6", "C9", "C2", "C8", "C1", "C4"), strict=True)
)
# What is plotted in README.md: a small, a middling and a large table.
FIGURE_TABLES = ("energy", "concrete", "kin8nm")


def by_table(records):
    """Return {table: {method: list of records}}; L-BFGS at all its alphas is one method."""
    found = defaultdict(lambda: defaultdict(list))
    for record in records:
        name = "mlp-lbfgs" if record["method"].startswith("mlp-lbfgs") else record["method"]
        found[record["table"]][name].append(record)
    return {table: dict(found[table]) for table in TABLES if table in found}


def targets(methods):
    """Return the errors to be reached on one table, by name, of the methods that ran.

    Adam's is the error at its end, after 2000 epochs or its budget; L-BFGS's the least of the
    errors at the ends of its fits, that is, at the alpha that is best on the test rows.
    """
    return {
        name: best_fit(methods[name])["errors"][-1]
        for name in ("mlp-adam", "mlp-lbfgs")
        if name in methods
    }


def best_fit(records):
    """Return the record that ends at the least error: of L-BFGS, the best alpha in hindsight."""
    return min(records, key=lambda record: record["errors"][-1])


def times(methods, target, clock):
    """Return the seconds to an error by method: the least over its records, or infinity."""
    return {
        name: min(first_time(record, target, clock) for record in found)
        for name, found in methods.items()
    }


def print_report(records, clock):
    tables = by_table(records)
    for rival in ("mlp-adam", "mlp-lbfgs"):
        rows = {t: times(m, targets(m)[rival], clock) for t, m in tables.items() if rival in m}
        if rows:
            print_target(rival, rows, tables, clock)


def print_target(rival, rows, tables, clock):
    names = [name for name in LABELS if any(name in row for row in rows.values())]
    unit = "processor seconds" if clock == "seconds" else "seconds"
    print(f"\n{unit} to the error at which {LABELS[rival]} ends; - is not reached")
    print(f"{'table':9s} {'error':>9s} " + " ".join(f"{name:>14s}" for name in names))
    for table, row in rows.items():
        texts = [f"{row.get(name, np.inf):.2f}" for name in names]
        error = targets(tables[table])[rival]
        cut = any(r["ended"] == "budget" for r in tables[table][rival])
        cells = " ".join(f"{'-' if t == 'inf' else t:>14s}" for t in texts)
        print(f"{table:9s} {error:9.3g} {cells}" + ("  rival out of its budget" if cut else ""))
    own = {t: row.get(OURS[0], np.inf) for t, row in rows.items()}
    least = {t: min(row.get(name, np.inf) for name in OURS) for t, row in rows.items()}
    for which, ours in (("the default fit", own), ("the best schedule", least)):
        reached = [t for t in rows if np.isfinite(ours[t])]
        first = np.array([rows[t][rival] / ours[t] for t in reached])
        whole = np.array([best_fit(tables[t][rival])[clock][-1] / ours[t] for t in reached])
        print(f"{which} reached it on {len(reached)} of {len(rows)} tables; on these {rival} took")
        for what, ratios in (("at its first passage", first), ("in its whole fit", whole)):
            if len(ratios):
                mean = np.exp(np.mean(np.log(ratios)))
                print(
                    f"  {mean:.2f} times our time {what}"
                    f" (geometric mean; {ratios.min():.2f} to {ratios.max():.2f})"
                )
    for name in names:
        shares = profile(rows, name)
        fastest, within = np.mean(shares <= 1), np.mean(shares <= 10)
        print(f"  {name:14s} fastest on {fastest:4.0%}, within 10 times of it on {within:4.0%}")


def profile(rows, name):
    """Return the time of a method over the least of all methods, one a table (Dolan, More)."""
    least = [min(row.values()) for row in rows.values()]
    own = [row.get(name, np.inf) for row in rows.values()]
    return np.array([o / b if np.isfinite(o) else np.inf for o, b in zip(own, least, strict=True)])


def curve(record, clock):
    """Return times and the least error so far."""
    order = np.argsort(record[clock], kind="stable")
    seconds, errors = np.array(record[clock])[order], np.array(record["errors"])[order]
    return seconds, np.minimum.accumulate(errors)


def draw(axes, methods, clock, names):
    """Draw test error against time; of L-BFGS the fit that ends best."""
    for name in (n for n in names if n in methods):
        record = best_fit(methods[name])
        width = 2.2 if name == OURS[0] else 1.5
        axes.plot(*curve(record, clock), color=COLOURS[name], label=LABELS[name], linewidth=width)
    axes.set(xscale="log", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)


def limit(axes, methods, names):
    """Leave out the errors of the first moments: up to the spread of what is reached."""
    reached = [min(min(r["errors"]) for r in methods[n]) for n in names if n in methods]
    axes.set_ylim(0.9 * min(reached), max(6 * min(reached), 2 * max(reached)))


def save_plot(records, path, clock):
    """Plot error against time of each table, and the two performance profiles."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tables = by_table(records)
    figure, panels = plt.subplots(4, 3, figsize=(13, 14))
    for axes, (table, methods) in zip(panels.ravel(), tables.items(), strict=False):
        draw(axes, methods, clock, LABELS)
        limit(axes, methods, LABELS)
        axes.set_title(table, loc="left")
        axes.set_xlabel("seconds")
        axes.set_ylabel("test RMSE")
    for axes, rival in zip(panels[3], ("mlp-adam", "mlp-lbfgs"), strict=False):
        rows = {t: times(m, targets(m)[rival], clock) for t, m in tables.items() if rival in m}
        for name in LABELS if rows else ():
            if any(name in row for row in rows.values()):
                ratios = np.sort(profile(rows, name))
                shares = np.arange(1, len(ratios) + 1) / len(ratios)
                axes.step(ratios, shares, where="post", color=COLOURS[name], label=LABELS[name])
        axes.set(xscale="log", xlim=(1, 1000), ylim=(0, 1.03))
        axes.set_title(f"share of tables: to the error of {rival}", loc="left", fontsize=10)
        axes.set_xlabel("time / least time of all methods")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    panels[3, 2].axis("off")
    panels[3, 2].legend(handles, labels, frameon=False, loc="center left")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"\nplot in {path}")


def save_figure(records, path, clock):
    """Save the picture of README.md: ours and MLPRegressor's on three tables."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    names = (OURS[0], "mlp-adam", "mlp-lbfgs")
    tables = {t: m for t, m in by_table(records).items() if t in FIGURE_TABLES}
    if not tables:
        print(f"no figure: none of {', '.join(FIGURE_TABLES)} is in the JSON")
        return
    figure, panels = plt.subplots(1, len(tables), figsize=(9, 2.9), squeeze=False)
    for axes, (table, methods) in zip(panels[0], tables.items(), strict=True):
        draw(axes, methods, clock, names)
        limit(axes, methods, names)
        axes.set_title(table, loc="left", fontsize=11)
        axes.set_xlabel("seconds of training, one core")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    panels[0, 0].set_ylabel("test error (RMSE)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=3, frameon=False, loc="upper center")
    figure.tight_layout(rect=(0, 0, 1, 0.92))
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"\nfigure in {path}")
