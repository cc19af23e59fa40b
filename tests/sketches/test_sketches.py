"""What is particular to one sketch."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from sklearn_sketchgn.sketches import SRHT, CountSketch, Gaussian
from tests import cases
from tests.sketches.test_sketch_contract import (
    condition_after_sketched_qr,
    dense,
    predicted_condition,
)


def test_srht_of_full_size_is_orthogonal(rng):
    S = dense(SRHT().draw(37, 37, rng))
    np.testing.assert_allclose(S.T @ S, np.eye(37), atol=1e-13)


def test_srht_refuses_more_rows_than_there_are(rng):
    message = "sketch_size must be at most n_rows = 10 for SRHT.*got 11"
    with pytest.raises(ValueError, match=message):
        SRHT().draw(11, 10, rng)


class UnpermutedSRHT(SRHT):
    def draw(self, sketch_size, n_rows, rng):
        S = super().draw(sketch_size, n_rows, rng)
        return dataclasses.replace(S, permutation=np.arange(n_rows))


def test_srht_needs_its_permutation_on_a_periodic_matrix(rng):
    A = cases.periodic(1000, 40, rng)
    assert condition_after_sketched_qr(SRHT(), A, 2, rng) < 1.3 * predicted_condition(2)
    assert condition_after_sketched_qr(UnpermutedSRHT(), A, 2, rng) > 1e3


@pytest.mark.parametrize("sketch_size", [1, 5, 8, 30, 31])
@pytest.mark.parametrize("nnz_per_column", [1, 2, 8])
def test_count_sketch_has_so_many_nonzeros_per_column(sketch_size, nnz_per_column, rng):
    S = dense(CountSketch(nnz_per_column).draw(sketch_size, 500, rng))
    nnz = min(nnz_per_column, sketch_size)
    np.testing.assert_array_equal(np.count_nonzero(S, axis=0), nnz)
    np.testing.assert_allclose(np.abs(S[S != 0]), 1 / np.sqrt(nnz), rtol=1e-15)
    # All rows are reached: 500 columns leave one of at most 31 rows empty with chance 3e-6.
    assert np.count_nonzero(S, axis=1).min() > 0


def test_count_sketch_needs_several_nonzeros_on_a_coherent_matrix(rng):
    # Of 40 heavy rows in 160 buckets, some two share one with a chance of 1 - exp(-40 * 39 / 320).
    A = cases.coherent(1000, 40, rng)
    bound = 1.3 * predicted_condition(4)
    assert condition_after_sketched_qr(CountSketch(nnz_per_column=1), A, 4, rng) > 1e3
    assert condition_after_sketched_qr(CountSketch(nnz_per_column=8), A, 4, rng) < bound


@pytest.mark.parametrize(
    ("nnz_per_column", "error", "message"),
    [
        (0, ValueError, "nnz_per_column must be at least 1, got 0"),
        (2.5, TypeError, r"nnz_per_column must be an integer, got 2.5 \(float\)"),
        (None, TypeError, r"nnz_per_column must be an integer, got None \(NoneType\)"),
    ],
)
def test_count_sketch_checks_its_parameter_in_draw(nnz_per_column, error, message, rng):
    sketch = CountSketch(nnz_per_column=nnz_per_column)
    with pytest.raises(error, match=message):
        sketch.draw(5, 10, rng)


def test_gaussian_entries_are_independent_across_its_blocks(rng):
    # 2 ** 20 columns fit into a block, so that S comes in four blocks, the last one of 7 columns.
    S = Gaussian().draw(4, 3 * 2**20 + 7, rng)
    probe = np.zeros((S.shape[1], 4))
    for block in range(4):
        probe[block * 2**20 :][:7, block] = 1
    products = S @ probe * np.sqrt(4 / 7)  # standard normal
    assert len(np.unique(products)) == 16
    assert 0.2 < np.mean(products**2) < 3


def test_gaussian_does_not_hold_the_matrix(rng):
    S = Gaussian().draw(2000, 10000, rng)
    A = np.ones((10000, 1), dtype=np.float32)
    tracemalloc.start()
    S @ A
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6  # S itself would take 80 MB
