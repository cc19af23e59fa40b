"""Table 1 of the paper as an experiment: one network, one data set, every method of the table.

    python benchmarks/table1.py --out table1.json
        the rows of the table and ours: iterations and seconds to a loss of 1e-2, 1e-4 and 1e-6 of
        the first one, and slopes of the cost of an iteration in m and in n: about ten minutes
    python benchmarks/table1.py --out table1.json --methods peers
        Adam, L-BFGS, SOAP, Shampoo, K-FAC and dense Levenberg-Marquardt (extra `bench`)
    python benchmarks/table1.py --out table1.json --methods
        nothing is run: the tables from the JSON

The network is the paper's: m neurons, W ~ N(0, 1), a = +-1/sqrt(m) fixed, only W trained, on n
rows of unit length with d inputs and a smooth target with noise. `ours` is the package's `CG`
solver at tol 1e-3 without penalty, damped by 1e-6 of the mean of diag(J J'), as the Gram matrix of
the baselines is; it keeps its factor from step to step, and its sketches are CountSketches.
float32, one thread. A method that is not at the loss after `--budget` processor seconds has not
reached it. `peers` take full-batch steps on the same network, at their default settings.
The JSON keeps all records; a method that is run again replaces its record.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np
from _environment import environment
from _records import read, write
from _trace import OutOfBudget, Trace, first_time
from baselines import BASELINES

from sklearn_sketchgn import CG, CountSketch
from sklearn_sketchgn._network import Network, initialise_paper

LEVELS = (1e-2, 1e-4, 1e-6)
PEERS = ("torch-adam", "torch-lbfgs", "soap", "shampoo", "kfac", "lm")
TABLE = (*BASELINES, "ours")
GROUPS = {"table": TABLE, "peers": PEERS}
# Sizes of the run to a loss, and of the slopes: the size that varies, the other held.
N, M, D = 500, 4096, 16
SLOPES = {"m": ((1024, 2048, 4096, 8192), 500), "n": ((125, 250, 500, 1000), 4096)}
MOST_ITERATIONS = 100_000
_RIDGE = 1e-6


def problem(n, m, d=D):
    """Return the network's W and a, the rows and the targets, float32."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    network = initialise_paper(m, d, 1, rng)
    signal = np.tanh(3 * rows @ rng.standard_normal((d, 4))).sum(axis=1)
    targets = signal + 0.1 * signal.std() * rng.standard_normal(n)
    targets = (targets - targets.mean()) / targets.std()
    arrays = network.hidden, network.output[:, 0], rows, targets
    return tuple(a.astype(np.float32) for a in arrays)


def ours(hidden, output, rows, targets, state=None):
    """One step of the package's `CG`, with the factor that it keeps."""
    network = Network(hidden, output[:, None], np.zeros(1, np.float32), train_output=False)
    jacobian, residual = network.linearise(rows, targets[:, None])
    solver, rng = CG(tol=1e-3), np.random.default_rng(0)
    state = solver.prepare(jacobian, sketch=CountSketch(), rng=rng, previous=state)
    mean = float(np.mean(output**2)) * hidden.shape[0] / 2  # of diag(J J'), half of them active
    result = solver.solve(state, -residual, _RIDGE * mean)
    return hidden + result.step.reshape(hidden.shape), state


class Run:
    """Steps of one method on one problem; `hidden()` is the W that it has reached."""

    def __init__(self, method, arrays):
        self.start, self.output, self.rows, self.targets = arrays
        self.W, self.state, self.module = self.start.copy(), None, None
        self.step_of = {**BASELINES, "ours": ours}.get(method)
        if self.step_of is None:
            import _peers
            import torch

            torch.manual_seed(0)
            self.module = _peers.layers(self.start.T, self.output[:, None])
            self.step_of_module = _peers.PEERS[method](self.module)
            self.tensors = torch.as_tensor(self.rows), torch.as_tensor(self.targets[:, None])

    def step(self):
        if self.module is None:
            data = self.output, self.rows, self.targets
            self.W, self.state = self.step_of(self.W, *data, self.state)
        else:
            self.step_of_module(*self.tensors)

    def hidden(self):
        return self.W if self.module is None else self.module[0].weight.detach().numpy()

    def loss(self):
        """Return 1/2 ||f - y||^2 in float64; infinite where it is not finite."""
        W = self.hidden().astype(np.float64)
        values = np.maximum(self.rows @ W.T, 0) @ self.output
        loss = 0.5 * float(np.sum((values - self.targets) ** 2))
        return loss if np.isfinite(loss) else float("inf")


def descend(method, budget, n):
    """Return the course of the loss, over the first loss, until the last level or the budget."""
    arrays = problem(n, M)
    warm = Run(method, problem(64, 128))
    warm.step()
    run, trace, ended = Run(method, arrays), Trace(budget), "all levels reached"
    first = run.loss()
    trace.start()
    try:
        for iteration in range(1, MOST_ITERATIONS + 1):
            run.step()
            trace.note(iteration, lambda: run.loss() / first)
            if trace.errors[-1] <= LEVELS[-1]:
                break
            if not np.isfinite(trace.errors[-1]):
                ended = "diverged"
                break
        else:
            ended = "iterations"
    except OutOfBudget:
        ended = "budget"
    if np.array_equal(run.hidden(), arrays[0]):
        if iteration > 2:
            raise RuntimeError(f"{method} took no step")
        ended = "budget before its first step"  # SOAP's first call factors only
    return trace.record() | {"ended": ended, "budget": budget, "n": n}


def iteration_seconds(method, n, m, rounds=2):
    """Return the least processor seconds of the iterations after the first."""
    run = Run(method, problem(n, m))
    run.step()  # its factor, or its buffers, come once
    found = []
    for _ in range(rounds):
        start = time.process_time()
        run.step()
        found.append(time.process_time() - start)
    return min(found)


def slopes(method):
    """Return the seconds of an iteration over each size, and the fitted log-log slope."""
    found = {}
    for size, (values, held) in SLOPES.items():
        shapes = [(v, held) if size == "n" else (held, v) for v in values]
        seconds = [iteration_seconds(method, *shape) for shape in shapes]
        slope = float(np.polyfit(np.log(values), np.log(seconds), 1)[0])
        found[size] = {"sizes": values, "held": held, "seconds": seconds, "slope": slope}
    return found


def print_report(records):
    print(f"\nm={M}, d={D}: iterations and processor seconds to a share of the first loss")
    for method, record in records.items():
        cells = []
        for level in LEVELS:
            seconds = first_time(record, level)
            count = first_time(record, level, "steps")
            reached = np.isfinite(seconds)
            cells.append(f"{count:6.0f} {seconds:8.2f} s" if reached else f"{'-':>6s} {'-':>10s}")
        least = min(record["errors"])
        size = f"n={record['n']}"
        print(f"  {method:26s} {size:7s} {'  '.join(cells)}  least {least:.1e}, {record['ended']}")
    print("\nseconds of an iteration and slopes of log(seconds)")
    for method, record in records.items():
        for size, found in record.get("slopes", {}).items():
            seconds = " ".join(f"{s:.4f}" for s in found["seconds"])
            sizes = " ".join(map(str, found["sizes"]))
            print(f"  {method:26s} {size} = {sizes}: {seconds}  slope {found['slope']:.2f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*TABLE, *PEERS, *GROUPS]
    parser.add_argument("--out", required=True, type=Path, help="JSON of records, extended")
    parser.add_argument("--methods", nargs="*", default=["table"], choices=names, metavar="M")
    parser.add_argument("--budget", type=float, default=60.0, help="processor seconds a method")
    parser.add_argument("--n", type=int, default=N, help="rows of the run to a loss")
    parser.add_argument("--no-slopes", action="store_true", help="no cost against m and n")
    args = parser.parse_args()
    records = read(args.out, {"records": {}})["records"]
    for method in dict.fromkeys(m for name in args.methods for m in GROUPS.get(name, [name])):
        try:
            record = descend(method, args.budget, args.n)
            if not args.no_slopes:
                record["slopes"] = slopes(method)
        except ImportError as error:
            print(f"{method} left out: {error}")
            continue
        records[method] = record
        print(f"{method}: {record['steps'][-1]} iterations, {record['ended']}", flush=True)
        content = {"environment": environment([str(args.out)]), "records": records}
        write(args.out, content)
    order = [m for m in (*TABLE, *PEERS) if m in records]
    print_report({m: records[m] for m in order})


if __name__ == "__main__":
    main()
