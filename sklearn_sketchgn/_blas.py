"""Products by the BLAS that scipy links: the one that factors and triangular solves come from.

The wheels of numpy and of scipy carry a BLAS each, whose threads go on spinning for milliseconds
after a call. A loop that alternates between the two has them compete for the cores: a product by
numpy and a Cholesky factor by scipy, 256 rows each, took 15 ms with two threads on two cores, by
scipy both 0.8 ms. So all that a step computes is left to one of them.
"""

from functools import cache
from math import sqrt

import numpy as np
from scipy.linalg import get_blas_funcs

#: Elements of one temporary block: 1 MB in float32, which stays in a core's second-level cache.
BLOCK_ELEMENTS = 2**18


def product(left, right, out=None, *, add=False):
    """Return ``left @ right`` for a matrix and a matrix or vector of real numbers.

    Parameters
    ----------
    left : ndarray of shape (n_rows, n_inner)
        In any order; copied if its rows or columns are not contiguous.
    right : ndarray of shape (n_inner, n_columns) or (n_inner,)
        Likewise.
    out : ndarray of shape (n_rows, n_columns) or None, default=None
        Where the result goes, in C order, computed in its dtype; None is a new array in the larger
        dtype of both.
    add : bool, default=False
        Add the product to ``out``.

    Returns
    -------
    ndarray of shape (n_rows, n_columns) or (n_rows,)
        The product, in C order.

    Raises
    ------
    ValueError
        If ``out`` is not in C order, or of a product with a vector: it would be left as it is.
    """
    if out is not None and right.ndim == 1:
        raise ValueError("out is for products of two matrices.")
    if not left.size or not right.size:
        return out if add else np.matmul(left, right, out=out)
    if right.ndim == 1 or (right.shape[1] == 1 and out is None):
        gemv = routine("gemv", left, right)
        matrix, transposed = _fortran(left)
        result = gemv(1.0, matrix, right.ravel(), trans=transposed)
        return result if right.ndim == 1 else result[:, None]
    if out is not None and not out.flags.c_contiguous:
        raise ValueError(f"out must be in C order, got strides {out.strides}.")
    # The routine of the dtype of `out`: with another one it would write to a copy.
    gemm = routine("gemm", left, right) if out is None else routine("gemm", out, out)
    # A result in C order is the transposed one in Fortran order: (A B)' = B' A'.
    first, first_transposed = _fortran(right.T)
    second, second_transposed = _fortran(left.T)
    keywords = {} if out is None else {"c": out.T, "overwrite_c": True, "beta": float(add)}
    result = gemm(
        1.0, first, second, trans_a=first_transposed, trans_b=second_transposed, **keywords
    )
    return result.T


def add_outer(lower, factor, *, times=1.0):
    """Add a multiple of B B' to the lower triangle of a Fortran array in place.

    This is half of a full product. Raises ValueError for an array in C order, which would be left
    as it is.
    """
    if not lower.flags.f_contiguous:
        raise ValueError(f"lower must be in Fortran order, got strides {lower.strides}.")
    # The routine of the accumulator's dtype: with another one it would update a copy.
    syrk = routine("syrk", lower, lower)
    if factor.flags.f_contiguous and not factor.flags.c_contiguous:
        syrk(times, factor, beta=1.0, c=lower, lower=1, overwrite_c=1)
    else:
        transposed = np.ascontiguousarray(factor).T
        syrk(times, transposed, beta=1.0, c=lower, trans=1, lower=1, overwrite_c=1)


def dot(first, second):
    """Return the inner product of two vectors as a Python float, in the larger of their dtypes."""
    if not first.size:
        return 0.0
    return float(routine("dot", first, second)(first, second))


def norm(vector):
    """Return the Euclidean norm of a vector as a Python float."""
    return sqrt(dot(vector, vector))


def routine(name, first, second):
    """Return the BLAS routine for two arrays, in the larger of their dtypes."""
    return _routine(name, first.dtype.char, second.dtype.char)


@cache  # scipy's own search takes as long as a small product
def _routine(name, first, second):
    (found,) = get_blas_funcs((name,), (np.empty(1, first), np.empty(1, second)))
    return found


def _fortran(matrix):
    """Return an array in Fortran order, copied only if it must be, and whether to transpose it."""
    if matrix.flags.f_contiguous or not matrix.flags.c_contiguous:
        return matrix, False
    return matrix.T, True
