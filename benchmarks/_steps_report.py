"""Tables, cost model and plot of the records that steps.py writes."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np

from sklearn_sketchgn.solvers import _auto

SKETCHED = ("countsketch", "srht", "gaussian")


def print_report(records):
    groups = defaultdict(list)
    for record in records:
        groups[record["case"]["group"]].append(record)
    for group, members in groups.items():
        print(f"\n{group}: seconds, CG iterations, gigaflops of the machine's own square product")
        for record in members:
            print_record(record)
    if "slopes" in groups:
        print_slopes(groups["slopes"])
    print_constants(records)
    print_auto(records)


def name(record):
    case = record["case"]
    return f"n={case['n']} m={case['m']} d={case['d']} {case['dtype']}"


def print_record(record):
    shares, direct = product_shares(record), record["solvers"]["direct"]["seconds"]
    print(f"  {name(record)}: {record['peak_gflops']:.0f} GF/s, {record['flips']:.0%} flips")
    for solver, found in record["solvers"].items():
        print(
            f"    {solver:12s} {found['seconds']:9.4f} s  {direct / found['seconds']:5.2f} x direct"
            f"  {found['iterations']:3d} iterations  products at {shares[solver]:4.0%} of peak"
            f"  memory {found['peak_side_squared']:.2f} side^2  off by {found['difference']:.0e}"
            f"  {found['message']}"
        )
    parts = record["parts"]
    print(
        f"    one pair of triangular solves {parts['triangular']:.5f} s,"
        f" factor and solve {parts['factor']:.4f} s"
    )


def product_flops(record):
    """Return the flops of J v and J'u together: two skinny products."""
    d = record["case"]["d"] + (not record["case"]["paper"])
    return 4.0 * record["case"]["n"] * record["case"]["m"] * d


def direct_flops(record):
    """Return the flops of the symmetric products and of the factorisation that `Direct` needs."""
    counts = _auto.operations(jacobian_of(record))
    return counts["form"] + counts["factor"]


def product_shares(record):
    """Return what each solver's matrix products reach of the peak: J v and J'u for CG."""
    peak, parts = 1e9 * record["peak_gflops"], record["parts"]
    shares = dict.fromkeys(
        record["solvers"], product_flops(record) / (parts["matvec"] + parts["rmatvec"]) / peak
    )
    shares["direct"] = direct_flops(record) / record["solvers"]["direct"]["seconds"] / peak
    return shares


def jacobian_of(record):
    """Return the sizes that the cost model reads from a Jacobian."""
    case = record["case"]
    return SimpleNamespace(
        n_samples=case["n"],
        n_features=case["d"] + (not case["paper"]),
        width=case["m"],
        n_outputs=1,
        train_output=not case["paper"],
        dtype=np.dtype(case["dtype"]),
        shape=tuple(record["shape"]),
        stable_rank=lambda: record["stable_rank"],
    )


def print_slopes(records):
    """Print d log(seconds) / d log(size) for each size, over the cases that differ in it alone."""
    print("\nslopes of log(seconds); the range of the size, and what the other two are held at")
    for size in ("n", "m", "d"):
        lines = defaultdict(list)
        for record in records:
            case = record["case"]
            lines[tuple((k, case[k]) for k in "nmd" if k != size)].append(record)
        for fixed, members in lines.items():
            if len(members) < 3:
                continue
            sizes = np.array([r["case"][size] for r in members], dtype=float)
            series = {s: [r["solvers"][s]["seconds"] for r in members] for s in ("direct", "kept")}
            counts = [r["solvers"]["kept"]["iterations"] for r in members]
            series["an iteration"] = list(np.divide(series["kept"], counts))
            for part in ("triangular", "factor"):
                series[part] = [r["parts"][part] for r in members]
            held = ", ".join(f"{k}={v}" for k, v in fixed)
            slopes = {k: np.polyfit(np.log(sizes), np.log(v), 1)[0] for k, v in series.items()}
            text = "  ".join(f"{k} {v:.2f}" for k, v in slopes.items())
            print(f"  {size} from {sizes.min():.0f} to {sizes.max():.0f} at {held}: {text}")


def print_constants(records):
    """Print what the constants of `_auto` are in these records: medians of time times peak."""
    found = defaultdict(list)
    for record in records:
        if record["case"]["n"] * record["case"]["m"] < 1e5:
            continue
        peak, counts = 1e9 * record["peak_gflops"], _auto.operations(jacobian_of(record))
        # The peak is that of the dtype: a float64 flop counts as much as a float32 one here.
        parts, solvers = record["parts"], record["solvers"]
        found["_SKINNY"].append((parts["matvec"] + parts["rmatvec"]) * peak / product_flops(record))
        found["_TRIANGULAR"].append(parts["triangular"] * peak / (2.0 * min(record["shape"]) ** 2))
        found["_FACTOR"].append(parts["factor"] * peak / counts["factor"])
        form = solvers["direct"]["seconds"] - parts["factor"]
        found["_FORM"].append(form * peak / counts["form"])
        if "sketch" in parts:
            found["_SKETCH"].append(parts["sketch"] * peak / counts["sketch"])
        if "kept" in solvers:
            found["_KEPT_ITERATIONS"].append(solvers["kept"]["iterations"])
        if "countsketch" in solvers:
            found["_FRESH_ITERATIONS"].append(solvers["countsketch"]["iterations"])
    print("\nconstants of solvers/_auto.py: quartiles of the records, and what it has")
    for constant, values in sorted(found.items()):
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        print(f"  {constant:18s} {low:7.1f} {middle:7.1f} {high:7.1f}   {getattr(_auto, constant)}")


def print_auto(records):
    """Print the worst ratio of the time of auto's choice to the better of the two."""
    print('\nsolver="auto": seconds of its choice over those of the better solver, worst first')
    least = _auto._SMALLEST_SIDE
    for solver, kept in (("kept", True), ("countsketch", False)):
        for large in (True, False):
            chosen = [
                r for r in records if solver in r["solvers"] and (min(r["shape"]) >= least) == large
            ]
            ratios = {auto_ratio(r, solver, kept): name(r) for r in chosen}
            title = "with a factor of the step before" if kept else "without a factor"
            size = f"side {'>=' if large else '<'} {least}"
            worst = "; ".join(f"{r:.2f} at {ratios[r]}" for r in sorted(ratios, reverse=True)[:3])
            print(f"  {title}, {size}, {len(chosen)} cases: {worst}")


def auto_ratio(record, solver, kept):
    choice = solver if _auto.cg_is_cheaper(jacobian_of(record), kept=kept) else "direct"
    seconds = {s: record["solvers"][s]["seconds"] for s in (solver, "direct")}
    return seconds[choice] / min(seconds.values())


def save_plot(records, path):
    """Plot how much faster a step with a kept factor is than the direct one."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    chosen = [r for r in records if "kept" in r["solvers"]]
    for group, marker in (("grid", "o"), ("slopes", "s"), ("wide", "D"), ("tall", "^")):
        members = [r for r in chosen if r["case"]["group"] == group]
        if members:
            ratio = [
                r["solvers"]["direct"]["seconds"] / r["solvers"]["kept"]["seconds"] for r in members
            ]
            axes.plot([min(r["shape"]) for r in members], ratio, marker, alpha=0.7, label=group)
    axes.axhline(1, color="0.5", linewidth=1)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("side of the factored matrix: the smaller of rows and parameters")
    axes.set_ylabel("seconds of direct / seconds of CG with a kept factor")
    axes.set_title("Above the line a kept factor is the faster step", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"\nplot in {path}")
