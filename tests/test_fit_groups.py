"""``groups`` in ``fit``: what is held out together, and what it does not depend on."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sketchgn import SketchGNRegressor, _calibration
from sklearn_sketchgn._early_stopping import hold_out
from sklearn_sketchgn._tables import Samples
from sklearn_sketchgn._validation import validate_training_data

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def quick(**parameters):
    return SketchGNRegressor(**{"width": 16, "max_iter": 120, "random_state": 0, **parameters})


def assert_same_fit(model, other, X):
    for found, expected in zip(
        model.predict(X, return_std=True), other.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def clustered(n_groups, seed, n_rows=8):
    """Return rows of which those of a group are nearly alike and share an error."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), n_rows)
    X = rng.random((n_groups, 4))[groups] + 0.02 * rng.standard_normal((len(groups), 4))
    error = 0.5 * rng.standard_normal(n_groups)[groups] + 0.05 * rng.standard_normal(len(groups))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + error, groups


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_groups_of_one_row_each_are_no_groups(loss, diabetes):
    X, y = diabetes
    model = quick(loss=loss).fit(X, y, groups=np.arange(len(y)))
    assert_same_fit(model, quick(loss=loss).fit(X, y), X)


def test_labels_are_no_numbers(diabetes):
    X, y = diabetes
    codes = np.random.default_rng(0).integers(0, 30, len(y))
    names = np.array([f"patient {(7 * code) % 30}" for code in codes])
    model = quick().fit(X, y, groups=codes)
    for labels in (names, names.astype(object), list(names), -1.5 * codes):
        assert_same_fit(quick().fit(X, y, groups=labels), model, X)
    assert not np.array_equal(model.predict(X), quick().fit(X, y).predict(X))


def test_weights_are_repetitions(diabetes):
    X, y = diabetes[0][:60], diabetes[1][:60]
    rng = np.random.default_rng(0)
    groups, times = rng.integers(0, 9, 60), rng.integers(0, 3, 60)
    again = np.repeat(np.arange(60), times)
    weighted = quick(max_iter=40).fit(X, y, times, groups=groups)
    repeated = quick(max_iter=40).fit(X[again], y[again], groups=groups[again])
    assert weighted.alpha_ == pytest.approx(repeated.alpha_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_weights_are_repetitions_whatever_the_size_of_a_group(seed):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(70, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.3 * rng.normal(size=70)
    times, groups = rng.integers(1, 3, 70), rng.integers(0, 8, 70)
    again = np.repeat(np.arange(70), times)
    model = quick(width=8, max_iter=60, random_state=seed)
    weighted = model.fit(X, y, times, groups=groups)
    repeated = quick(**model.get_params()).fit(X[again], y[again], groups=groups[again])
    assert weighted.alpha_ == pytest.approx(repeated.alpha_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_new_groups_are_covered():
    X, y, groups = clustered(60, seed=0)
    X_new, y_new, _ = clustered(100, seed=1)

    def coverage(labels):
        model = quick(width=64, max_iter=600).fit(X, y, groups=labels)
        mean, std = model.predict(X_new, return_std=True)
        return np.mean(np.abs(y_new - mean) < 1.645 * std)

    assert coverage(None) < 0.6  # 0.38 when this was written
    assert coverage(groups) > 0.8  # 0.92


def test_an_error_of_a_group_counts_once(monkeypatch):
    judged = []
    original = _calibration._calibrated

    def calibrated(posterior, rows, judges, weights, *args):
        judged.append((judges.groups, weights))
        return original(posterior, rows, judges, weights, *args)

    monkeypatch.setattr(_calibration, "_calibrated", calibrated)
    X, y, groups = clustered(30, seed=0)
    quick(alpha=1.0).fit(X, y, groups=groups)
    ((found, weights),) = judged
    assert np.bincount(found, minlength=30).tolist().count(8) == 5
    assert weights.sum() == pytest.approx(5)


@pytest.mark.parametrize(("n_groups", "expected"), [(2, 1), (30, 8)])
def test_early_stopping_holds_out_groups(n_groups, expected):
    X, y, groups = clustered(n_groups, seed=0)
    samples = Samples(X, y[:, None], np.ones(len(y)), groups)
    kept, held_out = hold_out(samples, 0.25, np.random.default_rng(0))
    assert len(np.unique(held_out.groups)) == expected
    assert not np.intersect1d(kept.groups, held_out.groups).size
    assert len(kept.y) + len(held_out.y) == len(y)
    assert np.all(np.diff(kept.groups) >= 0)  # in the order of the table
    model = quick(early_stopping=True, validation_fraction=0.25)
    assert model.fit(X, y, groups=groups).validation_loss_curve_


def test_two_groups_are_enough():
    X, y, groups = clustered(2, seed=0, n_rows=30)
    model = quick().fit(X, y, groups=groups)
    mean, std = model.predict(X, return_std=True)
    assert np.isfinite(mean).all()
    assert (std > 0).all()


def test_groups_that_cannot_be(diabetes):
    X, y = diabetes
    halves = np.r_[np.zeros(200), np.ones(242)]
    for groups, weights, match in [
        (np.zeros(442), None, r"`groups` has one label only, 0\.0, among the rows of positive"),
        (halves, halves, r"`groups` has one label only, 1\.0, among the rows of positive"),
        (np.arange(441), None, r"`groups` has shape \(441,\); expected \(442,\)"),
        (np.zeros((442, 2)), None, r"`groups` has shape \(442, 2\); expected \(442,\)"),
        (np.array([1, "a"] * 221, dtype=object), None, "labels of several types"),
        (np.r_[np.nan, np.arange(441)], None, "`groups` has 1 missing labels"),
    ]:
        with pytest.raises(ValueError, match=match):
            quick().fit(X, y, weights, groups=groups)


@pytest.mark.parametrize(
    "missing",
    [
        [None, "a", "b"],
        np.array([np.nan, "a", "b"], dtype=object),
        np.array(["NaT", "2020", "2021"], dtype="datetime64[D]"),
        np.ma.array([1, 2, 3], mask=[True, False, False]),
        ["a", np.nan, "b"],
        [1, float("nan"), 2],
        ["a", pd.NA, "b"],
        np.array(["a", pd.NA, "b"], dtype=object),
        np.array([1.0, np.nan, 2.0]),
        pd.Series([pd.NA, "a", "b"], dtype="string"),
        pd.Series(pd.Categorical([None, "a", "b"])),
        pd.MultiIndex.from_arrays([["a", "b", "c"], [np.nan, 1.0, 2.0]]),
        pd.Series([("a", None), ("a", 1), ("b", 1)]),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_missing_labels_are_counted(missing):
    with pytest.raises(ValueError, match="`groups` has 1 missing labels; expected one for each"):
        quick().fit(np.eye(3), np.arange(3.0), groups=missing)


class Foreign:
    """A series of another library: a dtype that numpy does not know, and an array of objects."""

    dtype = "String"

    def __init__(self, labels):
        self.labels = labels

    def __array__(self, dtype=None, copy=None):
        return np.array(self.labels, dtype=object)


def test_labels_of_other_libraries(diabetes):
    X, y = diabetes
    labels = [f"group {i % 9}" for i in range(len(y))]
    model = quick().fit(X, y, groups=Foreign(labels))
    assert_same_fit(model, quick().fit(X, y, groups=labels), X)
    with pytest.raises(ValueError, match="`groups` has 1 missing labels"):
        quick().fit(X, y, groups=Foreign([None, *labels[1:]]))


def test_labels_of_pandas_are_told_apart():
    # As floats the first two would be one.
    large = pd.Series([2**53, 2**53 + 1, 2**53 + 2] * 2, dtype="Int64", index=range(5, 11))
    pairs = pd.MultiIndex.from_arrays([[0, 0, 1] * 2, [0, 1, 0] * 2])
    for labels in (large, pd.Series(pd.Categorical(list("abcabc"))), pairs):
        samples, _ = validate_training_data(quick(), np.eye(6), np.arange(6.0), None, labels)
        np.testing.assert_array_equal(samples.groups, [0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("seed", range(8))
def test_early_stopping_leaves_half_of_the_rows(seed):
    samples = Samples(np.eye(300), np.zeros((300, 1)), np.ones(300), np.r_[0, np.ones(299, int)])
    kept, held_out = hold_out(samples, 0.1, np.random.default_rng(seed))
    assert (len(kept.y), len(held_out.y)) == (299, 1)


def test_early_stopping_needs_a_group_to_train_on():
    X, y, groups = clustered(2, seed=0)
    model = quick(early_stopping=True, validation_fraction=0.6)
    with pytest.raises(ValueError, match="leaves no group to train on: got n_groups=2"):
        model.fit(X, y, groups=groups)


def test_groups_of_a_split_reach_the_fit(diabetes):
    X, y = diabetes
    groups = np.arange(442) % 30
    train, test = next(GroupKFold(3).split(X, y, groups))
    expected = quick().fit(X[train], y[train], groups=groups[train]).score(X[test], y[test])
    plain = cross_validate(
        quick(), X, y, groups=groups, cv=GroupKFold(3), params={"groups": groups}
    )
    assert plain["test_score"][0] == expected
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(StandardScaler(), quick().set_fit_request(groups=True))
        search = GridSearchCV(model, {"sketchgnregressor__width": [16]}, cv=GroupKFold(3))
        search.fit(X, y, groups=groups)
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(expected, rel=1e-6)
