"""S J of a structured Jacobian for sketches of every kind, against dense products."""

from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_sketchgn._scaled_jacobian import ScaledJacobian
from sklearn_sketchgn.sketches import CountSketch, Gaussian
from tests import cases
from tests.test_jacobian import (
    either_dtype,
    make,
    mask_stored_or_not,
    output_trained_or_not,
    tolerance,
)


@mask_stored_or_not
@output_trained_or_not
@either_dtype
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("work", [0, 10**9], ids=["row by row", "by columns"])
def test_both_ways_to_apply_a_sparse_sketch(work, k, dtype, train_output, stored, rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._row_sketch._WORK_A_ROW", work)
    monkeypatch.setattr("sklearn_sketchgn._row_sketch.BLOCK_ELEMENTS", 200)
    shape = cases.Shape(90, 3, 4, k)
    J, dense = make(shape, rng, train_output=train_output, stored=stored, dtype=dtype)
    S = CountSketch(nnz_per_column=2).draw(7, J.shape[0], rng)
    found = J.sketched_rows(S)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, S @ dense, atol=tolerance(dtype, dense))


def test_a_row_of_a_sparse_sketch_may_be_empty(rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._row_sketch._WORK_A_ROW", 0)
    J, dense = make(cases.Shape(5, 3, 4, 1), rng)
    S = CountSketch(nnz_per_column=1).draw(40, 5, rng)
    np.testing.assert_allclose(J.sketched_rows(S), S @ dense, atol=1e-12)


@pytest.mark.parametrize("form", ["csc", "coo"])
def test_a_sparse_sketch_may_come_in_any_form(form, rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._row_sketch._WORK_A_ROW", 0)
    J, dense = make(cases.Shape(90, 3, 4, 2), rng)
    S = CountSketch(nnz_per_column=2).draw(7, J.shape[0], rng)
    own = SimpleNamespace(shape=S.shape, to_sparse=lambda dtype: S.to_sparse(dtype).asformat(form))
    np.testing.assert_allclose(J.sketched_rows(own), S @ dense, atol=1e-12)


@mask_stored_or_not
@output_trained_or_not
@either_dtype
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("entries", [20, 100, 10**6], ids=["3 columns", "14 columns", "all"])
def test_a_dense_sketch_in_pieces_that_end_anywhere(
    entries, k, dtype, train_output, stored, rng, monkeypatch
):
    # 25 rows for each output: pieces of 14 columns end within an output and beyond it.
    monkeypatch.setattr("sklearn_sketchgn.sketches._gaussian._ENTRIES_PER_BLOCK", entries)
    shape = cases.Shape(25, 3, 4, k)
    J, dense = make(shape, rng, train_output=train_output, stored=stored, dtype=dtype)
    S = Gaussian().draw(7, J.shape[0], rng)
    found = J.sketched_rows(S)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, S @ dense, atol=tolerance(dtype, dense))
    factor = rng.uniform(0.1, 3.0, size=J.shape[0])
    scaled = ScaledJacobian(J, factor).sketched_rows(S)
    assert scaled.dtype == dtype
    expected = S @ (factor[:, None] * dense)
    np.testing.assert_allclose(scaled, expected, atol=3 * tolerance(dtype, dense))


def test_a_dense_sketch_is_generated_once(rng):
    J, dense = make(cases.Shape(60, 3, 40, 1), rng)
    S = Gaussian().draw(7, 60, rng)
    asked = []

    class Counting:
        shape = S.shape

        def column_blocks(self, dtype):
            asked.append(dtype)
            return S.column_blocks(dtype)

    np.testing.assert_allclose(J.sketched_rows(Counting()), S @ dense, atol=1e-12)
    assert asked == [np.float64]
