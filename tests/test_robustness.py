"""Tables that break regressors: sensible predictions of unseen rows, and no storm of warnings.

Sensible means finite, and an error on held-out rows at most 5 % above that of the mean of the
training targets. Warnings are errors in these tests, so that a fit that warns fails.
"""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from sklearn_sketchgn import SketchGNRegressor

N_SAMPLES, N_FITTED = 400, 280


def smooth(rng, n_samples=N_SAMPLES, n_features=4):
    """Two nonlinear terms and some noise: half of the variance and more can be predicted."""
    X = rng.standard_normal((n_samples, n_features))
    return X, np.sin(2 * X[:, 0]) + X[:, -1] ** 2 + 0.3 * rng.standard_normal(n_samples)


def constant_column(rng):
    X, y = smooth(rng)
    X[:, 1] = -3e5
    return X, y


def nearly_constant_column(rng):
    # Constant in the rows of the fit, and far from there in those to predict.
    X, y = smooth(rng)
    X[:, 1] = np.where(np.arange(len(y)) < N_FITTED, 1.0, 1e9)
    return X, y


def duplicated_columns(rng):
    X, y = smooth(rng)
    return np.hstack([X, X, -X[:, :2]]), y


def columns_of_all_scales(rng):
    X, y = smooth(rng)
    return X * np.array([1e6, 1.0, 1e-6, 1e12]) + np.array([1e9, 0.0, 1e-3, 0.0]), y


def huge_and_tiny_target(rng):
    X, y = smooth(rng)
    return X, np.column_stack([1e6 * y - 1e9, 1e-9 * y])


def outlying_inputs(rng):
    # A hundredth of the cells of the fitted rows, as wrong units or a slipped decimal point give.
    X, y = smooth(rng)
    X[:N_FITTED][rng.random((N_FITTED, 4)) < 0.01] *= 1e3
    return X, y


def outlying_inputs_to_predict(rng):
    # 999,999 for "unknown", where no row of the fit has it.
    X, y = smooth(rng)
    X[N_FITTED:][rng.random((N_SAMPLES - N_FITTED, 4)) < 0.01] = 999_999
    return X, y


def outlying_targets(rng):
    X, y = smooth(rng)
    y[::40] *= 1e3
    return X, y


def integer_categories(rng):
    # Levels without order, 70 rows each: a network sees a jagged function of one number.
    effect = rng.standard_normal((3, 4))
    X = rng.integers(0, 4, size=(N_SAMPLES, 3))
    return X, effect[[0, 1, 2], X].sum(axis=1) + 0.3 * rng.standard_normal(N_SAMPLES)


def many_integer_categories(rng):
    X = rng.integers(0, 50, size=(N_SAMPLES, 3))
    return X, rng.standard_normal((3, 50))[[0, 1, 2], X].sum(axis=1)


def noise(rng):
    return rng.standard_normal((N_SAMPLES, 8)), rng.standard_normal(N_SAMPLES)


TABLES = [
    constant_column,
    nearly_constant_column,
    duplicated_columns,
    columns_of_all_scales,
    huge_and_tiny_target,
    outlying_inputs,
    outlying_inputs_to_predict,
    outlying_targets,
    integer_categories,
    many_integer_categories,
    noise,
]
OUTLYING = [outlying_inputs, outlying_targets]
LEARNABLE = [constant_column, duplicated_columns, columns_of_all_scales]


def relative_error(X, y, n_fitted, **parameters):
    """Return the error on held-out rows relative to that of the mean, the worst output's."""
    few = {"width": 32, "max_iter": 300, "random_state": 0}
    model = SketchGNRegressor(**{**few, **parameters}).fit(X[:n_fitted], y[:n_fitted])
    predicted = model.predict(X[n_fitted:])
    assert np.isfinite(predicted).all()
    mean = y[:n_fitted].mean(axis=0)
    squares = [np.mean((guess - y[n_fitted:]) ** 2, axis=0) for guess in (predicted, mean)]
    return float(np.sqrt(np.max(squares[0] / squares[1])))


def name_of(table):
    return table.__name__


@pytest.mark.parametrize("encoding", [None, "auto"])
@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_sensible_predictions_of_unseen_rows(table, encoding, rng):
    # A fit that is cut short chooses the penalty by a shorter pilot, too short for outliers.
    steps = "auto" if table in OUTLYING else 300
    error = relative_error(*table(rng), N_FITTED, max_iter=steps, encoding=encoding)
    assert error <= 1.05


@pytest.mark.long
@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_sensible_predictions_at_the_default_width(table, rng):
    assert relative_error(*table(rng), N_FITTED, width=256, max_iter="auto") <= 1.05


@pytest.mark.parametrize("table", LEARNABLE, ids=name_of)
def test_what_can_be_learnt_is_learnt(table, rng):
    # The same rows without the difficulty: nothing may be lost to a constant or a unit.
    plain = relative_error(*smooth(np.random.default_rng(0)), N_FITTED)
    assert plain < 0.5
    assert relative_error(*table(rng), N_FITTED) < 1.2 * plain


@pytest.mark.parametrize("batch_size", ["auto", 64, None])
def test_constant_target(batch_size, rng):
    X, _ = smooth(rng)
    model = SketchGNRegressor(width=32, max_iter=60, batch_size=batch_size, random_state=0)
    model.fit(X[:N_FITTED], np.full(N_FITTED, -7.25))
    np.testing.assert_allclose(model.predict(X[N_FITTED:]), -7.25, rtol=1e-10)


@pytest.mark.parametrize("width", [6, 32])
@pytest.mark.parametrize("n_samples", [1, 2, 60])
def test_constant_target_of_few_rows_is_no_trouble(n_samples, width):
    # The error of the mean is 0, and that of any step a round-off: no reason to warn.
    X, y = load_diabetes().data[:n_samples], np.full(n_samples, 1 / 3)
    model = SketchGNRegressor(width=width, max_iter=12, alpha=1.0, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_twenty_rows(seed):
    # The mean of 20 rows is itself uncertain: noise is judged on many held-out rows.
    rng = np.random.default_rng(seed)
    assert relative_error(*smooth(rng, 1020), 20) <= 1.05
    # Of pure noise the mean is the best prediction; of 20 rows 10 judge that.
    X, y = rng.standard_normal((1020, 4)), rng.standard_normal(1020)
    assert relative_error(X, y, 20) <= 1.05


@pytest.mark.parametrize("seed", range(3))
def test_fewer_rows_than_columns(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((530, 60))
    y = X[:, :3].sum(axis=1) + 0.1 * rng.standard_normal(530)
    assert relative_error(X, y, 30) <= 1.0 + 1e-6
    # Noise, of which interpolation would give 1.4: fifteen judges find something in it by chance,
    # in some tables (docs/reliability.md).
    assert relative_error(X, rng.standard_normal(530), 30) <= 1.2


@pytest.mark.parametrize("outlier", [2.0**31 - 1, 1e20, 1e300])
def test_one_target_at_any_distance_is_held_off_by_the_huber_loss(outlier, rng):
    X = rng.standard_normal((400, 3))
    signal = X[:, 0] + np.sin(2 * X[:, 1])
    y = signal + 0.1 * rng.standard_normal(400)
    y[0] = outlier
    model = SketchGNRegressor(32, loss="huber", random_state=0).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert np.sqrt(np.mean((mean - signal)[1:] ** 2)) < 0.3
    assert 0.05 < np.median(std) < 0.5
