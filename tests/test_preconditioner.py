"""Factors of sketched matrices."""

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from sklearn_sketchgn._preconditioner import factor_columns, factor_gram

either_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def lower_gram(columns):
    gram = np.asfortranarray(np.tril(columns.T @ columns))
    gram[np.triu_indices(len(gram), 1)] = 1e3  # never to be read
    return gram


@either_dtype
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_gram_factor_applies_the_inverse(dtype, ridge, rng):
    columns = rng.standard_normal((30, 8)).astype(dtype)
    factor = factor_gram(lower_gram(columns), ridge, exact=True)
    assert factor.exact
    inverse = np.linalg.inv(columns.T @ columns + ridge * np.eye(8))
    v = rng.standard_normal(8).astype(dtype)
    assert factor.apply(v).dtype == dtype
    np.testing.assert_allclose(factor.apply(v), inverse @ v, rtol=1e3 * np.finfo(dtype).eps)


@either_dtype
def test_column_factor_applies_the_inverse(dtype, rng):
    # A square of the condition number would leave nothing in float32.
    columns = (rng.standard_normal((30, 4)) * np.array([1, 1e-1, 1e-2, 1e-3])).astype(dtype)
    expected = np.linalg.inv(columns.astype(float).T @ columns.astype(float))
    factor = factor_columns(columns.copy())
    assert not factor.exact
    v = rng.standard_normal(4).astype(dtype)
    np.testing.assert_allclose(factor.apply(v), expected @ v, rtol=1e5 * np.finfo(dtype).eps)


@either_dtype
def test_singular_gram_gets_a_ridge_at_round_off(dtype, rng):
    half = rng.standard_normal((30, 4)).astype(dtype)
    columns = np.hstack([half, half])
    factor = factor_gram(lower_gram(columns), 0.0)
    assert np.isfinite(factor.apply(np.ones(8, dtype=dtype))).all()
    # In the range of the matrix the factor is still its inverse, to a rough preconditioner's worth.
    v = columns.T @ (columns @ np.ones(8, dtype=dtype))
    np.testing.assert_allclose(factor.apply(v), np.ones(8), rtol=0.1)


def test_columns_without_full_rank_have_no_factor(rng):
    half = rng.standard_normal((30, 4))
    assert factor_columns(np.hstack([half, half])) is None
    assert factor_columns(rng.standard_normal((3, 4))) is None
    assert factor_columns(np.full((5, 2), np.nan)) is None
    assert factor_columns(np.zeros((5, 2))) is None


@pytest.mark.parametrize("ridge", [0.0, 1.0, 1e3])
@pytest.mark.parametrize("size", [4, 300])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_entry_off_the_diagonal_that_is_not_finite(value, size, ridge, dtype):
    lower = np.asfortranarray(np.eye(size, dtype=dtype))
    lower[size // 2, 1] = value
    with np.errstate(invalid="ignore"), pytest.raises(LinAlgError, match="not positive definite"):
        factor_gram(lower, ridge)


def test_gram_that_cannot_be_factored():
    gram = np.eye(3, order="F")
    gram[1, 1] = np.inf
    with pytest.raises(LinAlgError, match="sketched Gram matrix is not finite"):
        factor_gram(gram, 1.0)
    with pytest.raises(LinAlgError, match="not positive definite"):
        factor_gram(np.asfortranarray(np.diag([1.0, -1.0, 1.0])), 0.1)
