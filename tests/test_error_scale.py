"""The log-linear model of squared errors."""

import numpy as np
import pytest
from scipy.linalg import cho_factor
from scipy.optimize import minimize

from sklearn_sketchgn._error_scale import _maximise, fit_error_scale


def table(rng, n_samples=200, n_outputs=2):
    """Coordinates, squared errors of a scale that depends on the first of them, and weights."""
    coordinates = rng.standard_normal((n_samples, 3)) * [1.0, 0.3, 0.1]
    scale = np.exp(np.outer(coordinates[:, 0], [0.8, -0.4])[:, :n_outputs])
    squares = scale * rng.standard_normal((n_samples, n_outputs)) ** 2
    return coordinates, squares, rng.integers(1, 4, size=n_samples).astype(float)


def most_likely(coordinates, squares, weights):
    """Return slopes and logarithms of the level by the definition of the likelihood."""
    # The prior: g has the deviation 0.5 on an average row.
    size = np.average((coordinates**2).sum(axis=1), weights=weights)
    found = []
    for column in squares.T:

        def misfit(parameters, column=column):
            slope, log_level = parameters[:-1], parameters[-1]
            logs = coordinates @ slope + log_level
            fit = weights @ (logs + column * np.exp(-logs))
            return 0.5 * (fit + size / 0.5**2 * slope @ slope)

        start = np.append(np.zeros(coordinates.shape[1]), np.log(np.average(column)))
        found.append(minimize(misfit, start, method="BFGS", options={"gtol": 1e-7}).x)
    return np.array(found).T[:-1], np.array(found)[:, -1]


def test_it_is_the_most_likely(rng):
    coordinates, squares, weights = table(rng)
    _, slopes, _ = fit_error_scale(coordinates, squares, weights)
    expected, _ = most_likely(coordinates, squares, weights)
    np.testing.assert_allclose(slopes, expected, rtol=1e-3, atol=1e-4)


def test_one_error_far_out_does_not_lead_astray(rng):
    coordinates, squares, weights = table(rng, 60, 1)
    coordinates[0], squares[0] = [6.0, 0.0, 0.0], 1e5
    _, slopes, _ = fit_error_scale(coordinates, squares, weights)
    expected, _ = most_likely(coordinates, squares, weights)
    np.testing.assert_allclose(slopes, expected, rtol=1e-2, atol=1e-2)


def test_the_level_is_raised_by_the_effective_number_of_parameters(rng):
    coordinates, squares, weights = table(rng, 30)
    level, _, _ = fit_error_scale(coordinates, squares, weights)
    _, logs = most_likely(coordinates, squares, weights)
    size = np.average((coordinates**2).sum(axis=1), weights=weights)
    F = np.hstack([coordinates, np.ones((30, 1))])
    information = 0.5 * F.T @ (weights[:, None] * F)
    prior = np.diag([size / 0.5**2] * 3 + [0])
    gamma = np.trace(np.linalg.solve(information + prior, information))
    assert gamma < 3.5
    np.testing.assert_allclose(level, np.exp(logs) * (1 + 2 * gamma / weights.sum()), rtol=1e-3)


def test_it_finds_the_scale_of_many_errors(rng):
    coordinates, squares, weights = table(rng, 20_000)
    level, slopes, limits = fit_error_scale(coordinates, squares, weights)
    # A log-variance has a standard error of sqrt(2 / n), times the weights' design effect of 1.2.
    np.testing.assert_allclose(slopes[0], [0.8, -0.4], atol=0.06)
    np.testing.assert_allclose(level, 1, atol=0.06)
    g = coordinates @ slopes
    np.testing.assert_array_equal(limits, [g.min(axis=0), g.max(axis=0)])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_coordinates_does_not_matter(unit, rng):
    coordinates, squares, weights = table(rng)
    level, slopes, limits = fit_error_scale(coordinates, squares, weights)
    found = fit_error_scale(unit * coordinates, unit * squares, weights)
    np.testing.assert_allclose(found[0], unit * level, rtol=1e-6)
    np.testing.assert_allclose(unit * found[1], slopes, rtol=1e-6)
    np.testing.assert_allclose(found[2], limits, rtol=1e-6)


def test_weights_are_repetitions(rng):
    coordinates, squares, weights = table(rng)
    times = weights.astype(int)
    repeated = (np.repeat(values, times, axis=0) for values in (coordinates, squares))
    weighted = fit_error_scale(coordinates, squares, weights)
    for value, expected in zip(
        weighted, fit_error_scale(*repeated, np.ones(times.sum())), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_squares_are_not_underestimated_on_other_rows():
    # Many coordinates, few errors, and nothing to find: what was fitted is too small on its own
    # rows. In the likelihood of other rows a level of the right size wins over one that is not
    # raised. 200 tables: a standard error of 0.01 in the mean of log E[squares] = 0.
    logs = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        coordinates, squares = rng.standard_normal((40, 10)), rng.standard_normal((40, 1)) ** 2
        level, slopes, _ = fit_error_scale(coordinates, squares, np.ones(40))
        others = rng.standard_normal((400, 10)) @ slopes[:, 0]
        logs.append(np.mean(np.exp(-others)) / level[0])
    # E[squares / predicted] = 1 is where the likelihood of other rows is largest in the level.
    assert 0.9 < np.mean(logs) < 1.1


def test_no_errors_and_no_coordinates():
    level, slopes, limits = fit_error_scale(np.zeros((5, 2)), np.zeros((5, 1)), np.ones(5))
    assert level == 0 and (slopes == 0).all() and (limits == 0).all()
    level, slopes, _ = fit_error_scale(np.zeros((5, 0)), np.full((5, 1), 2.0), np.ones(5))
    # One parameter, the level: raised by 1 + 2 / 5.
    assert level[0] == pytest.approx(2 * 1.4)
    assert slopes.shape == (0, 1)


def test_an_error_of_zero_where_a_step_overflows():
    # From a step of the search, with weights of 450 orders of magnitude: 0 times exp(9e7).
    F = np.array([[2e-5, -5e-6, -1e-6, 1.0], [1e8, -1e7, -5e8, 1.0], [0.5, -0.05, -0.02, 1.0]])
    ratios, weights = np.array([0.0, 1e20, 2e-12]), np.array([3.5e-20, 3.5e-20, 3.5])
    prior = np.array([1.0, 1.0, 1.0, 0.0])
    factor = cho_factor(0.5 * (weights * F.T) @ F + np.diag(prior))
    assert np.isfinite(_maximise(F, ratios, weights, prior, factor)).all()
