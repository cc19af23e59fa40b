"""Ramps between quantiles of the columns: their values, their knots, their layer, whole fits."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from sklearn_sketchgn import SketchGNRegressor, _encoding
from sklearn_sketchgn._encoding import HEIGHT, INTERVALS, place_ramps
from sklearn_sketchgn._network import Network
from sklearn_sketchgn._tables import Samples
from sklearn_sketchgn._training_data import training_data
from tests import cases


def quick(**parameters):
    few = {"width": 16, "alpha": 0.1, "max_iter": 40, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


@pytest.fixture
def table(rng):
    """A continuous column, one of five values, one of two, a constant one."""
    n = 300
    columns = [rng.standard_normal(n), rng.integers(0, 5, n), rng.integers(0, 2, n), np.full(n, 3)]
    X = np.column_stack(columns).astype(float)
    return X, np.floor(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(n)


def knots_of(column, sample_weight=None):
    weight = np.ones(len(column)) if sample_weight is None else sample_weight
    return place_ramps(np.asarray(column, dtype=float)[:, None], weight).knot


def scaling_with_ramps(X, y):
    weight = np.ones(len(X))
    scaling = cases.fit_scaling(X, y[:, None], weight)
    scaling.ramps = place_ramps(X, weight)
    return scaling


def relative_error(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2)) / np.std(y)


# The values of ramps


def test_a_ramp_rises_between_its_knots_and_is_constant_elsewhere(table, rng):
    X, y = table
    scaling = scaling_with_ramps(X, y)
    beyond = np.vstack([X, 3 * X, X - 2])
    weight = rng.uniform(0.1, 3, len(beyond))
    rows = scaling.scaled_rows(beyond, np.sqrt(weight), np.float64, ones=1)
    n_ramps = INTERVALS + 4
    assert rows.shape == (len(beyond), 4 + n_ramps + 1) == (len(beyond), scaling.n_inputs + 1)
    expected = []
    for column in (0, 1):
        knots = scaling.ramps.knot[scaling.ramps.column == column]
        for low, high in zip(knots[:-1], knots[1:], strict=True):
            expected.append(np.interp(beyond[:, column], [low, high], [-HEIGHT, HEIGHT]))
    expected = np.column_stack(expected) * np.sqrt(weight)[:, None]
    np.testing.assert_allclose(rows[:, 4:-1], expected, atol=1e-14)
    plain = cases.fit_scaling(X, y[:, None], np.ones(len(X)))
    without = plain.scaled_rows(beyond, np.sqrt(weight), np.float64, ones=1)
    np.testing.assert_array_equal(rows[:, [0, 1, 2, 3, -1]], without)


# Where the knots are


def test_a_column_of_few_values_has_a_knot_at_each(rng):
    values = rng.standard_normal(INTERVALS + 1)
    np.testing.assert_array_equal(knots_of(np.tile(values, 9)), np.sort(values))


@pytest.mark.parametrize("values", [[3.0], [0.0, 1.0], [1e300, -1e300, 0.0], [0.0, 1e-300, 2e-300]])
def test_columns_of_two_values_and_of_unthinkable_ranges_have_none(values):
    assert len(place_ramps(np.tile(values, 20)[:, None], np.ones(20 * len(values)))) == 0


def test_columns_that_do_not_vary_beyond_rounding_have_none(rng):
    X = np.column_stack([1e16 + 2 * rng.integers(0, 9, 90), rng.standard_normal(90)])
    model = quick(encoding="piecewise").fit(X, X[:, 1])
    np.testing.assert_array_equal(np.unique(model._uncertainty.scaling.ramps.column), [1])


def test_knots_are_quantiles(rng):
    x = rng.standard_normal(4000)
    found = knots_of(x)
    assert len(found) == INTERVALS + 1
    expected = np.quantile(x, np.linspace(0, 1, INTERVALS + 1), method="inverted_cdf")
    np.testing.assert_array_equal(found, expected)


def test_weights_are_repetitions_and_the_order_of_rows_does_not_matter(rng):
    x, weight = rng.standard_normal(500), rng.integers(1, 5, 500)
    found = knots_of(x, weight.astype(float))
    np.testing.assert_array_equal(found, knots_of(rng.permutation(np.repeat(x, weight))))
    assert not np.array_equal(found, knots_of(x))


@pytest.mark.parametrize("unit", [0.1, 1 / 3, 1e-30])
def test_only_proportions_of_weights_count(unit, rng):
    x = rng.standard_normal(480)
    np.testing.assert_array_equal(knots_of(x, np.full(480, unit)), knots_of(x))


@pytest.mark.parametrize("n_zeros", [900, 9900, 99_900])
def test_a_column_that_is_mostly_zero_has_most_of_its_knots_elsewhere(n_zeros, rng):
    x = np.concatenate([np.zeros(n_zeros), rng.uniform(1, 2, 100)])
    found = knots_of(x)
    assert found[0] == 0
    assert np.sum(found > 0) >= INTERVALS - 2


@pytest.mark.parametrize("largest", [1e-3, 1.0, 1e12])
def test_no_value_has_more_than_the_share_of_an_interval(largest, rng):
    mass = np.concatenate([[largest], 0.1 * largest * rng.random(2), rng.uniform(1, 2, 30)])
    found = _encoding._capped(mass)
    assert found.max() <= (1 + 1e-12) * found.sum() / INTERVALS
    kept = found < found.max() if largest == 1e12 else found == mass
    np.testing.assert_array_equal(found[kept], mass[kept])
    assert kept.sum() >= 30


def test_one_value_far_out_leaves_the_knots_where_they_are(rng):
    x = rng.standard_normal(1000)
    found = knots_of(np.append(x, 1e6))
    assert len(found) == INTERVALS + 1
    np.testing.assert_allclose(found[1:-1], knots_of(x)[1:-1], atol=0.02)


def test_knots_next_to_each_other_are_one():
    x = np.concatenate([np.linspace(0, 1, 50), np.linspace(0.5, 0.5 + 1e-9, 400)])
    found = knots_of(x)
    assert np.diff(found).min() > 1e-9
    assert found[0] == 0
    assert found[-1] == 1
    # Each compared with the last one that is kept: a chain of them does not vanish.
    chain = np.concatenate([[0.0], 0.5 + 0.9e-9 * np.arange(INTERVALS - 1), [1.0]])
    assert len(knots_of(chain)) == 2 + 8


def test_of_many_rows_some_place_the_knots(rng, monkeypatch):
    x = rng.standard_normal((4000, 1))
    X = np.hstack([x, np.arange(4000)[:, None] % 24])
    whole = place_ramps(X, np.ones(4000))
    monkeypatch.setattr(_encoding, "_MOST_ROWS", 2000)
    part = place_ramps(X, np.ones(4000))
    assert not np.array_equal(part.knot, whole.knot)
    np.testing.assert_allclose(part.knot[1:16], whole.knot[1:16], atol=0.1)
    # No step between the rows that are taken: of a periodic column all values are seen.
    assert len(np.unique(part.knot[part.column == 1] % 2)) == 2


def test_rows_that_place_the_knots_count_by_their_own_weights(rng, monkeypatch):
    monkeypatch.setattr(_encoding, "_MOST_ROWS", 1000)
    x = rng.random(4000)
    found = knots_of(x, np.where(x < 0.1, 1.0, 1e-6))
    assert len(found) == INTERVALS + 1
    assert (found[:-1] < 0.1).all()


# The layer in front


@pytest.mark.parametrize("units", [(1, 1), (1e-9, 1e9), (1e9, 1e-9), (1e150, 1e-150)])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_folded_layers_predict_what_the_network_does(n_outputs, units, table, rng):
    X, y = table
    X = X * [units[0], units[1], 1, 1]
    y = np.column_stack([y, -2 * y + 1])[:, :n_outputs]
    scaling = cases.fit_scaling(X, y, np.ones(len(X)))
    scaling.ramps = place_ramps(X, np.ones(len(X)))
    shape = (7, scaling.n_inputs + 1)
    network = Network(
        rng.standard_normal(shape),
        rng.standard_normal((7, n_outputs)),
        rng.standard_normal(n_outputs),
    )
    beyond = np.vstack([X, 3 * X, X - 2])
    rows = scaling.scaled_rows(beyond, np.ones(len(beyond)), np.float64, ones=1)
    expected = network.evaluate(rows) * scaling.y_scale + scaling.y_mean
    coefs, intercepts = scaling.fold(network)
    values = beyond
    for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
        values = np.maximum(values @ coef + intercept, 0)
    np.testing.assert_allclose(values @ coefs[-1] + intercepts[-1], expected, rtol=1e-11)
    again = scaling.unfold(coefs, intercepts)
    # A column by itself: what rounding leaves of one must not reach the next, in other units.
    used = np.delete(np.arange(shape[1]), 3)  # a constant column has no weights
    np.testing.assert_allclose(again.hidden[:, used], network.hidden[:, used], atol=1e-11)
    np.testing.assert_allclose(again.output, network.output)
    np.testing.assert_allclose(again.intercept, network.intercept, atol=1e-14)


@pytest.mark.parametrize("parameters", [{}, {"n_members": 2}, {"loss": "poisson"}], ids=repr)
def test_a_fit_has_a_layer_more(parameters, table):
    X, y = table
    model = quick(encoding="piecewise", **parameters).fit(X, y - y.min())
    n_knots, n_neurons = INTERVALS + 1 + 5, 16 * parameters.get("n_members", 1)
    sizes = (2 * 4 + n_knots, n_neurons)
    assert [coef.shape for coef in model.coefs_] == [(4, sizes[0]), sizes, (n_neurons, 1)]
    assert [len(intercept) for intercept in model.intercepts_] == [*sizes, 1]
    assert model.column_penalty_.shape == (4 + n_knots - 2,)
    active = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1]
    assert model.n_dead_ == np.sum(~(active + model.intercepts_[1] > 0).any(axis=0))
    mean, std = model.predict(X, return_std=True)
    assert np.isfinite(std).all()
    assert (std > 0).all()
    if not parameters:
        exported = model.to_mlp_regressor()
        assert exported.hidden_layer_sizes == sizes
        np.testing.assert_allclose(exported.predict(X), mean, rtol=1e-10)


def test_large_tables_in_memory_are_encoded_when_rows_are_needed(table, monkeypatch):
    X, y = table
    scaling = scaling_with_ramps(X, y)
    samples = Samples(X, y[:, None], np.ones(len(X)))
    held = training_data(scaling, samples, np.float32, ones=True)
    assert held.held
    model = quick(encoding="piecewise", batch_size=50)
    error = relative_error(model.fit(X, y), X, y)
    monkeypatch.setattr("sklearn_sketchgn._training_data.HELD_NUMBERS", X.size + len(X))
    lazy = training_data(scaling, samples, np.float32, ones=True)
    assert not lazy.held
    assert lazy.rows.shape == held.rows.shape
    np.testing.assert_array_equal(lazy.take(slice(20, 90)).rows, held.rows[20:90])
    scaling.ramps = None
    assert training_data(scaling, samples, np.float32, ones=True).held
    assert relative_error(model.fit(X, y), X, y) < 1.2 * error


# Whole fits


def test_nothing_to_encode_leaves_auto_plain(rng):
    X = rng.integers(0, 2, (60, 3)).astype(float)
    assert len(quick(encoding="auto").fit(X, X.sum(axis=1)).coefs_) == 2
    model = quick(encoding="piecewise").fit(X, X.sum(axis=1))
    assert [coef.shape for coef in model.coefs_] == [(3, 6), (6, 16), (16, 1)]


def test_weights_are_repetitions_in_a_fit(table, rng):
    X, y = (part[:60] for part in table)
    weight = rng.integers(1, 4, 60)
    model = quick(encoding="piecewise")
    weighted = model.fit(X, y, sample_weight=weight).predict(X)
    repeated = model.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).predict(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-7)


def test_warm_starts_keep_the_knots(table):
    X, y = table
    model = quick(encoding="piecewise", warm_start=True).fit(X, y)
    first = [coef.copy() for coef in model.coefs_]
    model.fit(X[:200] + 1.0, y[:200])
    np.testing.assert_array_equal(model.coefs_[0], first[0])
    assert not np.array_equal(model.coefs_[1], first[1])
    assert len(model.set_params(encoding="auto").fit(X, y).coefs_) == 3
    with pytest.raises(ValueError, match=r"cannot continue.*'piecewise'\) and is.*None\)"):
        model.set_params(encoding=None).fit(X, y)


# What cannot be


def test_sparse_tables_have_no_ramps(table):
    X, y = table
    with pytest.raises(TypeError, match="Sparse X is not supported .*; got a csr_array"):
        quick(encoding="piecewise").fit(sp.csr_array(X), y)
    assert len(quick(encoding="auto").fit(sp.csr_array(X), y).coefs_) == 2
    model = quick(encoding="piecewise").fit(X, y)
    found, expected = (model.predict(table, return_std=True) for table in (sp.csr_array(X), X))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_very_wide_tables_have_no_ramps(table, monkeypatch):
    X, y = table
    monkeypatch.setattr(_encoding, "MOST_COLUMNS", 3)
    with pytest.raises(ValueError, match=r"up to 3 columns, .* got X of shape \(300, 4\)"):
        quick(encoding="piecewise").fit(X, y)
    assert len(quick(encoding="auto").fit(X, y).coefs_) == 2
    assert len(quick(encoding="piecewise").fit(X[:, :3], y).coefs_) == 3


def test_rows_of_weight_zero_of_a_file_are_absent(table, tmp_path):
    X, y = table
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    weight = np.repeat([0.0, 1.0], [100, len(X) - 100])
    model = quick(encoding="piecewise")
    found = model.fit(mapped, y, sample_weight=weight).predict(X)
    np.testing.assert_array_equal(found, model.fit(X[100:], y[100:]).predict(X))


def test_all_rows_of_a_file_must_fit_in_memory_with_their_ramps(table, monkeypatch, tmp_path):
    X, y = table
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr("sklearn_sketchgn._training_data.HELD_NUMBERS", 3 * X.size)
    model = quick(encoding="piecewise", batch_size=None, tol=0.1)
    for all_rows in (None, len(X)):
        model.set_params(batch_size=all_rows)
        with pytest.raises(ValueError, match=f"batch_size={all_rows} takes .*or set encoding=None"):
            model.fit(mapped, y)
    model.set_params(batch_size=None)
    monkeypatch.setattr("sklearn_sketchgn._encoding_choice._pay", None)  # no probe would matter
    for encoding in ("auto", None):
        assert len(model.set_params(encoding=encoding).fit(mapped, y).coefs_) == 2
    model = clone(model).set_params(encoding="piecewise", warm_start=True, batch_size=50).fit(X, y)
    with pytest.raises(ValueError, match="on all rows.*or set encoding=None"):
        model.set_params(batch_size=None).fit(mapped, y)
    with pytest.raises(TypeError, match="Sparse X is not supported"):
        model.fit(sp.csr_array(X), y)


def test_the_network_of_the_paper_takes_columns_as_they_are(table):
    with pytest.raises(ValueError, match="needs encoding=None; got 'auto'"):
        quick(encoding="auto", train_output=False).fit(*table)


def test_a_stream_has_no_quantiles(table):
    X, y = table
    assert not hasattr(quick(encoding="auto"), "partial_fit")
    model = quick(encoding="piecewise").fit(X, y)
    with pytest.raises(AttributeError, match="partial_fit") as error:
        model.partial_fit  # noqa: B018
    assert "encoding=None; got 'piecewise'" in str(error.value.__cause__)
    with pytest.raises(ValueError, match="whose columns were encoded"):
        model.set_params(encoding=None).partial_fit(X, y)
