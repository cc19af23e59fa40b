"""Sparse inputs: moments from the stored entries, and fits like those of the dense table."""

import gc
import pickle
import weakref
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklearn_sketchgn import SketchGNRegressor, _lazy_rows, _training_data
from sklearn_sketchgn._diagnosis import diagnose, largest_deviations
from sklearn_sketchgn._forward import network_blocks
from sklearn_sketchgn._moments import fit_moments
from sklearn_sketchgn._sparse import all_within, canonical
from tests import cases, references

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def quick(**parameters):
    few = {"width": 8, "max_iter": 30, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


def table(rng, n_samples=400, n_features=12, density=0.2):
    X = rng.standard_normal((n_samples, n_features)) * np.logspace(-2, 2, n_features) + 1
    X[rng.random(X.shape) > density] = 0
    return X, np.tanh(X[:, 3]) + np.sin(X[:, 4]) + 0.1 * rng.standard_normal(n_samples)


@pytest.fixture
def lazily(monkeypatch):
    """Treat tables of more than a few numbers as too large to be held."""
    monkeypatch.setattr(_training_data, "HELD_NUMBERS", 500)
    for module in (_lazy_rows, _training_data):
        monkeypatch.setattr(module, "COPIED_NUMBERS", 500)
    monkeypatch.setattr(_training_data, "_BLOCK_NUMBERS", 1000)


# Moments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [2**20, 7])
@pytest.mark.parametrize("magnitude", [1.0, 1e-290, 1e300])
def test_moments_are_those_of_the_dense_table(entries, magnitude, rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._sparse._ENTRIES", entries)
    X, _ = table(rng)
    X[:, 0] = rng.standard_normal(len(X)) + 1e6  # no zeros, a mean of a million deviations
    X[:, 1] = 0
    X[5, 2] = 3.0
    X *= magnitude / 1e6 if magnitude > 1 else magnitude
    weight = rng.uniform(0.1, 3, len(X))
    found, dense = fit_moments(sp.csr_array(X), weight), fit_moments(X, weight)
    assert found.weight == dense.weight
    np.testing.assert_allclose(found.mean, dense.mean, rtol=1e-12)
    np.testing.assert_allclose(found.deviation, dense.deviation, rtol=1e-9)
    if magnitude == 1:
        mean, deviation = references.mean_and_deviation(X, weight)
        np.testing.assert_allclose(found.mean, mean.astype(float), rtol=1e-12)
        np.testing.assert_allclose(found.deviation[2:], deviation[2:].astype(float), rtol=1e-12)


@pytest.mark.parametrize("value", [0.998, -3e5, 1e300, 1 / 3])
def test_constant_columns_count_as_absent(value, rng):
    X = np.column_stack([np.full(10_741, value), rng.standard_normal(10_741), np.zeros(10_741)])
    moments = fit_moments(sp.csr_array(X), np.ones(len(X)))
    np.testing.assert_array_equal(moments.deviation > 0, [False, True, False])
    assert moments.mean[0] == pytest.approx(value, rel=1e-15)


def test_a_table_of_zeros_has_moments():
    moments = fit_moments(sp.csr_array((30, 3)), np.ones(30))
    np.testing.assert_array_equal(moments.mean, 0)
    np.testing.assert_array_equal(moments.deviation, 0)


def test_standardised_rows_have_the_bits_of_dense_ones(rng):
    X, y = table(rng)
    root = np.sqrt(rng.uniform(0.1, 3, len(X)))
    scaling = cases.fit_scaling(X, y[:, None], root**2)
    for dtype in (np.float32, np.float64):
        dense = scaling.scaled_rows(X, root, dtype, ones=1)
        found = scaling.scaled_rows(sp.csr_array(X), root, dtype, ones=1)
        np.testing.assert_array_equal(found, dense)
        assert found.dtype == dtype


def test_entries_that_occur_twice_are_summed_and_the_table_is_left_alone(rng):
    X, _ = table(rng)
    rows, columns = X.nonzero()
    half = 0.5 * X[rows, columns]
    coo = sp.coo_array(
        (np.r_[half, half], (np.r_[rows, rows], np.r_[columns, columns])), shape=X.shape
    )
    twice = sp.csr_array(X).copy()
    twice.data, twice.indices = np.repeat(0.5 * twice.data, 2), np.repeat(twice.indices, 2)
    twice.indptr = 2 * twice.indptr
    before = twice.data.copy()
    np.testing.assert_array_equal(canonical(twice).toarray(), X)
    np.testing.assert_array_equal(twice.data, before)
    y = 5 + X[:, 3]  # no prediction is a small difference of large numbers
    expected = quick().fit(sp.csr_array(X), y)
    for other in (coo, twice):
        model = quick().fit(other, y)
        np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])
        for found, wanted in zip(
            model.predict(other, return_std=True), expected.predict(X, return_std=True), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-10)
    np.testing.assert_array_equal(twice.data, before)


# Diagnosis ----------------------------------------------------------------------------------------


def test_diagnosis_is_that_of_the_dense_table(rng):
    X, y = table(rng, n_samples=20_000)
    X[:, 0] = 0
    X[3, 0] = 1.0  # rare, but with two values only
    X[4, 1] = 1e9
    # Its one zero is farthest from the mean.
    X[:, 2] = 5 + 0.1 * rng.standard_normal(len(X))
    X[5, 2] = 0
    scaling = cases.fit_scaling(X, y[:, None], np.ones(len(X)))
    coefs = [rng.standard_normal((12, 5)), None]
    intercepts = [np.array([0, 0, 0, -1e12, -1e12]), None]
    found = diagnose(sp.csr_array(X), scaling, coefs, intercepts)
    assert found == diagnose(X, scaling, coefs, intercepts)
    assert found[0] == 2
    assert [sentence[:8] for sentence in found[1]] == ["column 1"]
    np.testing.assert_allclose(
        largest_deviations(sp.csr_array(X), scaling), largest_deviations(X, scaling), rtol=1e-14
    )


# Fits ---------------------------------------------------------------------------------------------

MODES = [
    {},
    {"n_members": 2},
    {"early_stopping": True},
    {"loss": "huber"},
    {"loss": "poisson"},
    {"train_output": False},
    {"batch_size": None, "max_iter": 4, "alpha": 1.0},
    {"solver": "cg"},
]


@pytest.mark.parametrize("parameters", MODES, ids=repr)
def test_a_fit_in_one_batch_is_that_of_the_dense_table(parameters, rng):
    X, y = table(rng, n_samples=200)
    X /= np.maximum(np.abs(X).max(axis=0), 1e-300)
    y = np.exp(y)
    weight = rng.uniform(0.5, 2, len(y))
    dense = quick(**parameters).fit(X, y, weight)
    model = quick(**parameters).fit(sp.csr_array(X), y, weight)
    rtol = 1e-5 if parameters.get("solver") == "cg" else 1e-7
    np.testing.assert_allclose(model.alpha_, dense.alpha_, rtol=rtol)
    expected = dense.predict(X)
    size = np.abs(expected).max()
    for inputs in (X, sp.csr_array(X), sp.csc_matrix(X)):
        np.testing.assert_allclose(model.predict(inputs), expected, atol=rtol * size)


@pytest.mark.parametrize("parameters", MODES[:6], ids=repr)
@pytest.mark.parametrize("large", [False, True])
def test_a_fit_in_batches_is_that_of_the_dense_table_to_float32(parameters, large, rng, request):
    # Few steps: differences in the last digit of a mean grow from step to step.
    if large:
        request.getfixturevalue("lazily")
    X, y = table(rng, n_samples=1200)
    X /= np.maximum(np.abs(X).max(axis=0), 1e-300)
    y = np.exp(y)
    weight = np.tile([0.0, 1.0, 2.0], 400)
    few = {**parameters, "max_iter": 9, "alpha": 1.0}
    dense, model = quick(**few).fit(X, y, weight), quick(**few).fit(sp.csc_array(X), y, weight)
    expected = dense.predict(X)
    assert np.std(expected) > 0.05 * np.std(y)
    np.testing.assert_allclose(model.predict(sp.csr_array(X)), expected, atol=1e-4 * np.std(y))
    if model.loss == "squared_error":
        std = model.predict(sp.csr_array(X), return_std=True)[1]
        np.testing.assert_allclose(std, dense.predict(X, return_std=True)[1], rtol=0.02)


def test_a_whole_fit_in_batches_errs_as_much_as_the_dense_one(lazily, rng):
    X, y = table(rng, n_samples=1500)
    test = np.arange(1500) >= 1200
    dense = quick(max_iter=90).fit(X[~test], y[~test])
    model = quick(max_iter=90).fit(sp.csr_array(X[~test]), y[~test])
    errors = [np.sqrt(np.mean((m.predict(X[test]) - y[test]) ** 2)) for m in (dense, model)]
    assert errors[0] < 0.8 * y[test].std()
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


def test_weights_are_repetitions(rng):
    X, y = table(rng, n_samples=60)
    weight = rng.integers(0, 4, 60)
    weighted = quick().fit(sp.csr_array(X), y, weight)
    repeated = quick().fit(sp.csr_array(np.repeat(X, weight, axis=0)), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_matrix, sp.coo_array, sp.lil_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_formats_and_dtypes(make, dtype, rng):
    X, y = table(rng)
    X = np.rint(X).astype(dtype)
    expected = quick().fit(X.astype(float), y).predict(X)
    model = quick().fit(make(X), y)
    assert model.predict(make(X)).dtype == (np.float32 if dtype == np.float32 else float)
    np.testing.assert_allclose(model.predict(make(X)), expected, atol=2e-2 * np.std(y))


@pytest.mark.parametrize("batch_size", ["auto", None])
def test_streams_of_sparse_blocks(batch_size, rng):
    X, y = table(rng, n_samples=800)
    few = {"width": 8, "batch_size": batch_size, "random_state": 0, "alpha": 1.0}
    dense, model = SketchGNRegressor(**few), SketchGNRegressor(**few)
    for block in np.split(np.arange(800), 4):
        dense.partial_fit(X[block], y[block])
        model.partial_fit(sp.csr_array(X[block]), y[block])
    np.testing.assert_allclose(model.predict(X), dense.predict(X), atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_entries_that_are_not_finite_raise(value, rng):
    X, y = table(rng)
    X[7, 2] = value
    model = quick().fit(np.nan_to_num(X, posinf=0.0), y)
    for call in (quick().fit, quick().partial_fit):
        with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
            call(sp.csr_array(X), y)
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        model.predict(sp.csr_array(X))


def test_large_entries_are_refused_by_the_paper(rng):
    X, y = table(rng)
    with pytest.raises(ValueError, match="train_output=False.*got an entry of size 1e\\+1[34]"):
        quick(train_output=False).fit(sp.csr_array(1e13 / np.abs(X).max() * X), y)


def test_steps_on_all_rows_of_a_large_table_are_refused(lazily, rng):
    X, y = table(rng)
    with pytest.raises(ValueError, match="batch_size=None.*a sparse or memory-mapped X may take"):
        quick(batch_size=None).fit(sp.csr_array(X), y)


def test_nothing_of_the_table_is_kept(lazily, rng):
    X, y = table(rng)
    X = sp.csr_array(X)
    model = quick(warm_start=True).fit(X, y).fit(X, y)
    model.predict(X, return_std=True)
    alive = weakref.ref(X)
    size = X.data.nbytes
    del X
    gc.collect()
    assert alive() is None
    assert size > 4000
    again = pickle.loads(pickle.dumps(model))
    X, _ = table(rng)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    inside = sp.csr_array(np.clip(X, *model.input_bounds_))
    np.testing.assert_allclose(model.to_mlp_regressor().predict(inside), again.predict(X))


def test_encoded_categories_in_a_pipeline(rng):
    categories = rng.integers(0, 30, size=(1500, 2))
    y = np.sin(categories[:, 0]) + 0.1 * categories[:, 1] + 0.1 * rng.standard_normal(1500)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), quick(max_iter=150))
    assert cross_val_score(model, categories, y, cv=3).min() > 0.95


@pytest.mark.parametrize("least", [0.0, 0.3])
@pytest.mark.parametrize("largest", [0.5, 2.0])
def test_rows_are_moved_into_bounds_as_dense_ones_are(least, largest, rng):
    X = sp.csr_array(rng.uniform(0.35, 0.9, (40, 6)) * (rng.random((40, 6)) < 0.4))
    scaling = cases.fit_scaling(X.toarray(), np.ones((40, 1)), np.ones(40))
    scaling.bounds = np.array([np.full(6, least), np.full(6, largest)])
    inside = all_within(X, scaling.bounds)
    assert inside == (least == 0 and largest == 2)
    weight = rng.uniform(0.5, 2, 40)
    found, expected = (
        scaling.scaled_rows(table, weight, np.float64, ones=1) for table in (X, X.toarray())
    )
    np.testing.assert_array_equal(found, expected)
    plain = replace(scaling, bounds=None).scaled_rows(X, weight, np.float64, ones=1)
    assert np.array_equal(found, plain) == inside


def test_predictions_of_sparse_rows_take_blocks_by_what_is_stored():
    # Five arrays of 5000 numbers a row, where a layer has two: 32 MB are 167 rows.
    blocks = network_blocks(sp.csr_array(np.ones((600, 5000))), [np.empty((5000, 2))])
    assert [block.stop - block.start for block in blocks] == [167, 167, 167, 99]
