"""Columns that matter less are penalised more, by a formula and in whole fits."""

import numpy as np
import pytest

from sklearn_sketchgn import SketchGNRegressor, _warm_start
from sklearn_sketchgn._moments import fit_moments
from sklearn_sketchgn._network import Network
from sklearn_sketchgn._penalty import PenaltySearch
from sklearn_sketchgn._relevance import column_penalty as penalty_of_varying


def network(sizes, rng, width=6):
    """A network whose columns of hidden weights have these norms, and a bias for each neuron."""
    hidden = rng.standard_normal((width, len(sizes) + 1))
    hidden *= np.append(sizes, 5.0) / np.linalg.norm(hidden, axis=0)
    return Network(hidden, np.ones((width, 1)), np.zeros(1))


def column_penalty(networks):
    """The penalty where all columns vary."""
    n_features = networks[0].hidden.shape[1] - 1
    return penalty_of_varying(networks, np.ones(n_features, dtype=bool))


@pytest.fixture
def table(rng):
    """Two columns of eight matter; 300 rows to train on and 2000 to test."""
    X = rng.uniform(-2, 2, (2300, 8))
    y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] ** 2
    noisy = y[:300] + 0.7 * rng.standard_normal(300)
    return X[:300], noisy, X[300:], y[300:]


def test_the_penalty_is_the_inverse_square_of_the_size_of_a_column(rng):
    sizes = np.array([0.5, 1.0, 2.0])
    found = column_penalty([network(sizes, rng)])
    np.testing.assert_allclose(found, np.append(np.mean(sizes**2) / sizes**2, 1.0))


def test_the_penalty_of_the_network_stays_what_it_was(rng):
    for sizes in ([1.0, 1.0], [1e-9, 2.0, 0.1], [0.0, 1.0], [*np.full(30, 0.3), 80.0]):
        found = column_penalty([network(np.array(sizes), rng)])
        assert found[:-1] @ np.square(sizes) == pytest.approx(np.sum(np.square(sizes)))
        assert (np.diff(found[:-1][np.argsort(sizes)]) <= 1e-12).all()


def test_no_column_is_believed_to_matter_much_more_or_less_than_all(rng):
    # Root mean square 1: sizes below a twentieth of it count as that, above three times as three.
    found = column_penalty([network(np.array([1e-6, *np.full(98, 0.05), 10.0]), rng)])
    assert found[0] == pytest.approx(found[1], rel=1e-2)
    assert found[0] / found[-2] == pytest.approx((3 / 0.05) ** 2, rel=1e-2)


def test_groups_count_together(rng):
    parts = [network(np.array(sizes), rng) for sizes in ([1.0, 3.0], [3.0, 1.0], [1.0, 1.0])]
    found = column_penalty(parts)
    np.testing.assert_allclose(found, np.ones(3))
    hidden = np.concatenate([part.hidden for part in parts])
    whole = Network(hidden, np.ones((len(hidden), 1)), np.zeros(1))
    np.testing.assert_allclose(column_penalty([whole]), found)


def test_columns_that_do_not_vary_have_no_say_and_the_factor_1(rng):
    whole = network(np.array([0.5, 7.0, 1.0, 1e-9, 2.0]), rng)
    found = penalty_of_varying([whole], np.array([True, False, True, False, True]))
    expected = column_penalty([network(np.array([0.5, 1.0, 2.0]), rng)])
    np.testing.assert_allclose(found[[0, 2, 4, 5]], expected)
    np.testing.assert_array_equal(found[[1, 3]], 1.0)
    np.testing.assert_array_equal(penalty_of_varying([whole], np.zeros(5, dtype=bool)), np.ones(6))


@pytest.mark.parametrize("size", [0.0, np.inf, np.nan])
def test_weights_that_say_nothing_leave_all_columns_alike(size, rng):
    broken = network(np.ones(3), rng)
    broken.hidden[:, :-1] *= 0.0 if size == 0 else 1.0
    broken.hidden[0, 1] = size
    np.testing.assert_array_equal(column_penalty([broken]), np.ones(4))
    float32 = Network(broken.hidden.astype(np.float32), broken.output, broken.intercept)
    assert column_penalty([float32]).dtype == np.float64


def test_a_network_without_inputs_has_biases_only(rng):
    np.testing.assert_array_equal(column_penalty([network(np.ones(0), rng)]), [1.0])


def test_columns_that_do_not_matter_are_penalised_more_and_that_helps(table, monkeypatch):
    X, y, X_test, y_test = table

    def errors():
        models = [SketchGNRegressor(64, random_state=seed).fit(X, y) for seed in range(3)]
        return models, [np.mean((model.predict(X_test) - y_test) ** 2) for model in models]

    models, weighed = errors()
    for model in models:
        assert model.column_penalty_.shape == (8,)
        assert model.column_penalty_[:2].max() < 0.5 * model.column_penalty_[2:].min()
    monkeypatch.setattr(PenaltySearch, "suit_the_columns", lambda search: None)
    models, alike = errors()
    assert (models[0].column_penalty_ == 1).all()
    assert np.mean(weighed) < 0.95 * np.mean(alike)


def test_constant_columns_do_not_hide_which_columns_matter(table):
    X, y, *_ = table
    constant = np.tile(np.linspace(-1, 5, 100), (300, 1))
    model = SketchGNRegressor(32, random_state=0).fit(np.hstack([X, constant]), y)
    found = model.column_penalty_
    assert found[:2].max() < 0.5 * found[2:8].min()
    np.testing.assert_array_equal(found[8:], 1.0)


def test_columns_are_not_weighed_where_no_row_judges(table):
    X, y, *_ = table
    model = SketchGNRegressor(16, max_iter=60, random_state=0)
    np.testing.assert_array_equal(model.fit(X[:1], y[:1]).column_penalty_, 1.0)


def test_what_a_fit_shows_is_not_what_it_goes_on_from(table):
    X, y, *_ = table
    model = SketchGNRegressor(16, max_iter=90, warm_start=True, random_state=0).fit(X, y)
    kept = model._resume[1][0].column_penalty.copy()
    model.column_penalty_[:] = 1e6
    np.testing.assert_array_equal(model._resume[1][0].column_penalty, kept)


def test_only_a_search_that_learnt_something_weighs_columns(table, rng):
    X, y, *_ = table
    given = SketchGNRegressor(16, max_iter=60, alpha=0.1, random_state=0).fit(X, y)
    nothing = SketchGNRegressor(16, max_iter=60, random_state=0)
    nothing.fit(X, rng.standard_normal(300))
    paper = SketchGNRegressor(16, max_iter=60, train_output=False, random_state=0).fit(X, y)
    for model in (given, nothing, paper):
        np.testing.assert_array_equal(model.column_penalty_, np.ones(8))


def test_without_batches_another_network_weighs_the_columns(table):
    X, y, *_ = table
    model = SketchGNRegressor(32, batch_size=None, max_iter=30, tol=0.01, random_state=0)
    penalty = model.fit(X, y).column_penalty_
    assert penalty[:2].max() < 0.7 * penalty[2:].min()


def test_a_warm_start_keeps_the_weighing_and_a_number_for_alpha_ends_it(table):
    X, y, *_ = table
    model = SketchGNRegressor(16, max_iter=90, warm_start=True, random_state=0).fit(X, y)
    found = model.column_penalty_
    assert np.ptp(found) > 0.5
    np.testing.assert_array_equal(model.fit(X, y).column_penalty_, found)
    np.testing.assert_array_equal(model.set_params(alpha=0.1).fit(X, y).column_penalty_, 1)


def test_a_column_that_varies_late_is_penalised_like_the_mean(table):
    X, y, *_ = table
    model = SketchGNRegressor(16, max_iter=90, warm_start=True, random_state=0)
    model.fit(np.column_stack([X, np.full(300, 5.0)]), y)
    varying = np.column_stack([X, np.sign(X[:, 2])])
    before = model.column_penalty_
    moments = fit_moments(varying, np.ones(300))
    _, (training,) = _warm_start.with_late_columns(*model._resume, moments)
    np.testing.assert_array_equal(training.column_penalty, [*before[:8], 1.0, 1.0])
    np.testing.assert_array_equal(model.column_penalty_, before)


def test_members_weigh_columns_each_and_show_their_mean(table):
    X, y, *_ = table
    model = SketchGNRegressor(16, max_iter=90, n_members=2, warm_start=True, random_state=0)
    model.fit(X, y)
    first, second = (training.column_penalty for training in model._resume[1])
    assert np.abs(np.log(first / second)).max() > 0.01
    np.testing.assert_allclose(model.column_penalty_, np.sqrt(first * second)[:-1])


def test_weights_are_repetitions_for_the_columns_too(table):
    X, y, *_ = table
    X, y, times = X[:90], y[:90], np.arange(90) % 3 + 1
    model = SketchGNRegressor(16, max_iter=90, random_state=0, batch_size=256)
    weighted = model.fit(X, y, sample_weight=times).column_penalty_
    repeated = model.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).column_penalty_
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)
    assert np.ptp(weighted) > 0.5
