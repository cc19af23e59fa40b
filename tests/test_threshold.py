"""The threshold of the Huber loss: what it is close to, and what it does not depend on."""

import numpy as np
import pytest

from sklearn_sketchgn import Direct, SketchGNRegressor, _threshold
from sklearn_sketchgn._losses import Huber
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn._robust_scale import robust_deviation
from sklearn_sketchgn._threshold import choose_threshold
from sklearn_sketchgn._training import Training
from sklearn_sketchgn._training_data import TrainingData
from tests import cases


def chosen(X, y, weight=None, width=32):
    """Return the threshold of a table, in the units of y."""
    y = y.reshape(len(y), -1)
    weight = np.ones(len(y)) if weight is None else weight.astype(float)
    loss = Huber()
    scaling = loss.rescale_targets(cases.fit_scaling(X, y, weight), y, weight)
    rows = scaling.scaled_rows(X, np.sqrt(weight), float, ones=1)
    data = TrainingData(
        rows, loss.target_scaling(scaling).scaled_targets(y, np.sqrt(weight), float), weight
    )
    rng = np.random.default_rng(0)
    training = Training(
        network=initialise(width, rows.shape[1], y.shape[1], rng),
        alpha=0.0,
        damping=0.04,
        momentum=0.9,
        solver=Direct(),
        sketch=None,
        rng=rng,
        total_weight=weight.sum(),
        output_scale=scaling.y_scale,
        loss_function=loss,
    )
    return choose_threshold(training, data, batch_size=256) * scaling.y_scale


def linear_table(rng, n_samples=250, noise=0.1):
    X = rng.standard_normal((n_samples, 3))
    return X, X @ [1.0, -2.0, 0.5] + noise * rng.standard_normal(n_samples)


def test_it_is_close_to_the_noise_whatever_the_outliers(rng):
    X, y = linear_table(rng, noise=0.5)
    wrong = y.copy()
    wrong[::20] += 1e4
    for target in (y, wrong):
        # A median absolute deviation of 100 rows has a relative standard error of
        # 1.17 / sqrt(100): three of them below the noise, and far below the spread of the
        # targets, 2.3, all but a part of which the pilot explains.
        assert 0.65 * 1.35 * 0.5 < chosen(X, target)[0] < 2 * 1.35 * 0.5


def test_less_noise_gives_a_smaller_threshold_and_outputs_their_own(rng):
    X, y = linear_table(rng, noise=0.0)
    noise = rng.standard_normal((len(y), 2)) * [0.1, 2.0]
    low, high = chosen(X, y[:, None] + noise)
    assert 3 * low < high


def test_it_is_1_35_deviations_of_the_residuals_of_rows_held_out(rng, monkeypatch):
    rounds = []

    def residuals(training, kept, judges, batch_size):
        assert len(kept) + len(judges) == 250
        assert not {*kept.rows[:, 0]} & {*judges.rows[:, 0]}
        found = 0.2 * judges.rows[:, :1]
        rounds.append((training.loss_function.threshold, found))
        return found

    monkeypatch.setattr(_threshold, "_residuals", residuals)
    X, y = linear_table(rng)
    found = chosen(X, y)
    # Two rounds of two folds; the second starts from the threshold that the first found.
    used, (first, second) = [threshold[0] for threshold, _ in rounds], (rounds[0][1], rounds[1][1])
    joined = np.concatenate([first, second])
    expected = 1.35 * robust_deviation(joined, np.ones(len(joined)))[0]
    np.testing.assert_allclose(used, [1.35, 1.35, expected, expected])
    unit = robust_deviation((y - np.median(y))[:, None], np.ones(250))[0]
    assert found[0] == pytest.approx(expected * unit)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repetitions(seed):
    rng = np.random.default_rng(seed)
    X, y = linear_table(rng, n_samples=40)
    weight = rng.integers(1, 4, size=40)
    order = rng.permutation(weight.sum())
    repeated = np.repeat(X, weight, axis=0)[order], np.repeat(y, weight)[order]
    np.testing.assert_allclose(chosen(X, y, weight), chosen(*repeated), rtol=1e-8)


@pytest.mark.parametrize("unit", [1 / 250, 2.0**12])
def test_the_unit_of_the_weights_does_not_matter(unit, rng):
    X, y = linear_table(rng)
    y[::7] += 8.0
    np.testing.assert_allclose(chosen(X, y, np.full(250, unit)), chosen(X, y), rtol=1e-8)


def test_weights_and_alpha_in_another_unit_leave_it_as_it_is(rng):
    X, y = linear_table(rng)
    y[::7] += 8.0
    found = []
    for unit in (1.0, 1e-4, 1e6):
        model = SketchGNRegressor(32, loss="huber", alpha=0.1 * unit, max_iter=3, random_state=0)
        _, (training,) = model.fit(X, y, np.full(250, unit))._resume
        found.append(training.loss_function.threshold[0])
    np.testing.assert_allclose(found[1:], found[0], rtol=1e-4)


def test_a_table_without_rows_to_judge_keeps_the_first_threshold(rng):
    X, y = linear_table(rng, n_samples=2)
    assert 0 < chosen(X, y)[0] <= 1.35 * 1.5 * abs(y[0] - y[1])
