"""Tables with splits, read from a folder that the caller names: the nine UCI tables, or others.

The splits of the nine are distributed under CC BY-NC: they are read where they lie, never copied.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

SMALL = ("yacht", "boston", "energy", "concrete", "wine")
LARGE = ("kin8nm", "power", "naval", "protein")
TABLES = SMALL + LARGE

# Test RMSE in units of y: one hidden layer, 4000 epochs and a search over dropout and precision
# (MC dropout); the best published figure for one hidden layer (wine: kernel ridge); our target.
PUBLISHED = {
    "yacht": {"mc-dropout": 0.67, "published": 0.48, "target": 0.50},
    "boston": {"mc-dropout": 2.90, "published": 2.65, "target": 2.55},
    "energy": {"mc-dropout": 0.54, "published": 0.42, "target": 0.39},
    "concrete": {"mc-dropout": 4.83, "published": 4.15, "target": 3.95},
    "wine": {"mc-dropout": 0.622, "published": 0.585, "target": 0.62},
    "kin8nm": {"mc-dropout": 0.0789, "published": 0.07, "target": 0.0715},
    "power": {"mc-dropout": 4.01, "published": 3.70, "target": 3.80},
    "naval": {"mc-dropout": 7.4e-4, "published": 7.4e-4, "target": 1.3e-4},
    "protein": {"mc-dropout": 4.27, "published": 3.85, "target": 3.95},
}


class Table(NamedTuple):
    """One data set: `test[i]` masks the test rows of split i."""

    X: np.ndarray  # (n_samples, n_features)
    y: np.ndarray  # (n_samples,)
    test: np.ndarray  # (n_splits, n_samples), bool

    def split(self, index):
        """Return X_train, y_train, X_test, y_test of one standard split."""
        test = self.test[index]
        return self.X[~test], self.y[~test], self.X[test], self.y[test]


def load_table(path, table):
    """Read one table from the folder `path`; its masks are stored as packed bits."""
    with np.load(Path(path) / f"{table}.npz") as stored:
        X, y = stored["X"], stored["y"]
        test = np.unpackbits(stored["test"], axis=1)[:, : len(y)].astype(bool)
    if X.shape[0] != y.shape[0] or not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise ValueError(f"{table}: X {X.shape} and y {y.shape} do not match or are not finite")
    return Table(X, y, test)


def tables_in(path):
    """Return the names of the tables in a folder: those of the nine first, in their order."""
    found = {file.stem for file in Path(path).glob("*.npz")}
    if not found:
        raise SystemExit(f"no .npz tables in {path}")
    return [*(t for t in TABLES if t in found), *sorted(found.difference(TABLES))]


def default_splits(table, n_splits, full=False):
    """Splits of a run: all of them, or 4 of a small table and 1 of a large one."""
    return list(range(n_splits if full else min(n_splits, 4 if table in SMALL else 1)))
