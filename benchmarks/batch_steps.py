"""What a step on a batch is made of: matrix products, and all the rest.

    python benchmarks/batch_steps.py --out batch_steps.json

Times whole steps as a fit takes them (linearise, form and factor the matrix, solve, try the move,
write the record), and in a second run every matrix product in them. Prints the products' share of
the peak of a square product, which is measured before each case, and the time of everything else
over theirs. Steps are checked before they are timed: the objective of the batch has to fall. One
BLAS thread; times are medians over steps.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
from _environment import environment
from _records import write
from steps import best_of, sgemm_peak

from sklearn_sketchgn import CountSketch, Direct
from sklearn_sketchgn import _gram as gram_module
from sklearn_sketchgn import _jacobian as jacobian_module
from sklearn_sketchgn import _network as network_module
from sklearn_sketchgn._batch_phase import _batch_step
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn._training import AUTO_DAMPING, Training
from sklearn_sketchgn._training_data import TrainingData

# Rows, neurons, inputs: a group of a small table, and the network of a large one.
CASES = [
    (rows, width, inputs, dtype)
    for rows, width in ((128, 64), (256, 256))
    for inputs, dtype in ((8, "float32"), (16, "float32"), (50, "float32"), (8, "float64"))
]


def batch(n_rows, width, n_inputs, dtype):
    """Return a fit at its start and the batch that it takes all its steps on."""
    rng = np.random.default_rng(0)
    rows = np.hstack([rng.standard_normal((n_rows, n_inputs)), np.ones((n_rows, 1))]).astype(dtype)
    targets = np.tanh(rows @ rng.standard_normal((n_inputs + 1, 3))).sum(axis=1, keepdims=True)
    training = Training(
        network=initialise(width, n_inputs + 1, 1, rng).astype(dtype),
        alpha=1.0,
        damping=AUTO_DAMPING,
        momentum=0.9,
        solver=Direct(),
        sketch=CountSketch(),
        rng=rng,
        total_weight=4.0 * n_rows,
        output_scale=np.ones(1),
    )
    return training, TrainingData(rows, targets.astype(dtype), np.ones(n_rows, dtype=dtype))


class Clock:
    """Adds up the seconds and the flops of the products that go through it."""

    def __init__(self):
        self.seconds = self.flops = 0.0

    def around(self, function, flops):
        def clocked(*arrays, **options):
            start = time.perf_counter()
            result = function(*arrays, **options)
            self.seconds += time.perf_counter() - start
            self.flops += flops(*arrays)
            return result

        return clocked


def product_flops(left, right, *_):
    return 2.0 * left.size * (right.shape[1] if right.ndim == 2 else 1)


def outer_flops(lower, factor):
    return float(factor.shape[1]) * len(lower) ** 2


def measure(case, n_steps):
    """Return the record of a case."""
    training, data = batch(*case)
    peak = sgemm_peak(case[-1])
    for _ in range(30):
        _batch_step(training, data, None, 0.1)
    objective = training.history["objective"]
    if not objective[-1] < 0.5 * objective[0]:
        raise RuntimeError(f"the objective went from {objective[0]:.3g} to {objective[-1]:.3g}")
    steps = [best_of(1, lambda: _batch_step(training, data, None, 0.01)) for _ in range(n_steps)]
    products, flops = [], 0.0
    clock = Clock()
    with ExitStack() as patches:
        for module, name, count in (
            (jacobian_module, "product", product_flops),
            (network_module, "product", product_flops),
            (gram_module, "product", product_flops),
            (gram_module, "add_outer", outer_flops),
        ):
            clocked = clock.around(getattr(module, name), count)
            patches.enter_context(patch.object(module, name, clocked))
        for _ in range(n_steps):
            clock.seconds = clock.flops = 0.0
            _batch_step(training, data, None, 0.01)
            products.append(clock.seconds)
            flops = clock.flops
    step, product = float(np.median(steps)), float(np.median(products))
    return {
        "case": case,
        "peak_gflops": peak / 1e9,
        "step_seconds": step,
        "product_seconds": product,
        "product_share_of_peak": flops / product / peak,
        "rest_over_products": (step - product) / product,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, type=Path, help="JSON of records")
    parser.add_argument("--steps", type=int, default=500, help="steps that are timed, twice")
    options = parser.parse_args()
    records = []
    print("rows width inputs dtype    peak GF  step ms  products ms  of peak  rest / products")
    for case in CASES:
        record = measure(case, options.steps)
        records.append(record)
        print(
            f"{case[0]:4d} {case[1]:5d} {case[2]:6d} {case[3]} {record['peak_gflops']:8.0f}"
            f" {1e3 * record['step_seconds']:8.2f} {1e3 * record['product_seconds']:12.2f}"
            f" {record['product_share_of_peak']:8.0%} {record['rest_over_products']:16.2f}",
            flush=True,
        )
    content = {"environment": environment([str(options.out)]), "records": records}
    write(options.out, content)


if __name__ == "__main__":
    main()
