"""Regret of alpha="auto": its test error over that of the best fixed alpha in hindsight.

    python benchmarks/regret.py --data FOLDER --out regret.json            two seeds, 15 minutes
    python benchmarks/regret.py --data FOLDER --out regret.json --full     five seeds

Nine UCI tables and ten that are made here: classic, physical, heavy-tailed, one-hot, noisy. A seed
is a split (of the small tables), a draw (of the synthetic ones) and the estimator's random_state.
One BLAS thread a process. The JSON is a cache: what it holds is not fitted again.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np
from _data import load_table
from _environment import environment
from _records import read, write
from joblib import Parallel, delayed
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3

from sklearn_sketchgn import SketchGNRegressor

ALPHAS = (1e-6, 1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
UCI = "yacht boston energy concrete wine kin8nm power naval protein".split()


def diabetes(rng):
    """442 patients, ten measurements (scikit-learn)."""
    return (*load_diabetes(return_X_y=True), 400)


def friedman1(rng):
    """Friedman's first function with noise."""
    return (*make_friedman1(3000, noise=1.0, random_state=int(rng.integers(2**31))), 1000)


def friedman2(rng):
    """Impedance of a circuit, badly scaled inputs."""
    return (*make_friedman2(3000, noise=20.0, random_state=int(rng.integers(2**31))), 1000)


def friedman3(rng):
    """Phase of a circuit, no noise, 500 rows."""
    return (*make_friedman3(2500, random_state=int(rng.integers(2**31))), 500)


def kinematics(rng):
    """Distance of a four-link arm's hand, no noise."""
    angle, length = rng.uniform(-np.pi / 2, np.pi / 2, (6000, 4)), rng.uniform(0.5, 1.5, (6000, 4))
    turned = np.cumsum(angle, axis=1)
    y = np.hypot((length * np.cos(turned)).sum(axis=1), (length * np.sin(turned)).sum(axis=1))
    return np.hstack([angle, length]), y, 4000


def borehole(rng):
    """Flow through a borehole (Harper and Gupta 1983), no noise."""
    low = np.array([0.05, 100, 63070, 990, 63.1, 700, 1120, 9855])
    high = np.array([0.15, 50000, 115600, 1110, 116, 820, 1680, 12045])
    X = rng.uniform(low, high, (4000, 8))
    radius, reach, upper, head, lower, below, length, conductivity = X.T
    ratio = np.log(reach / radius)
    leak = 2 * length * upper / (ratio * radius**2 * conductivity)
    return X, 2 * np.pi * upper * (head - below) / (ratio * (1 + leak + upper / lower)), 2000


def heavy_tails(rng):
    """Student's t inputs with two degrees of freedom."""
    X = rng.standard_t(2, (4000, 8))
    y = np.sin(X[:, 0]) + np.tanh(X[:, 1]) * X[:, 2] / (1 + abs(X[:, 2]))
    return X, y + 0.3 * X[:, 3] / (1 + abs(X[:, 3])) + 0.2 * rng.standard_normal(4000), 2000


def one_hot(rng):
    """Two categories of twelve levels and four numbers."""
    level, X = rng.integers(0, 12, (4000, 2)), rng.standard_normal((4000, 4))
    effect = rng.standard_normal((12, 2))
    y = effect[level[:, 0], 0] + effect[level[:, 1], 1] * X[:, 0] + np.abs(X[:, 1])
    X = np.hstack([np.eye(12)[level[:, 0]], np.eye(12)[level[:, 1]], X])
    return X, y + 0.3 * rng.standard_normal(4000), 2000


def steps(rng):
    """Jumps and a wave, where trees do well."""
    X = rng.uniform(-1, 1, (4000, 6))
    y = (X[:, 0] > 0.2) + 1.0 * (X[:, 1] * X[:, 2] > 0) + 0.3 * np.sin(8 * X[:, 3])
    return X, y + 0.2 * rng.standard_normal(4000), 2000


def noise(rng):
    """Fifteen columns, one of which explains 8 % of the variance."""
    X = rng.standard_normal((1300, 15))
    return X, 0.3 * X[:, 0] + rng.standard_normal(1300), 300


SYNTHETIC = {
    made.__name__: made
    for made in (
        diabetes,
        friedman1,
        friedman2,
        friedman3,
        kinematics,
        borehole,
        heavy_tails,
        one_hot,
        steps,
        noise,
    )
}


def split(folder, table, seed):
    """Return (X, y, X_test, y_test)."""
    if table in UCI:
        data = load_table(folder, table)
        return data.split(seed % len(data.test))
    rng = np.random.default_rng([seed, sorted(SYNTHETIC).index(table)])
    X, y, n_train = SYNTHETIC[table](rng)
    order = rng.permutation(len(X))
    train, test = order[:n_train], order[n_train:]
    return X[train], y[train], X[test], y[test]


def fit(folder, table, alpha, width, seed):
    """Return the record of one fit."""
    X, y, X_test, y_test = split(folder, table, seed)
    start = time.perf_counter()
    model = SketchGNRegressor(width, alpha=alpha, random_state=seed).fit(X, y)
    seconds = time.perf_counter() - start
    rmse = float(np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2)))
    job = {"table": table, "alpha": alpha, "width": width, "seed": seed}
    return {**job, "rmse": rmse, "seconds": seconds, "alpha_": model.alpha_}


def report(records, tables, width):
    """Print the errors and the regret of every table, and their means."""
    regrets, costs = [], []
    print(f"\nwidth {width}: test error (geometric mean over seeds)")
    print(f"{'table':12s} {'auto':>10s} {'best fixed':>10s} {'at alpha':>9s} {'regret':>7s}")
    for table in tables:
        mine = [r for r in records if r["table"] == table and r["width"] == width]

        def mean(alpha, key="rmse", mine=mine):
            return np.exp(np.mean([np.log(r[key]) for r in mine if r["alpha"] == alpha]))

        best = min(ALPHAS, key=mean)
        regrets.append(mean("auto") / mean(best))
        costs.append(mean("auto", "seconds") / mean(best, "seconds"))
        print(f"{table:12s} {mean('auto'):10.4g} {mean(best):10.4g} {best:9.3g} {regrets[-1]:7.3f}")
    average = np.exp(np.mean(np.log(regrets)))
    print(f"regret: geometric mean {average:.3f}, worst {max(regrets):.3f} ({len(tables)} tables)")
    print(f"fit time of auto over that of a fixed alpha: {np.exp(np.mean(np.log(costs))):.2f}")


def report_widths(records, tables, widths):
    """Print the error of alpha="auto" at every width relative to the first."""
    print("\nalpha='auto': error relative to width", widths[0])
    for width in widths:
        ratios = []
        for table in tables:
            by_width = [
                np.mean([np.log(r["rmse"]) for r in records if _is(r, table, w)])
                for w in (width, widths[0])
            ]
            ratios.append(by_width[0] - by_width[1])
        print(f"{width:6d} {np.exp(np.mean(ratios)):7.3f}  worst {np.exp(max(ratios)):.3f}")


def _is(record, table, width):
    return record["table"] == table and record["width"] == width and record["alpha"] == "auto"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the UCI tables")
    parser.add_argument("--out", type=Path, required=True, help="JSON file, also the cache")
    parser.add_argument("--full", action="store_true", help="five seeds instead of two")
    parser.add_argument("--tables", nargs="+", default=[*UCI, *SYNTHETIC])
    parser.add_argument("--widths", nargs="+", type=int, default=[], help="compare widths instead")
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args()
    seeds = range(5 if options.full else 2)
    widths, alphas = options.widths or [256], ["auto"] if options.widths else ["auto", *ALPHAS]
    records = read(options.out, {"records": []})["records"]
    have = {(r["table"], r["alpha"], r["width"], r["seed"]) for r in records}
    for table in options.tables:
        jobs = [(table, a, w, s) for a in alphas for w in widths for s in seeds]
        records += Parallel(n_jobs=options.n_jobs)(
            delayed(fit)(options.data, *job) for job in jobs if job not in have
        )
        content = {
            "environment": environment([str(options.data), str(options.out)]),
            "records": records,
        }
        write(options.out, content)
        print(table, flush=True)
    # Others would be in the means of some penalties only.
    compared = [r for r in records if r["seed"] in seeds]
    if options.widths:
        report_widths(compared, options.tables, widths)
    else:
        report(compared, options.tables, widths[0])


if __name__ == "__main__":
    main()
