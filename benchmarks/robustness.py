"""Where the estimator errs more than the mean of the training targets would: docs/reliability.md.

    python benchmarks/robustness.py                      all of it, eight seeds: ten minutes
    python benchmarks/robustness.py noise --seeds 3      pure noise only, three seeds
    python benchmarks/robustness.py outliers             outlying targets, with loss="huber"

Every number is the root of the squared error on unseen rows, relative to that of the mean of the
training targets: 1 is what there is to reach on noise. RidgeCV and histogram boosting are fitted to
the same rows. A seed is a draw of the table and the estimator's random_state. One BLAS thread.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from pathlib import Path

import numpy as np
from _environment import environment
from _records import write
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV

from sklearn_sketchgn import SketchGNRegressor

# Rows and columns of the tables of pure noise.
NOISE = [(20, 4), (30, 60), (60, 10), (280, 8), (280, 30), (1000, 8)]
N_TEST = 2000


def models(seed):
    """Return the estimators that are compared, by name."""
    return {
        "sketchgn": SketchGNRegressor(random_state=seed),
        "ridge": RidgeCV(np.logspace(-3, 5, 33)),
        "boosting": HistGradientBoostingRegressor(random_state=seed),
    }


def relative_error(model, X, y, X_test, y_test):
    """Return the error on the test rows over that of the mean of the training targets."""
    mean = np.sqrt(np.mean((y.mean() - y_test) ** 2))
    return float(np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2)) / mean)


def noise(seed):
    """Yield records of tables in which the inputs say nothing of the target."""
    for n_samples, n_features in NOISE:
        rng = np.random.default_rng([seed, n_samples, n_features])
        X = rng.standard_normal((n_samples + N_TEST, n_features))
        y = rng.standard_normal(n_samples + N_TEST)
        table = X[:n_samples], y[:n_samples], X[n_samples:], y[n_samples:]
        for name, model in models(seed).items():
            model.fit(*table[:2])
            record = {"table": f"noise {n_samples} x {n_features}", "model": name, "seed": seed}
            record["error"] = relative_error(model, *table)
            if name == "sketchgn":
                record["alpha"] = model.alpha_
            yield record


def outliers(seed):
    """Yield records of a table where a fortieth of the training targets is 1000 times too large.

    The targets to predict are right. ``deviations`` is the error in standard deviations of the
    noise-free target.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((280 + N_TEST, 4))
    clean = np.sin(2 * X[:, 0]) + X[:, -1] ** 2
    y = clean + 0.3 * rng.standard_normal(len(X))
    y[:280:40] *= 1e3
    table = X[:280], y[:280], X[280:], y[280:]
    for name, model in {
        **models(seed),
        "huber": SketchGNRegressor(loss="huber", random_state=seed),
    }.items():
        model.fit(*table[:2])
        missed = np.sqrt(np.mean((model.predict(X[280:]) - clean[280:]) ** 2))
        yield {
            "table": "outlying targets",
            "model": name,
            "seed": seed,
            "error": relative_error(model, *table),
            "deviations": float(missed / np.std(clean[280:])),
        }


PARTS = {"noise": noise, "outliers": outliers}


def report(records):
    """Print the errors of every table and model, seed by seed."""
    for key in ("error", "deviations", "alpha"):
        cells = {}
        for record in records:
            if key in record:
                cells.setdefault((record["table"], record["model"]), []).append(record[key])
        if cells:
            print(f"\n{key}, seed by seed")
        for (table, model), values in cells.items():
            line = " ".join(f"{value:8.3g}" for value in values)
            print(f"{table:18s} {model:9s} {line}   median {np.median(values):.3g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, help="JSON file for the records")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"parts are {', '.join(PARTS)}; got {', '.join(unknown)}")
    records = []
    for part in options.parts or PARTS:
        for seed in range(options.seeds):
            records += PARTS[part](seed)
    report(records)
    if options.out:
        content = {"environment": environment([str(options.out)]), "records": records}
        write(options.out, content)


if __name__ == "__main__":
    main()
