"""What the standard deviation is calibrated by: the ridge, and the basis of the correction."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_diabetes

from sklearn_sketchgn import SketchGNRegressor, _calibration, _posterior
from sklearn_sketchgn._error_scale import fit_error_scale
from sklearn_sketchgn._tangent_kernel import TangentKernel


@pytest.mark.parametrize("informative", [False, True])
def test_of_likely_ridges_the_smallest_is_taken(informative, rng):
    # Fifty rows whose squares say nothing of the ridge: the posterior is a point, whatever the
    # prior. Or they are alike where the prior alone would make them differ by far.
    coordinates = np.exp(2 * rng.standard_normal((50, 1)))
    diagonal, errors = coordinates[:, 0] ** 2, rng.standard_normal((50, 1)) ** 2
    eigenvalues = np.zeros(1) if informative else np.full(1, 1e12)
    ridge, spread = _calibration._choose_ridge(
        coordinates, eigenvalues, diagonal, np.ones((50, 1)), errors, np.ones(50)
    )
    # A ridge under which the prior deviation of f is 10 target deviations on an average row.
    widest = diagonal.mean() * errors.mean() / 10**2
    if informative:
        assert ridge > 50 * widest
        assert np.median(spread) < 1.1
    else:
        assert ridge == pytest.approx(widest)
        np.testing.assert_allclose(spread, 1, rtol=1e-6)


def test_the_ridge_is_the_first_within_two_nats_of_the_most_likely():
    rng = np.random.default_rng(1)
    coordinates = np.exp(0.7 * rng.standard_normal((60, 1)))
    diagonal = coordinates[:, 0] ** 2
    errors = (1 + 0.3 * diagonal) * rng.standard_normal(60) ** 2
    ridges = diagonal.mean() * errors.mean() / np.logspace(1, -1, 17) ** 2
    likelihoods = []
    for ridge in ridges:
        spread = 1 + diagonal / ridge
        variance = np.mean(errors / spread) * spread
        likelihoods.append(norm.logpdf(np.sqrt(errors), scale=np.sqrt(variance)).sum())
    best = np.argmax(likelihoods)
    first = np.argmax(likelihoods >= likelihoods[best] - 2)
    assert 0 < first < best < 16
    found, spread = _calibration._choose_ridge(
        coordinates, np.zeros(1), diagonal, np.ones((60, 1)), errors[:, None], np.ones(60)
    )
    assert found == pytest.approx(ridges[first])
    np.testing.assert_allclose(spread[:, 0], 1 + diagonal / ridges[first])


@pytest.mark.filterwarnings("ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
def test_held_out_rows_that_are_easy_make_no_interval_too_small(loss, rng, monkeypatch):
    original = _calibration._unseen

    def easy(*args):
        held_out, judges, errors = original(*args)
        return held_out, judges, 1e-4 * errors

    monkeypatch.setattr(_calibration, "_unseen", easy)
    X = rng.standard_normal((200, 2))
    y = rng.poisson(np.exp(X[:, 0])) if loss == "poisson" else X[:, 0] + rng.standard_normal(200)
    model = SketchGNRegressor(width=8, max_iter=60, alpha=1.0, loss=loss, random_state=0).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert 0.8 < np.mean(np.abs(y - mean) <= 1.645 * std) < 0.97


def test_one_training_row_far_off_widens_nothing(rng):
    squares, weight = rng.standard_normal((200, 2)) ** 2, rng.integers(1, 4, 200)
    far = squares.copy()
    far[np.argmax(squares[:, 0]), 0] = 1e9
    noise = _calibration._least_variance(squares, weight)
    np.testing.assert_array_equal(_calibration._least_variance(far, weight), noise)
    repeated = _calibration._least_variance(
        np.repeat(squares, weight, axis=0), np.ones(weight.sum())
    )
    np.testing.assert_allclose(repeated, noise, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning")
def test_the_correction_is_the_fitted_one(monkeypatch):
    # It is fitted in one basis of the span and kept in another.
    judged = []

    original = _calibration._calibrated

    def calibrated(posterior, rows, judges, *args):
        judged.append(judges.unweighted(judges.rows))
        return original(posterior, rows, judges, *args)

    def scale(coordinates, squares, weights):
        found = fit_error_scale(coordinates, squares, weights)
        judged.append(coordinates @ found[1])
        return found

    # With as many inducing rows as rows the two bases are one.
    monkeypatch.setattr(_posterior, "_INDUCING", 20)
    monkeypatch.setattr(_calibration, "_calibrated", calibrated)
    monkeypatch.setattr(_calibration, "fit_error_scale", scale)
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = SketchGNRegressor(width=8, max_iter=60, alpha=0.1, random_state=0).fit(X, y)
    state, (rows, expected) = model._uncertainty, judged
    network = state.scaling.unfold(model.coefs_, model.intercepts_)
    coordinates = TangentKernel.of(network)(rows, state.inducing) @ state.projection
    np.testing.assert_allclose(coordinates @ state.log_weights, expected, atol=1e-8)
    assert np.ptp(expected) > 0.01


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "there was not enough memory to estimate one"),
        (np.linalg.LinAlgError("no digits"), r"a factorisation failed .* \(no digits\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fit_is_not_lost_for_want_of_a_standard_deviation(error, reason, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(_calibration, "_fit", fail)
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(8, max_iter=60, alpha=0.1, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.3
    with pytest.raises(ValueError, match=f"no standard deviation, because {reason}"):
        model.predict(X, return_std=True)
