"""How long each method takes to reach a given test error, on the nine UCI tables.

    pip install -e ".[bench]"
    python benchmarks/time_to_accuracy.py --data DIR --out race.json --plot race.png
        all methods, one split a table, at most 120 seconds a fit: up to two hours
    python benchmarks/time_to_accuracy.py --data DIR --out race.json --methods ours mlp
        ours and MLPRegressor's; `mlp`, `peers` and the names below choose methods
    python benchmarks/time_to_accuracy.py --out race.json --methods --figure figure.png
        nothing is fitted: tables of the JSON, and the picture of README.md

DIR holds the tables of accuracy.py. The JSON is a cache, rewritten after each fit; `--redo METHOD`
fits again. One thread, the same rows, X and y standardised with the training rows, 256 neurons,
one split a table (the first). Imports, compilation and a short fit for what is loaded late come
before the clock. Errors are test RMSE in units of y, computed with the clock held.

sketchgn     the default fit; the error after each epoch and step on all rows, and at its end, whose
             time holds what standard deviations take, too
sketchgn-short  the same with its numbers of steps on batches divided by 2, 4 ... 64
mlp-adam     MLPRegressor, 2000 epochs; the error after each epoch (after 50: every 2 % more)
mlp-lbfgs-A  MLPRegressor, solver="lbfgs", alpha=A, 2000 iterations, the error after each
peers        networks in torch, float32, of the same start and batch size as MLPRegressor's: Adam,
             SOAP, Shampoo and K-FAC on batches, L-BFGS and Levenberg-Marquardt on all rows

An error counts as reached at the first note at or below it, whatever comes after: with hindsight,
as nobody can stop there without test rows. So the report also gives the whole fit of the rival.
A fit that is out of its budget stops there (`--budget`, seconds of processor time); an error that
it has not reached counts as not reached. A fit that took no step is an error, a peer that fails on
a table (a singular factor, say) is recorded with its message.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import contextlib
import io
import sys
import time
import warnings
from functools import partial
from unittest import mock

import numpy as np
import scipy.optimize
from _data import TABLES, load_table
from _environment import environment
from _race_report import print_report, save_figure, save_plot
from _records import read, write
from _trace import OutOfBudget, Trace
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from sklearn_sketchgn import SketchGNRegressor, _plan
from sklearn_sketchgn._members import combine

WIDTH = 256
ALPHAS = (0.01, 0.1, 1.0, 10.0)
ITERATIONS = 2000
SHARES = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64)  # of the automatic schedule
SCALED = (
    "CYCLE_STEPS",
    "SETTLING_EPOCHS",
    "SETTLING_STEPS",
    "MOST_SETTLING_STEPS",
    "BATCH_STEPS",
)
BATCH = 200  # MLPRegressor's


class Problem:
    """One split of a table, standardised with its training rows."""

    def __init__(self, data, split, small=False):
        X, y, X_test, y_test = data.split(split)
        if small:
            X, y = X[:300], y[:300]
        scale, self.y_scale = X.std(axis=0), float(y.std())
        scale[scale == 0] = 1.0
        self.seed = split
        self.X, self.X_test = (X - X.mean(axis=0)) / scale, (X_test - X.mean(axis=0)) / scale
        self.y, self.y_test = (y - y.mean()) / self.y_scale, (y_test - y.mean()) / self.y_scale

    def error(self, predicted):
        """Return the test RMSE in units of y; infinite for predictions that are not finite."""
        error = float(np.sqrt(np.mean((np.ravel(predicted) - self.y_test) ** 2))) * self.y_scale
        return error if np.isfinite(error) else float("inf")

    def error_of(self, hidden, output, hidden_bias, output_bias):
        """Return the error of a network by its weights, in MLPRegressor's shapes."""
        activations = np.maximum(self.X_test @ hidden + hidden_bias, 0)
        return self.error(activations @ output + output_bias)


class Networks:
    """Keeps the network after each epoch, and when that was; takes the place of what prints."""

    def __init__(self):
        self.kept, self._cpu, self._wall = [], time.process_time(), time.perf_counter()

    def __call__(self, watch):
        self.note(len(watch.training.history["objective"]), watch.training.network)

    def note(self, step, network):
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        self.kept.append((step, cpu, wall, network))


def sketchgn(problem, trace, shares=(1,)):
    for share in shares:
        # Constants of the package: a number for `max_iter` would add a tenth of it on all rows,
        # which the automatic schedule takes only where they cost less than the batches.
        shorter = {name: max(1, round(share * getattr(_plan, name))) for name in SCALED}
        model = SketchGNRegressor(width=WIDTH, random_state=problem.seed, verbose=1)
        networks = Networks()
        with (
            mock.patch.multiple(_plan, **shorter),
            mock.patch("sklearn_sketchgn._regressor.Reporter", lambda kept=networks: kept),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            model.fit(problem.X, problem.y)
        networks.note(model.n_iter_, None)
        *along, (step, cpu, wall, _) = networks.kept
        scaling, _ = model._resume
        for *when, network in along:
            coefs, intercepts = combine([scaling.fold(network)])
            hidden, output = coefs
            trace.add(*when, problem.error_of(hidden, output, *intercepts))
        trace.add(step, cpu, wall, problem.error(model.predict(problem.X_test)))
        if cpu > trace.budget:
            raise OutOfBudget


class TracedMLP(MLPRegressor):
    """Calls `after_epoch(self)` after each epoch: a fit without the checks of `partial_fit`."""

    def _update_no_improvement_count(self, *args, **kwargs):
        super()._update_no_improvement_count(*args, **kwargs)
        self.after_epoch(self)


def mlp_adam(problem, trace):
    def after_epoch(model, last=False):
        error = partial(problem.error_of, *model.coefs_, *model.intercepts_)
        trace.note(model.n_iter_, error, last)

    model = TracedMLP(
        hidden_layer_sizes=(WIDTH,),
        max_iter=ITERATIONS,
        tol=0,
        n_iter_no_change=ITERATIONS,
        random_state=problem.seed,
    )
    model.after_epoch = after_epoch
    trace.start()
    model.fit(problem.X, problem.y)
    after_epoch(model, last=True)


def mlp_lbfgs(problem, trace, alpha):
    d = problem.X.shape[1]
    edges = np.cumsum([d * WIDTH, WIDTH, WIDTH])
    iterations = 0

    def after_iteration(packed):
        nonlocal iterations
        iterations += 1
        hidden, output, *biases = np.split(packed, edges)
        shapes = hidden.reshape(d, WIDTH), output[:, None]
        trace.note(iterations, lambda: problem.error_of(*shapes, *biases))

    model = MLPRegressor(
        hidden_layer_sizes=(WIDTH,),
        solver="lbfgs",
        alpha=alpha,
        max_iter=ITERATIONS,
        max_fun=10 * ITERATIONS,
        tol=0,
        random_state=problem.seed,
    )
    minimize = partial(scipy.optimize.minimize, callback=after_iteration)
    with mock.patch.object(scipy.optimize, "minimize", minimize):
        trace.start()
        model.fit(problem.X, problem.y)
    weights = (*model.coefs_, *model.intercepts_)
    trace.note(iterations, lambda: problem.error_of(*weights), last=True)


def peer(problem, trace, name):
    import _peers
    import torch

    rng = np.random.default_rng(problem.seed)
    torch.manual_seed(problem.seed)
    d = problem.X.shape[1]

    def glorot(n_in, n_out):
        return rng.uniform(-1, 1, size=(n_in, n_out)) * np.sqrt(6 / (n_in + n_out))

    start = glorot(d, WIDTH), glorot(WIDTH, 1), glorot(d, WIDTH)[0], np.zeros(1)
    module = _peers.layers(*start)
    X, y, X_test = (
        torch.as_tensor(a, dtype=torch.float32) for a in (problem.X, problem.y, problem.X_test)
    )
    y = y[:, None]
    batch = len(X) if name in _peers.ON_ALL_ROWS else BATCH
    before = [p.detach().clone() for p in module.parameters()]

    def error():
        with torch.no_grad():
            return problem.error(module(X_test).numpy().astype(np.float64))

    step = _peers.PEERS[name](module)
    trace.start()
    for epoch in range(1, ITERATIONS + 1):
        for rows in torch.randperm(len(X)).split(batch):
            step(X[rows], y[rows])
        if epoch == 1 and all(map(torch.equal, before, module.parameters())):
            raise RuntimeError(f"{name} took no step")
        trace.note(epoch, error, last=epoch == ITERATIONS)
        if not np.isfinite(trace.errors[-1]):
            raise FloatingPointError(f"not finite after {epoch} epochs")


LBFGS = {f"mlp-lbfgs-{alpha:g}": partial(mlp_lbfgs, alpha=alpha) for alpha in ALPHAS}
PEERS = ("torch-adam", "torch-lbfgs", "soap", "shampoo", "kfac", "lm")
METHODS = {
    "sketchgn": sketchgn,
    "sketchgn-short": partial(sketchgn, shares=SHARES),
    "mlp-adam": mlp_adam,
    **LBFGS,
    **{name: partial(peer, name=name) for name in PEERS},
}
GROUPS = {
    "all": list(METHODS),
    "ours": ["sketchgn", "sketchgn-short"],
    "mlp": ["mlp-adam", *LBFGS],
    "peers": list(PEERS),
}


def measure(method, data, split, budget):
    """Return the record of one fit, with what ended it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warm_up(method, data, split)
        trace, ended = Trace(budget), "its own end"
        try:
            METHODS[method](Problem(data, split), trace)
        except OutOfBudget:
            ended = "budget"
        except (ArithmeticError, np.linalg.LinAlgError, RuntimeError) as error:
            if "no step" in str(error):
                raise
            ended = f"{type(error).__name__}: {error}".split("\n")[0][:200]
    if not trace.steps:
        raise RuntimeError(f"{method} took no step that was noted")
    return trace.record() | {"ended": ended, "budget": budget}


def warm_up(method, data, split):
    """Fit for a fraction of a second, so that nothing is loaded or compiled on the clock."""
    try:
        METHODS[method](Problem(data, split, small=True), Trace(0.02))
    except (OutOfBudget, ArithmeticError, np.linalg.LinAlgError):
        pass


def run(methods, redo, args):
    cache = read(args.out, {"records": {}})
    described = environment([p for p in (args.data, args.out, args.plot, args.figure) if p])
    for table in args.tables:
        data = load_table(args.data, table)
        for method in methods:
            key = f"{method} {table} {args.split}"
            if key in cache["records"] and method not in redo:
                continue
            try:
                record = measure(method, data, args.split, args.budget)
            except ImportError as error:
                print(f"{method} left out: {error}", file=sys.stderr)
                continue
            found = {"method": method, "table": table, "split": args.split} | record
            cache["records"][key], cache["environment"] = found, described
            write(args.out, cache)
            print(
                f"{method:14s} {table:9s} {record['steps'][-1]:5d} steps"
                f" {record['seconds'][-1]:7.1f} s  {record['errors'][-1]:.4g}  {record['ended']}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*METHODS, *GROUPS]
    parser.add_argument("--data", help="folder of the .npz tables")
    parser.add_argument("--out", required=True, help="JSON file, read and extended")
    parser.add_argument("--methods", nargs="*", default=["all"], choices=names, metavar="M")
    parser.add_argument("--redo", nargs="+", default=[], choices=names, metavar="M")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES, metavar="T")
    parser.add_argument("--split", type=int, default=0)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds a fit")
    parser.add_argument("--clock", choices=["seconds", "wall"], default="seconds")
    parser.add_argument("--plot", help="PNG: error against time of each table, and the profiles")
    parser.add_argument("--figure", help="PNG: error against time of three tables, for README.md")
    args = parser.parse_args()
    methods, redo = (
        list(dict.fromkeys(m for name in chosen for m in GROUPS.get(name, [name])))
        for chosen in (args.redo + args.methods, args.redo)
    )
    if methods and not args.data:
        parser.error("--data FOLDER is needed to fit")
    if methods:
        run(methods, redo, args)
    records = [
        r for r in read(args.out, {"records": {}})["records"].values() if r["split"] == args.split
    ]
    print_report(records, args.clock)
    if args.plot:
        save_plot(records, args.plot, args.clock)
    if args.figure:
        save_figure(records, args.figure, args.clock)


if __name__ == "__main__":
    main()
