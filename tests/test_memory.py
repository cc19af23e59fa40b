"""The most memory that a fit allocates, in arrays of its table's rows (docs/scaling.md)."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_sketchgn import SketchGNRegressor, _lazy_rows, _training_data

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)

N_FEATURES = 40


def array(n_rows, folder):
    return np.random.default_rng(0).standard_normal((n_rows, N_FEATURES))


def csr(n_rows, folder):
    X = array(n_rows, folder)
    return sp.csr_array(np.where(X > 1.3, X, 0))


def file(n_rows, folder):
    np.save(folder / "X.npy", array(n_rows, folder).astype(np.float32))
    return np.load(folder / "X.npy", mmap_mode="r")


def peak(X, method="fit", **parameters):
    """Return the most bytes that a short fit has allocated at a time, its table not counted."""
    y = np.random.default_rng(1).standard_normal(X.shape[0])
    # Nine steps: a tenth of them would be a step on all rows.
    model = SketchGNRegressor(**{"width": 8, "max_iter": 9, "random_state": 0, **parameters})
    tracemalloc.start()
    try:
        getattr(model, method)(X, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bytes_a_row(make, folder, **parameters):
    n_rows = 100_000
    small, large = (peak(make(n, folder), **parameters) for n in (n_rows, 2 * n_rows))
    return (large - small) / n_rows


@pytest.fixture
def small_blocks(monkeypatch):
    """Treat tables as large ones, and let blocks of fixed size weigh little."""
    monkeypatch.setattr(_training_data, "HELD_NUMBERS", 2**18)
    for module in (_lazy_rows, _training_data):
        monkeypatch.setattr(module, "COPIED_NUMBERS", 2**18)
    monkeypatch.setattr("sklearn_sketchgn._sparse._ENTRIES", 2**16)


def test_an_array_takes_one_more_in_float32(small_blocks, tmp_path):
    one_array = 4 * (N_FEATURES + 1)
    assert one_array < bytes_a_row(array, tmp_path) < one_array + 12 * 8


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"n_members": 2}], ids=repr)
def test_a_file_takes_a_few_numbers_a_row(parameters, small_blocks, tmp_path):
    assert bytes_a_row(file, tmp_path, **parameters) < 12 * 8


def test_a_sparse_table_takes_a_few_numbers_a_row(small_blocks, tmp_path):
    assert bytes_a_row(csr, tmp_path) < 12 * 8


def test_a_file_of_24_megabytes_is_not_copied(small_blocks, tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).random((300_000, 20), dtype=np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert peak(X) < 24e6 + 12e6


def test_a_wide_sparse_table_is_never_dense():
    X = sp.random(20_000, 5_000, 0.002, format="csr", random_state=0)
    # 800 MB as an array, 400 MB in float32.
    assert peak(X) < 150e6


@pytest.mark.parametrize("make", [array, csr, file])
def test_a_block_of_a_stream_takes_no_array_of_rows_by_neurons(make, small_blocks, tmp_path):
    small, large = (
        peak(make(n, tmp_path), "partial_fit", width=256, alpha=1.0) for n in (20_000, 40_000)
    )
    assert (large - small) / 20_000 < 4 * (N_FEATURES + 1) + 12 * 8


def test_steps_on_all_rows_take_a_few_arrays_of_rows_by_neurons(tmp_path):
    width, rows = 64, 8 * (N_FEATURES + 1)
    small, large = (
        peak(array(n, tmp_path)[:, :5], batch_size=None, width=width, alpha=1.0, max_iter=2)
        for n in (20_000, 40_000)
    )
    assert (large - small) / 20_000 < rows + 4 * 8 * width
