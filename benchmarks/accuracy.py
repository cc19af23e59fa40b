"""Test error and fit time on nine UCI tables, or others, against scikit-learn's regressors.

Every MLP has one hidden layer of `--width` neurons and sees X and y standardised with the
training rows; all methods use one thread and the same rows. Errors are test RMSE in units of y.

    pip install -e ".[dev]"
    python benchmarks/accuracy.py --data DIR --out accuracy.json
        sketchgn, mlp and hgb; 4 splits of the five small tables, 1 of the four large: minutes
    python benchmarks/accuracy.py --data DIR --out accuracy.json --methods all --plot accuracy.png
        every method, about two hours on an empty JSON
    python benchmarks/accuracy.py --data DIR --out accuracy.json --methods all --full
        every method on every split: a day
    python benchmarks/accuracy.py --data DIR --out accuracy.json --redo sketchgn
        ours again after a change, the baselines from the JSON
    python benchmarks/accuracy.py --data DIR --out accuracy.json --methods
        nothing is fitted, only the tables (and `--plot`) from the JSON

DIR holds `yacht.npz` and so on: arrays X, y and test (one row of packed bits per split);
real_tables.py writes others. All tables in it are taken.
The JSON is a cache, rewritten after each fit: what is in it is not computed again.
`mlp-lbfgs` is one fit at each alpha of 0.01, 0.1, 1, 10, `mlp-lbfgs-wide` at 100 as well; the
tables add `lbfgs-hindsight`, the alpha with the least *test* error on each table, at the time of
that single fit.
A table of its own has the errors on test rows whose inputs no training row has, where others are.
On tables above `--cap-rows` rows the long baselines stop at CAP_ITERATIONS (`capped` in the JSON, a
star in the tables).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
import warnings
import zlib
from functools import partial

import numpy as np
from _data import default_splits, load_table, tables_in
from _environment import environment
from _records import read, write
from _report import print_report, save_plot
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DEFAULT_WIDTH = 256  # SketchGNRegressor's own default
FIXED = {"alpha": 1.0, "damping": 0.04, "momentum": 0.7, "n_members": 4}
ALPHAS = (0.01, 0.1, 1.0, 10.0)
ITERATIONS = 2000  # of adam2000 and lbfgs
CAP_ITERATIONS = 300


def sketchgn(width, split, max_iter):
    from sklearn_sketchgn import SketchGNRegressor  # here, so that baselines run without it

    chosen = {} if width == DEFAULT_WIDTH else {"width": width}
    return SketchGNRegressor(random_state=split, **chosen)


def sketchgn_fixed(width, split, max_iter):
    return sketchgn(width, split, max_iter).set_params(**FIXED)


def sketchgn_encoded(width, split, max_iter, encoding="auto"):
    return sketchgn(width, split, max_iter).set_params(encoding=encoding)


def sketchgn_vote(width, split, max_iter):
    both = [(str(encoding), encoding) for encoding in (None, "piecewise")]
    return VotingRegressor(
        [(name, sketchgn_encoded(width, split, max_iter, encoding)) for name, encoding in both]
    )


def network(width, split, **params):
    """MLPRegressor on standardised X and y; what is not in `params` is its default."""
    pipeline = make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(width,), random_state=split, **params)
    )
    return TransformedTargetRegressor(pipeline, transformer=StandardScaler())


def mlp(width, split, max_iter):
    return network(width, split)


def mlp_adam(width, split, max_iter):
    return network(width, split, max_iter=max_iter, tol=0, n_iter_no_change=max_iter)


def mlp_lbfgs(width, split, max_iter, alpha=ALPHAS[0]):
    # It would end at a gradient of 1e-4, in places far from its least error.
    stops = {"max_iter": max_iter, "max_fun": 10 * max_iter, "tol": 0}
    return network(width, split, solver="lbfgs", alpha=alpha, **stops)


def mlp_lbfgs_grid(width, split, max_iter):
    # Shuffled folds: some tables are sorted, and blocks of rows would handicap the search.
    return GridSearchCV(
        mlp_lbfgs(width, split, max_iter),
        {"regressor__mlpregressor__alpha": list(ALPHAS)},
        scoring="neg_mean_squared_error",
        cv=KFold(5, shuffle=True, random_state=split),
    )


def hgb(width, split, max_iter):
    return HistGradientBoostingRegressor(random_state=split)


def ridge(width, split, max_iter):
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))


LBFGS = {f"mlp-lbfgs-{alpha:g}": partial(mlp_lbfgs, alpha=alpha) for alpha in (*ALPHAS, 100.0)}
METHODS = {
    "sketchgn": sketchgn,
    "sketchgn-auto": sketchgn_encoded,
    "sketchgn-piecewise": partial(sketchgn_encoded, encoding="piecewise"),
    "sketchgn-vote": sketchgn_vote,
    "sketchgn-fixed": sketchgn_fixed,
    "hgb": hgb,
    "ridge": ridge,
    "mlp": mlp,
    **LBFGS,
    "mlp-adam2000": mlp_adam,
    "mlp-lbfgs-grid": mlp_lbfgs_grid,
}
CAPPED = {*LBFGS, "mlp-adam2000", "mlp-lbfgs-grid"}
GROUPS = {
    "all": list(METHODS),
    "mlp-lbfgs": [f"mlp-lbfgs-{alpha:g}" for alpha in ALPHAS],
    "mlp-lbfgs-wide": list(LBFGS),
}


def measure(method, data, split, width, cap_rows=np.inf):
    """Fit one method on one split; check the predictions and return its record."""
    X, y, X_test, y_test = data.split(split)
    capped = method in CAPPED and len(y) > cap_rows
    max_iter = CAP_ITERATIONS if capped else ITERATIONS
    model = METHODS[method](width, split, max_iter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start, cpu_start = time.perf_counter(), time.process_time()
        model.fit(X, y)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    predicted = model.predict(X_test)
    if predicted.shape != y_test.shape or not np.isfinite(predicted).all():
        raise ValueError(f"{method}: predictions of shape {predicted.shape} or not finite")
    for other in {str(w.message) for w in caught if w.category is not ConvergenceWarning}:
        print(f"  {method}: {other}", file=sys.stderr)
    squares, new = (predicted - y_test) ** 2, are_new(X_test, X)
    return {
        "rmse": float(np.sqrt(squares.mean())),
        "rmse_new": float(np.sqrt(squares[new].mean())) if new.any() else float("nan"),
        "share_new": float(new.mean()),
        "fit_seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "n_warnings": len(caught),
        "capped": capped,
        "max_iter": max_iter if method in CAPPED else None,
        "test_rows": zlib.crc32(np.packbits(data.test[split]).tobytes()),
        "fitted": fitted_values(model),
    }


def are_new(rows, known):
    """Return which rows are copies of none of the known ones."""
    seen = {row.tobytes() for row in np.ascontiguousarray(known)}
    return np.array([row.tobytes() not in seen for row in np.ascontiguousarray(rows)])


def fitted_values(model):
    """What the fit resolved to: iterations, penalty, reason for stopping."""
    grid = getattr(model, "best_params_", {})
    model = getattr(model, "best_estimator_", model)
    model = model.regressor_[-1] if hasattr(model, "regressor_") else model
    names = ("n_iter_", "alpha_", "damping_", "batch_size_", "stop_reason_")
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    values.update({name.rsplit("__", 1)[-1]: value for name, value in grid.items()})
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def key(record):
    return tuple(record[name] for name in ("method", "width", "table", "split"))


def add(path, record, run_id, described):
    """Put a record in place of its predecessor; reads the file anew, so two runs can share it."""
    cache = read(path, {"runs": {}, "records": []})
    cache["runs"].setdefault(run_id, described)
    cache["records"] = [r for r in cache["records"] if key(r) != key(record)] + [record]
    write(path, cache)


def run(methods, redo, tables, chosen, args):
    """Fit what the cache lacks and what is to be redone, method by method, saving each."""
    described = environment([args.data, args.out, args.plot]) | {"sketchgn-fixed": FIXED}
    run_id = f"{described['date']}-{os.getpid()}"
    done = {key(r) for r in read(args.out, {"records": []})["records"] if r["method"] not in redo}
    for method in methods:
        todo = [(t, s) for t in tables for s in chosen[t] if (method, args.width, t, s) not in done]
        if todo and method not in CAPPED:  # the first fit pays for lazy imports
            measure(method, tables[todo[0][0]], todo[0][1], args.width)
        for table, split in todo:
            record = {"method": method, "width": args.width, "table": table, "split": split}
            record |= measure(method, tables[table], split, args.width, args.cap_rows)
            add(args.out, record | {"run": run_id}, run_id, described)
            error, seconds = record["rmse"], record["fit_seconds"]
            print(f"{method:16s} {table:9s} {split:2d}  {error:.4g}  {seconds:.2f} s", flush=True)


def check_rows(records):
    """Raise if two methods were judged on different test rows of the same split."""
    rows = {}
    for r in records:
        if rows.setdefault((r["table"], r["split"]), r["test_rows"]) != r["test_rows"]:
            raise ValueError(f"{r['method']}, {r['table']} {r['split']}: other test rows")


def expand(names):
    """Replace groups by their methods, keeping order and dropping repeats."""
    return list(dict.fromkeys(m for name in names for m in GROUPS.get(name, [name])))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*METHODS, *GROUPS]
    parser.add_argument("--data", required=True, help="folder of the .npz tables")
    parser.add_argument("--out", required=True, help="JSON file, read and extended")
    parser.add_argument("--methods", nargs="*", default=["sketchgn", "mlp", "hgb"], metavar="M")
    parser.add_argument("--redo", nargs="+", default=[], metavar="M", help="fit these again")
    parser.add_argument("--tables", nargs="+", metavar="T", help="default: all of the folder")
    parser.add_argument("--splits", nargs="+", type=int, help="these splits of every table")
    parser.add_argument("--full", action="store_true", help="all splits")
    parser.add_argument("--width", type=int, default=DEFAULT_WIDTH)
    parser.add_argument("--cap-rows", type=float, default=20_000, metavar="N")
    parser.add_argument("--plot", help="PNG file of error against time")
    args = parser.parse_args()
    for name in args.methods + args.redo:
        if name not in known:
            parser.error(f"unknown method {name!r}, expected one of {', '.join(known)}")

    names = args.tables or tables_in(args.data)
    tables = {name: load_table(args.data, name) for name in names}
    chosen = {t: default_splits(t, len(tables[t].test), args.full) for t in names}
    if args.splits:
        chosen = {t: [s for s in args.splits if s < len(tables[t].test)] for t in names}
    redo = expand(args.redo)
    run(list(dict.fromkeys(redo + expand(args.methods))), redo, tables, chosen, args)
    selected = [
        r
        for r in read(args.out, {"records": []})["records"]
        if r["width"] == args.width and r["split"] in chosen.get(r["table"], [])
    ]
    check_rows(selected)
    print_report(selected, list(METHODS), names)
    if args.plot:
        save_plot(selected, list(METHODS), names, args.plot)


if __name__ == "__main__":
    main()
