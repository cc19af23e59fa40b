"""Whether the standard deviation of `predict(X, return_std=True)` can be trusted, on real tables.

    pip install -e ".[dev]"
    python benchmarks/calibration.py --data DIR --out calibration.json
        4 splits of the five small tables, 1 of the four large: some minutes
    python benchmarks/calibration.py --data DIR --out calibration.json --tables yacht --full
        all splits of one table
    ... --parameters '{"n_members": 4}'
        another setting of the regressor, kept apart in the JSON

DIR holds the tables as in accuracy.py, the nine or others. The JSON is a cache: what it holds is
not fitted again unless `--redo` is given. Columns of the table, on test rows, means over splits:

    coverage  share of targets within 1.645 standard deviations, 0.90 if all is well
    rank      Spearman correlation of the standard deviation with the absolute error (constant: 0)
    gain      negative log likelihood of the best constant deviation (with hindsight: the root mean
              square of the test errors) minus that of ours, in nats a row
    extra     share of the fit's CPU seconds that the standard deviation takes
    MB        size that it adds to the pickle
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import pickle
import time
import warnings

import numpy as np
from _data import default_splits, load_table, tables_in
from _environment import environment
from _records import read, write
from scipy.stats import norm, spearmanr
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import SketchGNRegressor, _fitting

LEVEL = 0.90
COLUMNS = ("coverage", "rank", "gain", "extra", "MB")


def timed(function, seconds):
    """Wrap a function so that its CPU seconds are appended to a list."""

    def wrapped(*args, **kwargs):
        start = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            seconds.append(time.process_time() - start)

    return wrapped


def measure(data, split, parameters):
    """Fit one split and return its record."""
    X, y, X_test, y_test = data.split(split)
    model = SketchGNRegressor(random_state=split, **parameters)
    original, seconds = _fitting.fit_uncertainty, []
    _fitting.fit_uncertainty = timed(original, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = time.process_time()
            model.fit(X, y)
            total = time.process_time() - start
    finally:
        _fitting.fit_uncertainty = original
    mean, std = model.predict(X_test, return_std=True)
    if std.shape != y_test.shape or not (np.isfinite(std).all() and (std > 0).all()):
        raise ValueError(f"standard deviations of shape {std.shape}, or not finite and positive")
    error = np.abs(mean - y_test)
    ours = np.mean(np.log(std) + 0.5 * (error / std) ** 2)
    constant = 0.5 * np.log(np.mean(error**2)) + 0.5
    return {
        "coverage": float(np.mean(error <= norm.ppf(0.5 + LEVEL / 2) * std)),
        "rank": float(spearmanr(std, error)[0]) if np.ptp(std) > 0 else 0.0,
        "gain": float(constant - ours),
        "extra": seconds[0] / total,
        "MB": len(pickle.dumps(model._uncertainty)) / 2**20,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "root_mean_variance": float(np.sqrt(np.mean(std**2))),
        "fit_cpu_seconds": total,
        "n_test": len(y_test),
    }


def key(record):
    return record["table"], record["split"], json.dumps(record["parameters"], sort_keys=True)


def report(records, tables):
    print("| table | splits | " + " | ".join(COLUMNS) + " |")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for table in tables:
        chosen = [r for r in records if r["table"] == table]
        if chosen:
            means = " | ".join(f"{np.mean([r[c] for r in chosen]):.2f}" for c in COLUMNS)
            print(f"| {table} | {len(chosen)} | {means} |")
    held = [np.mean([r["coverage"] for r in records if r["table"] == table]) for table in tables]
    sound = np.mean((np.array(held) >= 0.85) & (np.array(held) <= 0.95))
    print(f"\ncoverage {np.mean(held):.3f} on average, 0.85 to 0.95 on {sound:.0%} of the tables")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of the .npz tables")
    parser.add_argument("--out", required=True, help="JSON file, read and extended")
    parser.add_argument("--tables", nargs="+", metavar="T", help="default: all of the folder")
    parser.add_argument("--full", action="store_true", help="all splits")
    parser.add_argument("--parameters", type=json.loads, default={}, help="of the regressor, JSON")
    parser.add_argument("--redo", action="store_true", help="fit again what the JSON has")
    args = parser.parse_args()

    cache, selected = read(args.out, {"records": []}), []
    tables = args.tables or tables_in(args.data)
    described = environment([args.data, args.out])
    for table in tables:
        data = load_table(args.data, table)
        for split in default_splits(table, len(data.test), args.full):
            record = {"table": table, "split": split, "parameters": args.parameters}
            found = [r for r in cache["records"] if key(r) == key(record)]
            if args.redo or not found:
                record |= measure(data, split, args.parameters) | {"environment": described}
                others = [r for r in cache["records"] if key(r) != key(record)]
                cache["records"] = [*others, record]
                write(args.out, cache)
                print(table, split, *(f"{c} {record[c]:.2f}" for c in COLUMNS), flush=True)
            else:
                record = found[0]
            selected.append(record)
    report(selected, tables)


if __name__ == "__main__":
    main()
