"""diag(c) J against a dense one: products, matrices and sketches."""

from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn._scaled_jacobian import ScaledJacobian
from sklearn_sketchgn.sketches import CountSketch
from tests import cases, references

SHAPES = [cases.Shape(17, 5, 9, 1), cases.Shape(17, 5, 9, 3), cases.Shape(90, 3, 4, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_a_dense_jacobian(shape, dtype, rng):
    arrays = cases.network_arrays(cases.ordinary_table, shape, rng, dtype=dtype)
    factor = rng.uniform(0.1, 3.0, size=shape.n_samples * shape.n_outputs)
    J = ScaledJacobian(Jacobian(*arrays), factor)
    dense = factor[:, None] * references.jacobian(*arrays)
    v = rng.standard_normal(J.shape[1]).astype(dtype)
    u = rng.standard_normal(J.shape[0]).astype(dtype)
    neurons = CountSketch(nnz_per_column=2).draw(4, shape.width, rng)
    samples = CountSketch(nnz_per_column=2).draw(6, J.shape[0], rng)
    found = {
        "J v": (J.matvec(v), dense @ v),
        "J' u": (J.rmatvec(u), dense.T @ u),
        "J J'": (J.gram(), dense @ dense.T),
        "J'J": (np.tril(J.lower_normal()), np.tril(dense.T @ dense)),
        "S J": (J.sketched_rows(samples), samples @ dense),
    }
    atol = 100 * np.finfo(dtype).eps * max(1.0, np.linalg.norm(dense, 2) ** 2)
    for product, (value, expected) in found.items():
        assert value.dtype == dtype, product
        np.testing.assert_allclose(value, expected, atol=atol, err_msg=product)
    assert J.gram_product(u).dtype == J.normal_product(v).dtype == dtype
    twice = atol * max(1.0, np.linalg.norm(dense, 2))
    np.testing.assert_allclose(J.gram_product(u), dense @ (dense.T @ u), atol=twice)
    np.testing.assert_allclose(J.normal_product(v), dense.T @ (dense @ v), atol=twice)
    columns = J.sketched_columns(neurons)
    gram = factor[:, None] * Jacobian(*arrays).sketched_columns(neurons).T.astype(float)
    np.testing.assert_allclose(columns.T, gram, atol=atol)
    lower = J.sketched_gram(neurons)
    assert columns.dtype == lower.dtype == dtype
    np.testing.assert_allclose(np.tril(lower), np.tril(gram @ gram.T), atol=10 * atol)


def test_a_sparse_sketch_is_scaled_whichever_way_it_is_applied(rng, monkeypatch):
    arrays = cases.network_arrays(cases.ordinary_table, SHAPES[2], rng)
    factor = rng.uniform(0.1, 3.0, size=180)
    J, dense = ScaledJacobian(Jacobian(*arrays), factor), references.jacobian(*arrays)
    S = CountSketch(nnz_per_column=2).draw(6, 180, rng)
    expected = S @ (factor[:, None] * dense)
    for work in (0, 10**9):
        monkeypatch.setattr("sklearn_sketchgn._row_sketch._WORK_A_ROW", work)
        np.testing.assert_allclose(J.sketched_rows(S), expected, atol=1e-10)


def test_a_sparse_sketch_may_come_by_columns_and_is_left_as_it_is(rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._row_sketch._WORK_A_ROW", 0)
    arrays = cases.network_arrays(cases.ordinary_table, SHAPES[2], rng)
    J = ScaledJacobian(Jacobian(*arrays), rng.uniform(0.1, 3.0, size=180))
    S = CountSketch(nnz_per_column=2).draw(6, 180, rng)
    kept = S.to_sparse(np.float64)
    expected = J.sketched_rows(S)
    for form in (kept, kept.tocsc()):
        own = SimpleNamespace(shape=S.shape, to_sparse=lambda _, form=form: form)
        before = form.toarray()
        np.testing.assert_allclose(J.sketched_rows(own), expected, atol=1e-10)
        np.testing.assert_array_equal(form.toarray(), before)


def test_the_plain_jacobian_is_left_alone(rng):
    arrays = cases.network_arrays(cases.ordinary_table, SHAPES[0], rng)
    plain = Jacobian(*arrays)
    expected = plain.gram()
    ScaledJacobian(plain, np.full(17, 2.0)).gram()
    np.testing.assert_array_equal(plain.gram(), expected)
