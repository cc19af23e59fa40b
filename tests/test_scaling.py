"""Standardisation, and its folding into the weights."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_sketchgn import SketchGNRegressor
from sklearn_sketchgn._moments import Moments, fit_moments
from sklearn_sketchgn._network import Network, initialise
from sklearn_sketchgn._scaling import input_scale, scaling_of
from tests import cases, references


def table(rng, n_samples=50, n_features=4, n_outputs=2):
    X = rng.standard_normal((n_samples, n_features)) * [1, 10, 0.1, 3] + [0, 5, -2, 100]
    return X, rng.standard_normal((n_samples, n_outputs)) * [1, 7] + [3, -20]


def random_network(n_features, n_outputs, rng, *, train_output=True, width=6):
    return Network(
        rng.standard_normal((width, n_features + train_output)),
        rng.standard_normal((width, n_outputs)),
        rng.standard_normal(n_outputs) * train_output,
        train_output,
    )


def raw_prediction(X, coefs, intercepts):
    return np.maximum(X @ coefs[0] + intercepts[0], 0) @ coefs[1] + intercepts[1]


def test_weighted_moments(rng):
    X, y = table(rng)
    weight = rng.uniform(0.1, 3, size=50)
    scaling = cases.fit_scaling(X, y, weight)
    mean, deviation = references.mean_and_deviation(X, weight)
    np.testing.assert_allclose(scaling.x_mean, mean.astype(float), rtol=1e-13)
    np.testing.assert_allclose(1 / scaling.x_inverse, deviation.astype(float), rtol=1e-13)
    mean, deviation = references.mean_and_deviation(y, weight)
    np.testing.assert_allclose(scaling.y_mean, mean.astype(float), rtol=1e-13)
    np.testing.assert_allclose(scaling.y_scale, deviation.astype(float), rtol=1e-13)


def test_weights_are_repetitions(rng):
    X, y = table(rng)
    weight = rng.integers(1, 5, size=50)
    weighted = cases.fit_scaling(X, y, weight.astype(float))
    repeated = cases.fit_scaling(
        np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0), np.ones(weight.sum())
    )
    for name, value in cases.arrays_of(weighted).items():
        np.testing.assert_allclose(value, getattr(repeated, name), rtol=1e-13)


def test_blocks_of_rows_fit_together(rng, monkeypatch):
    X, y = table(rng)
    weight = rng.uniform(0.1, 3, size=50)
    whole = cases.fit_scaling(X, y, weight)
    rows = whole.scaled_rows(X, np.sqrt(weight), np.float64, ones=1)
    monkeypatch.setattr("sklearn_sketchgn._tables._ROWS", 7)
    blocks = cases.fit_scaling(X, y, weight)
    for name, value in cases.arrays_of(whole).items():
        np.testing.assert_allclose(value, getattr(blocks, name), rtol=1e-13)
    np.testing.assert_allclose(
        blocks.scaled_rows(X, np.sqrt(weight), np.float64, ones=1), rows, atol=1e-12
    )


def test_rows_are_standardised_scaled_by_the_root_and_end_in_ones(rng):
    X, y = table(rng)
    weight = rng.uniform(0.1, 3, size=50)
    root = np.sqrt(weight)
    scaling = cases.fit_scaling(X, y, weight)
    rows = scaling.scaled_rows(X, root, np.float64, ones=1)
    assert rows.shape == (50, 5)
    np.testing.assert_array_equal(rows[:, -1], root)
    standardised = rows[:, :4] / root[:, None]
    np.testing.assert_allclose(weight @ standardised, 0, atol=1e-11)
    np.testing.assert_allclose(weight @ standardised**2 / weight.sum(), 1, rtol=1e-12)
    targets = scaling.scaled_targets(y, root, np.float32)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(root @ targets, 0, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, -3e5, 1e300, 1 / 3])
def test_constant_columns_count_as_absent(value, rng):
    X, y = table(rng)
    X[:, 1] = value
    X[7, 1] = np.nextafter(value, 0)  # a change of the last digit is none
    scaling = cases.fit_scaling(X, y, rng.uniform(0.1, 3, size=50))
    assert scaling.x_inverse[1] == 0
    assert (scaling.scaled_rows(X, np.ones(50), np.float64, ones=1)[:, 1] == 0).all()
    coefs, _ = scaling.fold(random_network(4, 2, rng))
    np.testing.assert_array_equal(coefs[0][1], 0)


@pytest.mark.parametrize("value", [0.998, 288.0, 1 / 3])
def test_constant_columns_of_many_rows_count_as_absent(value, rng):
    # Ten thousand equal weights do not sum to 1: the mean was off by 100 eps, which is not small.
    X = np.hstack([np.full((10_741, 1), value), rng.standard_normal((10_741, 1))])
    scaling = cases.fit_scaling(X, X[:, 1:], np.ones(len(X)))
    assert scaling.x_inverse[0] == 0
    assert scaling.x_mean[0] == pytest.approx(value, rel=1e-15)


def test_constant_targets_have_scale_one(rng):
    X, y = table(rng)
    y[:, 0] = 7
    scaling = cases.fit_scaling(X, y, np.ones(50))
    assert scaling.y_scale[0] == 1
    assert scaling.y_mean[0] == pytest.approx(7)


@pytest.mark.parametrize("value", [1e-200, -1e-8, 0.0])
def test_tiny_constant_targets_are_predicted_to_their_own_round_off(value, rng):
    X, _ = table(rng)
    scaling = cases.fit_scaling(X, np.full((50, 1), value), np.ones(50))
    network = initialise(7, 5, 1, rng)
    network.output += 1e-17 * rng.standard_normal(network.output.shape)
    coefs, intercepts = scaling.fold(network)
    np.testing.assert_allclose(raw_prediction(X, coefs, intercepts), value, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("value", [1e-9, 1e-30])
def test_the_deviation_of_a_tiny_constant_target_is_round_off(value, rng):
    X, _ = table(rng, n_samples=300)
    model = SketchGNRegressor(8, max_iter=60, alpha=0.1, warm_start=True, random_state=0)
    mean, std = model.fit(X, np.full(300, value)).predict(X, return_std=True)
    np.testing.assert_allclose(mean, value, rtol=1e-12)
    assert std.max() < 1e-6 * value


def test_a_mean_of_many_deviations(rng):
    x = rng.standard_normal((1000, 1))
    scaling = cases.fit_scaling(x + 1e8, x, np.ones(1000))
    # The table itself is rounded to 1e-8 of a deviation.
    assert scaling.x_inverse[0] == pytest.approx(1 / x.std(), rel=1e-7)
    rows = scaling.scaled_rows(x + 1e8, np.ones(1000), np.float64, ones=0)
    np.testing.assert_allclose(rows, (x - x.mean()) / x.std(), atol=1e-6)


@pytest.mark.parametrize("magnitude", [1e-290, 1e-160, 1e160, 1e300])
def test_magnitudes_whose_squares_overflow_or_vanish(magnitude, rng):
    X, y = table(rng)
    plain, scaled = (
        cases.fit_scaling(X, y, np.ones(50)),
        cases.fit_scaling(magnitude * X, y, np.ones(50)),
    )
    rows = [
        scaling.scaled_rows(values, np.ones(50), np.float64, ones=1)
        for scaling, values in ((plain, X), (scaled, magnitude * X))
    ]
    np.testing.assert_allclose(*rows, atol=1e-11)
    targets = cases.fit_scaling(X, magnitude * y, np.ones(50)).scaled_targets(
        magnitude * y, np.ones(50), np.float64
    )
    np.testing.assert_allclose(
        targets, plain.scaled_targets(y, np.ones(50), np.float64), atol=1e-11
    )


def test_the_whole_range_of_floats(rng):
    X = np.array([[-1.7e308], [1.7e308], [1.7e308], [1.0]])
    scaling = cases.fit_scaling(X, X, np.ones(4))
    assert np.isfinite(scaling.scaled_rows(X, np.ones(4), np.float64, ones=1)).all()
    assert np.isfinite(scaling.scaled_targets(X, np.ones(4), np.float64)).all()


@pytest.mark.parametrize("magnitude", [1e-300, 1e-30, 1e30, 1e300])
def test_only_proportions_of_weights_count(magnitude, rng):
    X, y = table(rng)
    weight = rng.uniform(0.1, 3, size=50)
    plain, scaled = cases.fit_scaling(X, y, weight), cases.fit_scaling(X, y, magnitude * weight)
    for name, value in cases.arrays_of(plain).items():
        np.testing.assert_allclose(value, getattr(scaled, name), rtol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_targets_of_the_smallest_size_are_no_constants(loss, rng):
    X = rng.standard_normal((30, 2))
    y = 1e-301 * X[:, 0]
    model = SketchGNRegressor(8, max_iter=40, alpha=0.1, loss=loss, random_state=0).fit(X, y)
    assert np.abs(model.predict(X) - y).max() < 0.2 * np.abs(y).max()


@pytest.mark.parametrize("train_output", [True, False])
def test_folded_weights_predict_the_same_from_raw_inputs(train_output, rng):
    X, y = table(rng)
    scaling = cases.fit_scaling(X, y, np.ones(50), scale_inputs=train_output)
    network = random_network(4, 2, rng, train_output=train_output)
    rows = scaling.scaled_rows(X, np.ones(50), np.float64, ones=int(train_output))
    intercept = network.intercept if train_output else None
    standardised = references.forward(rows, network.hidden, network.output, intercept)
    expected = standardised * scaling.y_scale + scaling.y_mean
    coefs, intercepts = scaling.fold(network)
    np.testing.assert_allclose(raw_prediction(X, coefs, intercepts), expected, rtol=1e-11)
    assert {x.dtype for x in coefs + intercepts} == {np.dtype(float)}


def test_float32_networks_are_folded_in_float64(rng):
    X = rng.standard_normal((50, 4)) + 1e4
    y = rng.standard_normal((50, 1))
    scaling = cases.fit_scaling(X, y, np.ones(50))
    network = initialise(6, 5, 1, rng).astype(np.float32)
    coefs, intercepts = scaling.fold(network)
    rows = scaling.scaled_rows(X, np.ones(50), np.float64, ones=1)
    expected = references.forward(rows, network.hidden, network.output, network.intercept)
    expected = expected * scaling.y_scale + scaling.y_mean
    np.testing.assert_allclose(raw_prediction(X, coefs, intercepts), expected, atol=1e-10)


@pytest.mark.parametrize("train_output", [True, False])
def test_unfolding_is_the_inverse_of_folding(train_output, rng):
    X, y = table(rng)
    scaling = cases.fit_scaling(X, y, np.ones(50), scale_inputs=train_output)
    network = random_network(4, 2, rng, train_output=train_output)
    again = scaling.unfold(*scaling.fold(network), train_output=network.train_output)
    np.testing.assert_allclose(again.hidden, network.hidden, rtol=1e-10)
    np.testing.assert_allclose(again.output, network.output, rtol=1e-12)
    np.testing.assert_allclose(again.intercept, network.intercept, atol=1e-12)
    assert again.train_output == train_output


# Moments of a table that comes in blocks ----------------------------------------------------------


def merged_moments(X, weight, cuts):
    blocks = zip(np.split(X, cuts), np.split(weight, cuts), strict=True)
    moments = [fit_moments(rows, weights) for rows, weights in blocks]
    whole = moments[0]
    for block in moments[1:]:
        whole = whole.merged(block)
    return whole


@pytest.mark.parametrize(
    "cuts", [[1], [49], [25], range(1, 50), range(7, 50, 7), [3, 4, 40]], ids=repr
)
@pytest.mark.parametrize("magnitude", [1.0, 1e-12, 1e12])
def test_moments_of_blocks_are_those_of_the_table(cuts, magnitude, rng):
    X, y = table(rng)
    X[:, 2] += 1e4  # a mean of 1e5 deviations
    weight = magnitude * rng.uniform(0.01, 3, size=50)
    whole = fit_moments(X, weight)
    blocks = merged_moments(X, weight, list(cuts))
    assert blocks.weight == pytest.approx(whole.weight, rel=1e-14)
    np.testing.assert_allclose(blocks.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(blocks.deviation, whole.deviation, rtol=1e-9)
    # Round-off of the mean is 1e5 times larger in units of the third deviation.
    np.testing.assert_allclose(blocks.deviation[:2], whole.deviation[:2], rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1 / 3, -3e5, 1e300])
def test_a_column_that_is_constant_in_all_blocks_stays_constant(value, rng):
    X = np.full((50, 1), value)
    assert merged_moments(X, rng.uniform(0.1, 3, size=50), range(1, 50)).deviation == 0


def test_a_column_that_is_constant_in_every_block_but_not_in_all():
    X = np.repeat([[1.0], [3.0]], 5, axis=0)
    moments = merged_moments(X, np.ones(10), [5])
    assert moments.mean == pytest.approx(2)
    assert moments.deviation == pytest.approx(1)


@pytest.mark.parametrize("magnitude", [1e-290, 1e300])
def test_merging_neither_overflows_nor_vanishes(magnitude, rng):
    X = table(rng)[0]
    plain = merged_moments(X, np.ones(50), [20])
    scaled = merged_moments(magnitude * X, np.ones(50), [20])
    np.testing.assert_allclose(scaled.deviation, magnitude * plain.deviation, rtol=1e-12)
    np.testing.assert_allclose(scaled.mean, magnitude * plain.mean, rtol=1e-12)
    widest = merged_moments(np.array([[-1.7e308], [1.7e308]]), np.ones(2), [1])
    assert widest.deviation == pytest.approx(1.7e308)


def test_the_weight_of_a_long_stream_stays_finite(rng):
    X = table(rng)[0]
    block = fit_moments(X, np.ones(50)).in_weight_unit(1e308)
    stream = block
    for _ in range(8):
        stream = stream.merged(block)
    assert np.isfinite(stream.weight)
    np.testing.assert_allclose(stream.mean, block.mean)
    np.testing.assert_allclose(stream.deviation, block.deviation)


def test_the_scaling_of_a_table_is_that_of_its_moments(rng):
    X, y = table(rng)
    y[:, 0] = 7
    weight = rng.uniform(0.1, 3, size=50)
    by_moments = scaling_of(fit_moments(X, weight), fit_moments(y, weight))
    assert isinstance(fit_moments(X, weight), Moments)
    x_mean, y_mean = (np.average(Z, axis=0, weights=weight) for Z in (X, y))
    x_variance = np.average((X - x_mean) ** 2, axis=0, weights=weight)
    y_variance = np.average((y - y_mean) ** 2, axis=0, weights=weight)
    y_variance[0] = 1  # a constant of size 1 or more has the scale 1
    expected = {
        "x_mean": x_mean,
        "x_inverse": x_variance**-0.5,
        "y_mean": y_mean,
        "y_scale": y_variance**0.5,
    }
    assert expected.keys() == cases.arrays_of(by_moments).keys()
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(by_moments, name), value, rtol=1e-12, atol=1e-14)
    raw = scaling_of(fit_moments(X, weight), fit_moments(y, weight), scale_inputs=False)
    np.testing.assert_array_equal(raw.x_inverse, np.ones(4))
    np.testing.assert_array_equal(raw.x_mean, np.zeros(4))


@pytest.mark.parametrize("make", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("share", [0.003, 0.3, 0.5, 0.98])
def test_columns_of_two_values_are_two_apart(share, make):
    rare = np.arange(1000) < 1000 * share
    X = np.column_stack([rare, 5e6 - 300.0 * rare, 0.25 * rare, np.arange(1000) % 3, rare * 0])
    weight = 1.0 + np.arange(1000) % 2
    y = np.zeros(1000)
    moments = fit_moments(make(X), weight)
    scaled = scaling_of(moments, fit_moments(y[:, None], weight)).scaled_rows(
        X, np.ones(1000), np.float64, ones=0
    )
    np.testing.assert_allclose(np.ptp(scaled[:, :3], axis=0), 2.0)
    np.testing.assert_allclose(weight @ scaled, 0, atol=1e-6)
    # Of three values, or of one, by their deviation.
    np.testing.assert_allclose(weight @ scaled[:, 3:] ** 2 / weight.sum(), [1.0, 0.0], atol=1e-12)


def test_the_distance_of_two_values_near_the_largest_float():
    X = np.array([[1e308], [-1e308], [1e308], [1e308]])
    np.testing.assert_allclose(input_scale(fit_moments(X, np.ones(4))), 1e308)


def test_an_outlier_counts_at_the_distance_it_has(rng):
    X = rng.standard_normal((300, 2))
    y = np.sin(X[:, 0]) + 0.1 * rng.standard_normal(300)
    y[0] = 1e7
    model = SketchGNRegressor(8, max_iter=3, alpha=1.0, loss="huber", random_state=0).fit(X, y)
    scaling, (training,) = model._resume
    threshold = training.loss_function.threshold * scaling.y_scale
    distance = np.abs(y - scaling.y_mean)
    inner = np.minimum(distance, threshold)
    expected = np.mean(inner * distance - inner**2 / 2)
    assert model.loss_curve_[0] == pytest.approx(expected, rel=1e-6)
