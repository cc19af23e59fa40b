"""Standardised rows that are held, and those that are made when they are asked for."""

import gc
import hashlib
import pickle
import weakref

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_sketchgn import SketchGNRegressor, _lazy_rows, _training_data
from sklearn_sketchgn._early_stopping import hold_out
from sklearn_sketchgn._lazy_rows import LazyRows, windowed_batches
from sklearn_sketchgn._moments import fit_moments
from sklearn_sketchgn._tables import Samples, SelectedRows, is_mapped, select_rows
from sklearn_sketchgn._training_data import Kept, TrainingData, check_all_rows, training_data
from tests import cases

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def quick(**parameters):
    few = {"width": 8, "max_iter": 30, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


def smooth(rng, n_samples=900, n_features=4):
    X = np.rint(10 * rng.standard_normal((n_samples, n_features)) + 30)
    return X, np.sin(X[:, 0] / 10) + 0.01 * X[:, 1] + 0.1 * rng.standard_normal(n_samples)


def mapped(X, folder, name="X.npy"):
    np.save(folder / name, X)
    return np.load(folder / name, mmap_mode="r")


@pytest.fixture
def lazily(monkeypatch):
    """Treat tables of more than a few numbers as too large to be held."""
    monkeypatch.setattr(_training_data, "HELD_NUMBERS", 500)
    for module in (_lazy_rows, _training_data):
        monkeypatch.setattr(module, "COPIED_NUMBERS", 500)
    monkeypatch.setattr(_training_data, "_BLOCK_NUMBERS", 1000)


# Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["CSR", "float32 file", "int16 file", "big-endian file", "part"])
def test_lazy_rows_are_the_held_ones(kind, dtype, lazily, tmp_path, rng):
    X, y = smooth(rng)
    X[rng.random(X.shape) < 0.5] = 0
    weight = rng.uniform(0.1, 3, len(y))
    scaling = cases.fit_scaling(X, y[:, None], weight)
    tables = {
        "CSR": lambda: csr_array(X),
        "float32 file": lambda: mapped(X.astype(np.float32), tmp_path),
        "int16 file": lambda: mapped(X.astype(np.int16), tmp_path),
        "big-endian file": lambda: mapped(X.astype(">f8"), tmp_path),
        "part": lambda: SelectedRows(np.repeat(X, 2, axis=0), np.arange(0, 2 * len(X), 2)),
    }
    samples = Samples(X, y[:, None], weight, rng.integers(0, 9, 900))
    held = training_data(scaling, samples, dtype, ones=True)
    lazy = training_data(scaling, samples._replace(X=tables[kind]()), dtype, ones=True)
    assert held.held
    assert isinstance(lazy.rows, LazyRows)
    assert (len(lazy), lazy.rows.shape, lazy.rows.size) == (900, (900, 5), 4500)
    np.testing.assert_array_equal(lazy.targets, held.targets)
    mask = rng.random(900) < 0.7
    for index in (slice(3, 700), rng.permutation(900)[:300], mask):
        assert lazy.rows[index].dtype == dtype
        np.testing.assert_array_equal(lazy.rows[index], held.rows[index])
        part, again = lazy.part(index if isinstance(index, np.ndarray) else mask), None
        again = part.part(np.arange(len(part) - 1, 0, -2))
        assert not part.held
        assert not again.held
        expected = held.part(index if isinstance(index, np.ndarray) else mask)
        np.testing.assert_array_equal(part.take(slice(None)).rows, expected.rows)
        np.testing.assert_array_equal(again.take(slice(None)).rows, expected.rows[:0:-2])
    blocks = list(lazy.blocks())
    assert len(blocks) > 3
    for name in ("rows", "targets", "weights", "groups"):
        joined = np.concatenate([getattr(block, name) for block in blocks])
        np.testing.assert_array_equal(joined, getattr(held, name))
    assert lazy.part(np.arange(20)).held


@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_columns_that_vary_are_told_from_constant_ones(kind, lazily, rng):
    X = rng.integers(0, 2, (5000, 5)) * 1.0
    X[:, 1], X[:, 3], X[-1, 3] = 7.0, 0.0, 1.0
    table = X if kind == "dense" else csr_array(X)
    weight = np.ones(5000)
    scaling = cases.fit_scaling(X, X[:, :1], weight)
    data = training_data(scaling, Samples(table, X[:, :1], weight), np.float32, ones=True)
    assert data.held == (kind == "dense")
    np.testing.assert_array_equal(data.varying_columns(), [True, False, True, True, True, True])


def test_what_is_small_in_memory_or_one_batch_is_held(tmp_path, rng, monkeypatch):
    X, y = smooth(rng)
    scaling, ones = cases.fit_scaling(X, y[:, None], np.ones(900)), np.ones(900)
    samples = Samples(X, y[:, None], ones)
    file = samples._replace(X=mapped(X, tmp_path))
    assert training_data(scaling, file, float, ones=True).held
    monkeypatch.setattr(_training_data, "HELD_NUMBERS", 500)
    assert not training_data(scaling, file, float, ones=True).held
    assert training_data(scaling, file, float, ones=True, hold=True).held
    assert training_data(scaling, samples, float, ones=True).held


def test_views_of_a_file_are_recognised(tmp_path, rng):
    file = mapped(smooth(rng)[0], tmp_path)
    assert is_mapped(file)
    assert is_mapped(np.asarray(file)[10:, ::2].T)
    assert not is_mapped(file[[1, 2]])
    assert not is_mapped(np.array(file))
    assert isinstance(select_rows(file, np.arange(3)), SelectedRows)
    assert isinstance(select_rows(np.array(file), np.arange(3)), np.ndarray)
    again = select_rows(select_rows(file, np.arange(5, 50)), np.array([3, 1]))
    assert isinstance(again, SelectedRows) and len(again) == 2
    np.testing.assert_array_equal(again[:], file[[8, 6]])


# Batches ------------------------------------------------------------------------------------------


def numbered(n_samples, n_features=3):
    rows = np.arange(float(n_samples * n_features)).reshape(n_samples, n_features)
    return TrainingData(rows, rows[:, :1], np.ones(n_samples))


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_an_epoch_has_every_sample_once_in_batches_of_equal_size(windows, masked, rng, monkeypatch):
    for name, value in (("_CHUNK_NUMBERS", 30), ("_CHUNKS", 4), ("_WINDOW_ROWS", 1)):
        monkeypatch.setattr(_lazy_rows, name, value)
    if windows:
        monkeypatch.setattr(_training_data, "HELD_NUMBERS", 100)
    for module in (_lazy_rows, _training_data):
        monkeypatch.setattr(module, "COPIED_NUMBERS", 100)
    data, mask = numbered(1003), np.ones(1003, dtype=bool)
    if masked:
        mask = rng.random(1003) < 0.8
    source = data.kept(mask) if masked else data
    assert isinstance(source, Kept if masked else TrainingData)
    assert len(source) == mask.sum()
    batches = list(source.batches(9, rng))
    sizes = {len(batch) for batch in batches}
    assert len(batches) == 9
    assert max(sizes) - min(sizes) <= 1
    seen = np.concatenate([batch.rows[:, 0] for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), data.rows[mask, 0])
    assert not np.array_equal(seen, data.rows[mask, 0])
    again = next(iter(source.batches(9, rng)))
    assert not np.array_equal(again.rows, batches[0].rows)


def test_windows_read_near_rows_together_and_mix_far_ones():
    n_rows, n_columns = 2_000_000, 31
    batches = windowed_batches(n_rows, n_columns, 8000, np.random.default_rng(0))
    first = [next(batches) for _ in range(100)]
    assert all((np.diff(batch) > 0).all() for batch in first)
    together = np.concatenate(first)
    # 25,000 rows out of 34 MB; so many random rows would need 25,000 pages, 100 MB.
    assert len(np.unique(together // 1057)) == 256
    # A batch alone is spread over the whole table: as a uniform sample, within four deviations.
    assert abs(np.mean(first[0]) / n_rows - 0.5) < 4 / np.sqrt(12 * 150)
    assert len(np.unique(first[0] // 1057)) > 120


@pytest.mark.parametrize("order", ["shuffled", "sorted"])
def test_a_sorted_file_is_learnt_as_well_as_a_shuffled_one(order, rng, monkeypatch):
    X = rng.uniform(-1, 1, (30_000, 3))
    y = np.sin(4 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(len(X))
    if order == "sorted":
        index = np.argsort(y)
        X, y = X[index], y[index]
    monkeypatch.setattr(_training_data, "HELD_NUMBERS", 1000)
    for name, value in (("_CHUNK_NUMBERS", 128), ("_WINDOW_ROWS", 1)):
        monkeypatch.setattr(_lazy_rows, name, value)
    model = SketchGNRegressor(width=32, max_iter=351, alpha=1.0, random_state=0).fit(X, y)
    Z = rng.uniform(-1, 1, (2000, 3))
    truth = np.sin(4 * Z[:, 0]) + Z[:, 1] * Z[:, 2]
    assert np.sqrt(np.mean((model.predict(Z) - truth) ** 2)) < 0.04


# Memory-mapped files ------------------------------------------------------------------------------

MODES = [
    {},
    {"early_stopping": True},
    {"n_members": 2},
    {"loss": "huber"},
    {"loss": "poisson"},
    {"train_output": False},
    {"batch_size": 80},
]


@pytest.mark.parametrize("parameters", MODES, ids=repr)
def test_a_file_is_fitted_like_the_array_to_the_last_bit(parameters, lazily, tmp_path, rng):
    X, y = smooth(rng)
    X, y = X / 10, y + 2
    weight = np.tile([0.0, 1.0, 2.5], 300)
    file = mapped(X, tmp_path)
    # Steps on all rows, which an array has and a large file has not, begin at ten steps.
    few = {**parameters, "max_iter": 9}
    for given in (None, weight):
        array, model = quick(**few).fit(X, y, given), quick(**few).fit(file, y, given)
        np.testing.assert_array_equal(model.predict(file), array.predict(X))
        np.testing.assert_array_equal(model.alpha_, array.alpha_)
        assert model.diagnosis_ == array.diagnosis_
        if array.loss == "squared_error":
            both = [m.predict(x, return_std=True)[1] for m, x in ((model, file), (array, X))]
            np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16, np.uint8, bool, ">f4", ">i8"])
@pytest.mark.parametrize("lazy", [False, True])
def test_files_of_any_dtype(dtype, lazy, tmp_path, rng, request):
    if lazy:
        request.getfixturevalue("lazily")
    X, y = smooth(rng)
    X = (X > 30 if dtype is bool else X.clip(0, 200)).astype(dtype)
    file = mapped(X, tmp_path)
    expected = quick(max_iter=9).fit(X.astype(float), y)
    model = quick(max_iter=9).fit(file, y)
    np.testing.assert_allclose(model.predict(file), expected.predict(X.astype(float)), rtol=1e-5)
    assert model.predict(file).dtype == (np.float32 if dtype is np.float32 else float)
    model.partial_fit(file[:400], y[:400])
    assert np.isfinite(model.predict(file)).all()


def test_validation_rows_may_be_files_too(lazily, tmp_path, rng):
    X, y = smooth(rng)
    file = mapped(X, tmp_path)
    model = quick(max_iter=9).fit(file[:600], y[:600], X_val=file[600:], y_val=y[600:])
    expected = quick(max_iter=9).fit(X[:600], y[:600], X_val=X[600:], y_val=y[600:])
    np.testing.assert_allclose(
        model.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-6
    )


def test_rows_to_stop_by_are_in_the_order_of_the_file(lazily, tmp_path, rng):
    X, _ = smooth(rng)
    samples = Samples(mapped(X, tmp_path), np.arange(900.0)[:, None], np.ones(900))
    kept, held_out = hold_out(samples, 0.1, rng)
    assert (len(kept.y), len(held_out.y)) == (810, 90)
    for part in (kept, held_out):
        assert (np.diff(part.y[:, 0]) > 0).all()
        np.testing.assert_array_equal(part.X[:], X[part.y[:, 0].astype(int)])


def test_all_steps_of_a_large_file_are_on_batches(lazily, tmp_path, rng):
    X, y = smooth(rng)
    file = mapped(X, tmp_path)
    model = quick(max_iter=30).fit(file, y)
    assert set(model.history_["batch_size"]) <= set(range(160, 257))
    assert model.n_iter_ == 30
    assert max(quick(max_iter=30).fit(X, y).history_["batch_size"]) == 900


def test_steps_on_all_rows_of_a_large_file_are_refused(lazily, tmp_path, rng):
    X, y = smooth(rng)
    file = mapped(X, tmp_path)
    message = r"batch_size=None.*0 MB for this X of shape \(900, 4\).*Set `batch_size`"
    for call in (quick(batch_size=None).fit, quick(batch_size=None).partial_fit):
        with pytest.raises(ValueError, match=message):
            call(file, y)
    check_all_rows(X, None)
    check_all_rows(file, 256)
    check_all_rows(file[:50], None)


def test_a_file_is_not_written_to_and_not_kept(lazily, tmp_path, rng):
    X, y = smooth(rng)
    np.save(tmp_path / "X.npy", X)
    before = hashlib.sha256((tmp_path / "X.npy").read_bytes()).hexdigest()
    file = np.load(tmp_path / "X.npy", mmap_mode="r+")
    model = quick(warm_start=True, early_stopping=True).fit(file, y).fit(file, y)
    model.predict(file, return_std=True)
    assert hashlib.sha256((tmp_path / "X.npy").read_bytes()).hexdigest() == before
    alive = weakref.ref(file)
    del file
    gc.collect()
    assert alive() is None
    assert len(pickle.dumps(quick().fit(X, y))) < len(pickle.dumps(model)) + 10_000


def test_nan_in_a_file_is_found(tmp_path, rng):
    X, y = smooth(rng)
    X[777, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        quick().fit(mapped(X, tmp_path), y)


def test_weights_that_are_all_one_number_take_no_memory(rng):
    X, y = smooth(rng)
    weight = np.broadcast_to(1.0, len(y))
    scaling = cases.fit_scaling(X, y[:, None], weight)
    data = training_data(scaling, Samples(X, y[:, None], weight), float, ones=True)
    assert data.weights.strides == (0,)
    moments, expected = fit_moments(X, weight), fit_moments(X, np.ones(len(y)))
    np.testing.assert_array_equal(moments.mean, expected.mean)
    np.testing.assert_array_equal(moments.deviation, expected.deviation)


def test_the_covariance_of_rows_in_single_precision_is_in_double(rng):
    rows = rng.standard_normal((500, 4)).astype(np.float32)
    features = rows[:, :-1].astype(np.float64)
    found = TrainingData(rows, rows[:, :1], np.ones(500)).covariance
    np.testing.assert_allclose(found, features.T @ features / 500, rtol=1e-12)
