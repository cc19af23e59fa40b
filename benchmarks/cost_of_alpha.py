"""What alpha="auto" costs: the share of a fit that goes into the choice itself.

    python benchmarks/cost_of_alpha.py --data FOLDER        one minute

The choice is the sensitivity of the parameters to alpha, which is followed along the first cycle
(a solve more a step), the judges' errors, and what is moved by them: alpha, the damping and the
penalty of columns. The steps that a default fit takes beyond those of a number for alpha, because
the judges still gain, train the network, and are in the last column: the time of the whole fit over
that of one with `alpha_`. First split of each table, processor seconds, one BLAS thread. A fit
that is looked into must give the predictions of one that is not, before its seconds count.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _data import load_table, tables_in

from sklearn_sketchgn import SketchGNRegressor
from sklearn_sketchgn._groups import Group
from sklearn_sketchgn._penalty import PenaltySearch

# All that a fit calls for the sake of the choice.
CHOICE = [
    (Group, ("follow",)),
    (
        PenaltySearch,
        (
            "__init__",
            "adjust",
            "asks_for_more",
            "error",
            "suit_the_columns",
            "suit_the_mean",
            "suit_the_noise",
        ),
    ),
]


class Stopwatch:
    """Processor seconds in functions that may call each other."""

    def __init__(self):
        self.seconds, self._running = 0.0, False

    def timed(self, function):
        def call(*args, **kwargs):
            if self._running:
                return function(*args, **kwargs)
            self._running, start = True, time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - start
                self._running = False

        return call


@contextmanager
def watched(watch):
    """Have a stopwatch run in everything that makes the choice."""
    originals = [(owner, name, vars(owner)[name]) for owner, names in CHOICE for name in names]
    for owner, name, function in originals:
        setattr(owner, name, watch.timed(function))
    try:
        yield
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


def fit(X, y, alpha="auto"):
    """Return the fitted model and its processor seconds."""
    start = time.process_time()
    model = SketchGNRegressor(alpha=alpha, random_state=0).fit(X, y)
    return model, time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--tables", nargs="+", help="only these")
    options = parser.parse_args()
    print(f"{'table':12s} {'seconds':>8s} {'the choice':>10s} {'over a given alpha':>19s}")
    shares, ratios = [], []
    for table in options.tables or tables_in(options.data):
        X, y, X_test, _ = load_table(options.data, table).split(0)
        plain, _ = fit(X, y)
        watch = Stopwatch()
        with watched(watch):
            model, seconds = fit(X, y)
        np.testing.assert_array_equal(model.predict(X_test), plain.predict(X_test))
        _, given = fit(X, y, model.alpha_)
        shares.append(watch.seconds / seconds)
        ratios.append(seconds / given)
        print(f"{table:12s} {seconds:8.2f} {shares[-1]:10.0%} {ratios[-1]:19.2f}", flush=True)
    average = np.exp(np.mean(np.log(ratios)))
    print(f"{'':12s} {'':8s} {min(shares):4.0%}-{max(shares):4.0%} {average:20.2f}")


if __name__ == "__main__":
    main()
