"""Time and memory of one Gauss-Newton step: exact, by sketched CG, and by CG with a kept factor.

A step is `prepare` and `solve` of a solver on the Jacobian of a network that has just moved by one
full step; `kept` is CG that goes on with the Cholesky factor that `Direct` made before that move.

    python benchmarks/steps.py --out steps.json
        wide, tall (reduced), minibatch and grid cases and reduced slopes: five minutes
    python benchmarks/steps.py --out steps.json --cases wide --plot steps.png
        one group of cases: wide, tall, slopes, minibatch or grid
    python benchmarks/steps.py --out steps.json --cases wide tall slopes --full
        the sizes of the paper's promise: half an hour, 8 GB
    python benchmarks/steps.py --out steps.json --cases --plot steps.png
        nothing is run: tables, cost model and plot from the JSON

The JSON keeps all records; a case that is run again replaces its record. Before anything is
timed the steps are compared: each must be within 1e-3 of the direct one, and CG runs at the
largest tol of 1e-1, 3e-2, 1e-2, ... that reaches this (`tol` in the JSON); where sizes are compared
or costs counted, for slopes and the grid, at 1e-3 or less, which is that of `solver="auto"`. Times
are minima over rounds in which the solvers take turns; the peak of a square matrix product is
measured before each case.
"""

import argparse
import os
import sys

if __name__ == "__main__":  # before numpy is imported
    threads = argparse.ArgumentParser(add_help=False)
    threads.add_argument("--threads", default="1")
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = threads.parse_known_args()[0].threads

import time
import tracemalloc
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from _environment import environment
from _records import read, write
from _steps_report import print_report, save_plot

from sklearn_sketchgn import CG, SRHT, CountSketch, Direct, Gaussian
from sklearn_sketchgn._gram import sketched_outputs
from sklearn_sketchgn._network import initialise, initialise_paper
from sklearn_sketchgn.solvers._cg import _sketch_plan

AGREEMENT = 1e-3
TOLERANCES_OF_AUTO = (1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, *TOLERANCES_OF_AUTO)
SKETCHES = {"countsketch": CountSketch(), "srht": SRHT(), "gaussian": Gaussian()}
SOLVERS = ("direct", *SKETCHES, "kept")


@dataclass(frozen=True)
class Case:
    """One Jacobian: n rows, m neurons, d inputs.

    `paper` is the paper's network on rows of unit length, nearly undamped, only its hidden layer
    trained. Otherwise it is the regressor's own with its default damping, and d does not count
    the column of ones.
    """

    group: str
    n: int
    m: int
    d: int
    paper: bool = True
    dtype: str = "float32"
    rounds: int = 3
    solvers: tuple = SOLVERS

    def key(self):
        return f"{self.group} n={self.n} m={self.m} d={self.d} {self.dtype}"


def cases_of(group, full):
    """Return the cases of a group, cheapest first."""
    if group == "wide":
        cases = [Case("wide", 4096, 8192, 16)]
        return cases + [Case("wide", 8192, 16384, 32, rounds=2)] * full
    if group == "tall":
        cases = [Case("tall", 30_000, 50, 20, paper=False, rounds=1)]
        return cases + [Case("tall", 200_000, 200, 20, paper=False, rounds=1)] * full
    if group == "minibatch":
        return [Case("minibatch", 256, 256, d, False, t, 30, ("direct",)) for d, t in MINIBATCHES]
    if group == "slopes":
        return slope_cases(full)
    shapes = [(n, m, d) for n in (100, 500, 1000, 2000) for m in (64, 256, 1024) for d in (5, 50)]
    few = ("direct", "countsketch", "kept")
    return [
        Case("grid", n, m, d, False, dtype, 3, few)
        for dtype, more in (("float32", LARGER_THAN_GRID), ("float64", []))
        for n, m, d in [*shapes, *more]
    ]


MINIBATCHES = [(8, "float32"), (16, "float32"), (50, "float32"), (8, "float64")]
LARGER_THAN_GRID = [(8000, 64, 5), (8000, 64, 20), (3000, 2000, 10)]


def slope_cases(full):
    n, m, d = (4096, 8192, 16) if full else (2048, 4096, 16)
    few = ("direct", "kept")
    shapes = {(n, width, d) for width in (m // 4, m // 2, m, 2 * m)}
    shapes |= {(n, m, inputs) for inputs in (d // 2, d, 2 * d, 4 * d)}
    m_of_n = 32768 if full else 8192
    shapes |= {(2**i * (1000 if full else 500), m_of_n, d) for i in range(4)}
    return [Case("slopes", *shape, rounds=2, solvers=few) for shape in sorted(shapes)]


def problem(case):
    """Return the Jacobian before and after a full step, the right-hand sides and the ridge."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((case.n, case.d))
    if case.paper:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        network = initialise_paper(case.m, case.d, 1, rng)
        ridge = 5e-4  # a thousandth of the diagonal of J J', which is about 1/2
    else:
        rows = np.concatenate([rows, np.ones((case.n, 1))], axis=1)
        network = initialise(case.m, case.d + 1, 1, rng)
        ridge = 0.04 * case.n + 1.0  # damping and alpha at their starting values
    directions = rng.standard_normal((rows.shape[1], 4))
    signal = np.tanh(rows @ directions).sum(axis=1) + 0.2 * rng.standard_normal(case.n)
    targets = ((signal - signal.mean()) / signal.std())[:, None].astype(case.dtype)
    rows, network = rows.astype(case.dtype), network.astype(case.dtype)
    if not case.paper:
        # Steps on all rows come after steps on batches: settle the network on a few rows.
        few = slice(0, 1000)
        share = len(rows[few]) / case.n
        for _ in range(5):
            jacobian, residual = network.linearise(rows[few], targets[few])
            step = Direct().solve(Direct().prepare(jacobian), -residual, share * ridge).step
            network = network.with_parameters(network.parameters() + 0.5 * step)
    return network, rows, targets, float(ridge)


def sgemm_peak(dtype):
    """Return flops a second of a square product: of several sides, as not all fit in a cache."""
    rng = np.random.default_rng(0)
    rates = []
    for side in (256, 384, 512, 768, 1024):
        square = rng.standard_normal((side, side)).astype(dtype)
        rates.append(2 * side**3 / best_of(20, lambda square=square: square @ square))
    return max(rates)


def best_of(rounds, call):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


class Runner:
    """Runs one solver on one Jacobian; `previous` is the state of the step before."""

    def __init__(self, name, jacobian, rhs, ridge, previous, tolerances):
        self.tolerances = tolerances
        self.jacobian, self.rhs, self.ridge = jacobian, rhs, ridge
        self.solver = Direct() if name == "direct" else CG(tol=tolerances[0])
        self.sketch = SKETCHES.get(name, SKETCHES["countsketch"])
        self.previous = previous if name == "kept" else None

    def __call__(self):
        state = self.solver.prepare(
            self.jacobian,
            sketch=self.sketch,
            rng=np.random.default_rng(1),
            previous=self.previous,
        )
        return self.solver.solve(state, self.rhs, self.ridge)

    def agree(self, expected=None):
        """Lower tol until the step agrees with `expected`; return result, difference and bytes.

        The bytes are the peak of what a step allocates, and the kept factor with it.
        """
        kept = getattr(self.previous, "preconditioner", None)
        for tol in self.tolerances:
            if "tol" in self.solver.get_params():
                self.solver.set_params(tol=tol)
            tracemalloc.start()
            result = self()
            peak = tracemalloc.get_traced_memory()[1] + (0 if kept is None else kept.factor.nbytes)
            tracemalloc.stop()
            if expected is None:
                return result, 0.0, peak
            difference = np.linalg.norm(result.step - expected) / np.linalg.norm(expected)
            if difference <= AGREEMENT:
                return result, float(difference), peak
        raise RuntimeError(f"{self.solver!r}: step differs by {difference:.1e} from the direct one")


def measure(case):
    """Return the record of a case."""
    network, rows, targets, ridge = problem(case)
    before, residual = network.linearise(rows, targets)
    state = Direct().prepare(before)
    first = Direct().solve(state, -residual, ridge)
    moved = network.with_parameters(network.parameters() + first.step)
    flips = before.flips(moved.hidden)
    jacobian, residual = moved.linearise(rows, targets)
    tolerances = TOLERANCES if case.group in ("wide", "tall") else TOLERANCES_OF_AUTO
    runners = {s: Runner(s, jacobian, -residual, ridge, state, tolerances) for s in case.solvers}
    expected = None
    side, itemsize = min(jacobian.shape), rows.dtype.itemsize
    solvers = {}
    for name, run in runners.items():
        result, difference, peak_bytes = run.agree(expected)
        expected = result.step if expected is None else expected  # direct is the first
        solvers[name] = {
            "seconds": np.inf,
            "difference": difference,
            "iterations": result.n_iter,
            "message": result.message,
            "tol": run.solver.get_params().get("tol"),
            "peak_side_squared": peak_bytes / (side**2 * itemsize),
        }
    peak = sgemm_peak(case.dtype)
    for _ in range(case.rounds):
        for name, run in runners.items():
            solvers[name]["seconds"] = min(solvers[name]["seconds"], best_of(1, run))
    return {
        "case": {k: v for k, v in asdict(case).items() if k != "solvers"},
        "shape": list(jacobian.shape),
        "stable_rank": jacobian.stable_rank(),
        "flips": flips,
        "peak_gflops": peak / 1e9,
        "solvers": solvers,
        "parts": parts(jacobian, state, ridge),
    }


def parts(jacobian, state, ridge):
    """Return the seconds of the pieces that the cost model is made of."""
    dual = jacobian.shape[0] <= jacobian.shape[1]
    rng, rounds = np.random.default_rng(2), 5 if max(jacobian.shape) * jacobian.width < 1e9 else 2
    u = rng.standard_normal(jacobian.shape[0]).astype(jacobian.dtype)
    v = jacobian.rmatvec(u)
    rhs = u if dual else v
    found = {
        "matvec": best_of(rounds, lambda: jacobian.matvec(v)),
        "rmatvec": best_of(rounds, lambda: jacobian.rmatvec(u)),
        "triangular": best_of(rounds, lambda: state.preconditioner.apply(rhs)),
    }
    _, axis, size = _sketch_plan(jacobian, dual, CG().oversampling)
    if size < axis:
        sketch = SKETCHES["countsketch"].draw(size, axis, rng)
        apply = partial(sketched_outputs, jacobian) if dual else jacobian.sketched_rows
        found["sketch"] = best_of(2, lambda: apply(sketch))
    found["factor"] = best_of(2, lambda: Direct().solve(state, u, ridge))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, type=Path, help="JSON of records, extended")
    groups = ["wide", "tall", "slopes", "minibatch", "grid"]
    parser.add_argument("--cases", nargs="*", default=groups, choices=groups)
    parser.add_argument("--full", action="store_true", help="the largest sizes as well")
    parser.add_argument("--only", help="only cases whose name contains this")
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, help="only these (and direct)")
    parser.add_argument("--threads", default="1", help="BLAS threads, stated in the JSON")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    args = parser.parse_args()
    records = read(args.out, {"records": {}})["records"]
    for group in args.cases:
        for case in cases_of(group, args.full):
            if args.only and args.only not in case.key():
                continue
            if args.solvers:
                chosen = tuple(s for s in case.solvers if s in ("direct", *args.solvers))
                case = Case(**{**asdict(case), "solvers": chosen})
            start = time.perf_counter()
            records[case.key()] = measure(case) | {"threads": int(args.threads)}
            seconds = time.perf_counter() - start
            print(f"{case.key():45s} {seconds:6.1f} s in all", file=sys.stderr, flush=True)
            content = {
                "environment": environment([str(p) for p in (args.out, args.plot) if p]),
                "records": records,
            }
            write(args.out, content)
    print_report(list(records.values()))
    if args.plot:
        save_plot(list(records.values()), args.plot)


if __name__ == "__main__":
    main()
