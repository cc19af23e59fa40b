"""Predictions beyond the training rows: as at the edge of a box around them."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import Direct, SketchGNRegressor
from sklearn_sketchgn._bounds import bounded_product, bounds_of
from sklearn_sketchgn._moments import fit_moments


def quick(**parameters):
    return SketchGNRegressor(
        **{"width": 16, "max_iter": 30, "alpha": 0.1, "random_state": 0} | parameters
    )


def table(rng, n_samples=200):
    X = rng.standard_normal((n_samples, 4)) * [1.0, 1e6, 1e-3, 1.0] + [0.0, 1e7, 0.0, 5.0]
    return X, np.sin(X[:, 0]) + X[:, 1] / 1e6 + 1e3 * X[:, 2]


def network(model, X):
    """The folded weights at work, without any bounds."""
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    return (hidden @ model.coefs_[1] + model.intercepts_[1]).ravel()


def a_fifth_beyond(table):
    margin = np.ptp(table, axis=0) / 5
    return [table.min(axis=0) - margin, table.max(axis=0) + margin]


def test_bounds_are_a_fifth_beyond_what_was_seen(rng):
    X, y = table(rng)
    model = quick().fit(X, y)
    np.testing.assert_allclose(model.input_bounds_, a_fifth_beyond(X), rtol=1e-12)
    np.testing.assert_allclose(model.target_bounds_, a_fifth_beyond(y[:, None]), rtol=1e-12)


def test_rows_inside_are_what_the_network_says_of_them(rng):
    X, y = table(rng)
    model = quick().fit(X, y)
    moved = X + 0.19 * np.ptp(X, axis=0) * rng.choice([-1, 1], X.shape)
    raw, (low, high) = network(model, moved), model.target_bounds_
    inside = (low < raw) & (raw < high)
    assert inside.sum() > len(y) / 2
    for rows in (X, moved[inside]):
        np.testing.assert_allclose(model.predict(rows), network(model, rows), rtol=1e-12)


def test_rows_outside_are_predicted_as_the_nearest_inside(rng):
    X, y = table(rng)
    model = quick().fit(X, y)
    far = X.copy()
    far[0, 0], far[1, 1], far[2, 2] = 999_999, -1e12, 1e300
    kept = far.copy()
    expected = network(model, np.clip(far, *model.input_bounds_))
    inside = np.abs(expected - np.mean(y)) < np.ptp(y)
    assert inside.all()
    np.testing.assert_allclose(model.predict(far), expected, rtol=1e-12)
    assert np.abs(network(model, far[:2]) - expected[:2]).min() > 10 * np.ptp(y)
    np.testing.assert_array_equal(far, kept)


def test_predictions_stay_near_the_targets(rng):
    # The corner of the box, where all inputs that raise the targets are at their largest.
    X = rng.standard_normal((300, 6))
    Y = np.column_stack([X.sum(axis=1), -X.sum(axis=1)])
    model = quick(alpha=1e-6).fit(X, Y)
    low, high = model.target_bounds_
    corner = np.full((1, 6), 1e3)
    raw = np.maximum(model.input_bounds_[1:] @ model.coefs_[0] + model.intercepts_[0], 0)
    raw = raw @ model.coefs_[1] + model.intercepts_[1]
    assert raw[0, 0] > high[0]
    assert raw[0, 1] < low[1]
    np.testing.assert_array_equal(model.predict(corner), [[high[0], low[1]]])


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_zeros_that_are_not_stored_move_as_well(rng, container):
    # Of the second and the fourth column no row of the fit was near zero.
    X, y = table(rng)
    X[:, 3] += 5
    model = quick().fit(X, y)
    far = X * (rng.random(X.shape) < 0.5)
    far[0] = 0
    far[1] = [1e9, -1e12, 0.0, 0.0]
    np.testing.assert_allclose(model.predict(container(far)), model.predict(far), rtol=1e-10)
    zeros = np.clip(np.zeros((1, 4)), *model.input_bounds_)
    assert (zeros[0, [1, 3]] > 0).all()
    np.testing.assert_allclose(model.predict(far)[0], network(model, zeros)[0], rtol=1e-12)


def test_products_of_one_column_in_a_wide_sparse_table(rng):
    X = sp.csr_array(rng.random((30, 5000)) * (rng.random((30, 5000)) < 0.01))
    bounds = np.vstack([np.full(5000, 0.2), np.full(5000, 0.6)])
    bounds[:, 1:] = [[-np.inf], [np.inf]]
    weights = rng.standard_normal((5000, 3))
    stored = X.data.copy()
    expected = np.clip(X.toarray(), *bounds) @ weights
    np.testing.assert_allclose(bounded_product(X, bounds, weights), expected, atol=1e-12)
    np.testing.assert_array_equal(X.data, stored)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_range_is_that_of_rows_with_weight(rng, container):
    X, y = table(rng)
    weight = rng.integers(1, 4, len(y)).astype(float)
    X[7], y[7], weight[7] = 1e15, 1e15, 0
    X[5, 3] = 0.0
    kept = weight > 0
    model = quick().fit(container(X), y, sample_weight=weight)
    repeated = np.repeat(X[kept], weight[kept].astype(int), axis=0)
    again = quick().fit(repeated, np.repeat(y[kept], weight[kept].astype(int)))
    np.testing.assert_allclose(model.input_bounds_, again.input_bounds_, rtol=1e-12)
    np.testing.assert_allclose(model.target_bounds_, again.target_bounds_, rtol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("unknown", [1e6, -1e30, -3.4e38])
def test_held_out_rows_are_judged_as_they_are_predicted(unknown, container, rng):
    X, y = table(rng)
    X_val, y_val = X[:40].copy(), y[:40]
    X_val[0, 0] = unknown
    model = quick().fit(X, y, X_val=container(X_val), y_val=y_val)
    np.testing.assert_allclose(model.input_bounds_, a_fifth_beyond(X))
    losses = model.validation_loss_curve_
    assert min(losses) < 0.3 * losses[0] and model.diagnosis_ == []
    # A target of the same range: the row costs no more than the others.
    error = np.mean((model.predict(X_val) - y_val) ** 2) / 2
    assert min(losses) == pytest.approx(error, rel=1e-3)


def test_a_value_out_of_range_that_is_held_out_costs_no_fit(rng):
    X, y = table(rng)
    X[7, 0] = 999_999
    scores = [
        quick(early_stopping=True, random_state=seed).fit(X, y).score(X[8:], y[8:])
        for seed in range(20)
    ]
    assert min(scores) > max(scores) - 0.3


def test_held_out_rows_that_no_network_suits_are_told_of(rng):
    X, y = table(rng)
    with pytest.warns(ConvergenceWarning, match="no step lowered .* whether `X_val` and"):
        model = quick().fit(X, y, X_val=X, y_val=-y)
    assert model.stop_reason_.startswith("no step lowered the error on the held-out rows")
    np.testing.assert_allclose(model.predict(X), y.mean())


def test_of_noise_the_mean_may_be_the_best_that_early_stopping_finds():
    reasons = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((200, 5)), rng.standard_normal(200)
        # Warnings would be errors.
        reasons.append(quick(early_stopping=True).fit(X, y).stop_reason_)
    assert any(reason.startswith("no step lowered the error") for reason in reasons)


def test_steps_that_raise_the_error_are_blamed_with_held_out_rows_too(rng):
    X, y = table(rng)
    model = quick(width=64, alpha=1e-8, damping=0, max_iter=20, batch_size=20)
    noise = rng.standard_normal(len(y))
    with pytest.warns(ConvergenceWarning, match="its steps raised the error on the training rows"):
        model.fit(X, noise, X_val=X[:100], y_val=rng.standard_normal(100))
    assert model.stop_reason_.startswith("the steps raised the error")


def test_warm_starts_remember_the_range_of_their_first_rows(rng):
    X, y = table(rng)
    model = quick(warm_start=True).fit(X, y)
    moved, more = X + [50.0, 0, 0, 0], y + 50
    model.fit(moved, more)
    np.testing.assert_allclose(model.input_bounds_, a_fifth_beyond(np.vstack([X, moved])))
    both = a_fifth_beyond(np.concatenate([y, more]))
    np.testing.assert_allclose(model.target_bounds_.ravel(), both)


def test_a_stream_widens_its_bounds(rng):
    X, y = table(rng)
    model = quick()
    for block in np.array_split(np.arange(len(y)), 4):
        model.partial_fit(X[block], y[block])
    for found, t in ((model.input_bounds_, X), (model.target_bounds_, y[:, None])):
        np.testing.assert_allclose(found, bounds_of(fit_moments(t, np.ones(len(y)))), rtol=1e-12)
    np.testing.assert_array_equal(
        model.predict([[1e9, 1e7, 0, 5]]), model.predict([[1e8, 1e7, 0, 5]])
    )


def test_counts_are_bounded_as_counts(rng):
    X = rng.standard_normal((300, 3))
    y = rng.poisson(np.exp(X[:, 0])).astype(float)
    model = quick(loss="poisson").fit(X, y)
    predicted = model.predict(1e3 * X)
    assert predicted.max() <= 1.2 * y.max()
    assert predicted.min() > 0


def test_the_papers_network_has_no_bounds(rng):
    X = rng.standard_normal((100, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    model = quick(train_output=False).fit(X, X[:, 0])
    assert np.isinf(model.input_bounds_).all()
    assert np.isinf(model.target_bounds_).all()
    np.testing.assert_allclose(model.predict(1e6 * X), network(model, 1e6 * X), rtol=1e-12)


def test_bounds_end_where_floats_do(rng):
    X, y = rng.uniform(-1, 1, (60, 2)), rng.uniform(-1, 1, 60)
    model = quick().fit(1.7e308 * X, 1.7e308 * y)
    assert not np.isnan(model.input_bounds_).any()
    assert not np.isnan(model.target_bounds_).any()
    assert np.isfinite(model.predict(1.7e308 * X)).all()


def test_standard_deviations_are_those_of_the_row_as_it_is(rng):
    X, y = rng.standard_normal((300, 3)), rng.standard_normal(300)
    model = quick(alpha="auto").fit(X, X[:, 0] + 0.1 * y)
    near, far = (model.predict(np.full((1, 3), size), return_std=True)[1] for size in (1.0, 1e5))
    assert far > 1e3 * near


class Interrupted(Direct):
    def prepare(self, jacobian, **keywords):
        raise KeyboardInterrupt("before the first step")


def test_a_refit_that_fails_leaves_the_former_bounds(rng):
    X, y = table(rng)
    model = quick().fit(X, y)
    far = X + [50.0, 0, 0, 0]
    before = model.predict(far)
    model.set_params(solver=Interrupted())
    with pytest.raises(KeyboardInterrupt, match="before the first step"):
        model.fit(far, y + 50)
    np.testing.assert_array_equal(model.predict(far), before)
