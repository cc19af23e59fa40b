"""The paper's Algorithm 2 for any tall matrix: sketch, QR, conjugate gradient."""

import warnings
from math import ceil
from numbers import Real
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError
from scipy.sparse import eye_array, issparse
from scipy.sparse.linalg import aslinearoperator
from sklearn.exceptions import ConvergenceWarning

from ._conjugate_gradient import conjugate_gradient
from ._preconditioner import factor_columns
from .sketches import resolve_sketch
from .sketches._checks import draw_checked, sketch_error

# Columns of a LinearOperator that are formed at a time.
_COLUMNS = 64


def fast_regression(
    A: Any,
    y: Any,
    *,
    tol: float = 1e-6,
    sketch: Any = "countsketch",
    oversampling: float = 4.0,
    rng: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Solve A'A x = y for a tall matrix A by sketch, QR and conjugate gradient.

    With S a sketch of ``oversampling * n_columns`` rows and Q R = S A, conjugate gradient runs
    on R^-T A'A R^-1, whose condition number is a small constant, so that the number of
    iterations is about ``ln(2 / tol) / ln(sqrt(oversampling))`` whatever A is.

    Parameters
    ----------
    A : array-like, sparse matrix or LinearOperator of shape (n_rows, n_columns)
        Matrix of full column rank, ``n_rows >= n_columns``.
    y : array-like of shape (n_columns,)
        Right-hand side (A' b for the least-squares problem min ||A x - b||).
    tol : float, default=1e-6
        Relative residual ||y - A'A x|| / ||y|| to reach.
    sketch : {"srht", "countsketch", "gaussian"} or Sketch, default="countsketch"
        Distribution of S.
    oversampling : float, default=4.0
        Rows of S as a multiple of ``n_columns``. Where they would be as many as A has, A itself is
        factored.
    rng : int, numpy.random.Generator or None, default=None
        Randomness of the sketch.

    Returns
    -------
    ndarray of shape (n_columns,)
        The solution x, in float64 (float32 if A is float32).

    Raises
    ------
    TypeError
        If A or y does not hold real numbers.
    ValueError
        If A is not a tall two-dimensional matrix, y does not match it, or either is not finite.
    scipy.linalg.LinAlgError
        If A does not have full column rank.

    Warns
    -----
    ConvergenceWarning
        If ``tol`` was not reached.

    Notes
    -----
    The paper prints a gradient step of length one on 1/2 ||M z - R^-T y||^2,

        z <- z - M (M z - R^-T y),    M = R^-T A'A R^-1,    x = R^-1 z

    (its R is the inverse of this one). It converges only where the largest eigenvalue of M is
    below sqrt(2): for a Gaussian S of many columns, with more than (1 - 2^(-1/4))^-2 = 39.5
    times ``n_columns`` rows. The simpler step x <- x + R^-1 R^-T (y - A'A x) needs the
    eigenvalue below 2, that is 11.7 times ``n_columns`` rows. Both diverge at the usual
    oversampling of 2 to 8, so conjugate gradient, which the paper's text names, is used; see
    docs/algorithm.md.

    References
    ----------
    van den Brand, Peng, Song, Weinstein, ITCS 2021, Algorithm 2 and equation (7).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sketchgn import fast_regression
    >>> A = np.random.default_rng(0).normal(size=(500, 20))
    >>> x = fast_regression(A, A.T @ A @ np.ones(20), tol=1e-10, rng=0)
    >>> bool(np.allclose(x, 1))
    True
    """
    if issparse(A):
        A = aslinearoperator(A)
    if not hasattr(A, "matvec"):
        A = _numbers(A, "A")
    y = _numbers(y, "y")
    _check_system(A, y, tol, oversampling)
    n_columns = A.shape[1]
    operator = aslinearoperator(A)
    factor = _factor(A, operator, resolve_sketch(sketch), oversampling, np.random.default_rng(rng))

    def product(vector):
        return operator.rmatvec(operator.matvec(vector))

    right = y.astype(_dtype(A))
    result = conjugate_gradient(
        product, right, factor.apply, tol=tol, max_iter=max(100, 2 * n_columns)
    )
    _warn_if_missed(right, product(result.x), result.n_iter, tol)
    return result.x


def _numbers(values, name):
    """Return an array: of floats if it is of integers or, as of nullable columns, of objects."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuO":
        return values
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be real numbers: {error}.") from error


def _dtype(A):
    return np.float32 if A.dtype in (np.float16, np.float32) else np.float64


def _factor(A, operator, sketch, oversampling, rng):
    """Return the preconditioner from the QR of a sketch of A."""
    n_rows, n_columns = A.shape
    if oversampling * n_columns >= n_rows:
        # A sketch would be no smaller than A, and may lose rank.
        drawn = eye_array(n_rows, format="csr")
    else:
        drawn = draw_checked(sketch, ceil(oversampling * n_columns), n_rows, rng)
    sketched = _sketch_matrix(drawn, A, operator).astype(_dtype(A), copy=False)
    if not np.isfinite(sketched).all() or not sketched.any():
        # A matrix that takes ones to zero has dependent columns: the sketch is not to blame.
        image = operator.matvec(np.ones(n_columns))
        if not np.isfinite(image).all():
            raise ValueError("A and y must be finite; got NaN or infinite values.")
        if image.any():
            raise sketch_error(sketched, sketch)
    factor = factor_columns(sketched)
    if factor is None:
        raise LinAlgError(
            f"A of shape {A.shape} does not have full column rank (its sketch has not); "
            "remove dependent columns, or add a ridge as extra rows sqrt(ridge) * I."
        )
    return factor


def _warn_if_missed(right, image, n_iter, tol):
    """Warn by the true residual: in an ill-conditioned system the recursive one parts from it."""
    eps, size = float(np.finfo(right.dtype).eps), float(np.abs(right).max())
    right, image = (values.astype(np.float64) / (size or 1.0) for values in (right, image))
    residual = float(np.linalg.norm(right - image)) / float(np.linalg.norm(right) or 1.0)
    if not residual <= max(10 * tol, 100 * eps):
        warnings.warn(
            f"fast_regression reached a relative residual of {residual:.1e} in {n_iter} "
            f"iterations; expected tol={tol:.1e}. Increase `oversampling` or `tol`.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _sketch_matrix(drawn, A, operator):
    if isinstance(A, np.ndarray):
        return drawn @ A
    n_columns = A.shape[1]
    sketched = np.empty((drawn.shape[0], n_columns))
    for start in range(0, n_columns, _COLUMNS):
        stop = min(start + _COLUMNS, n_columns)
        sketched[:, start:stop] = drawn @ operator.matmat(np.eye(n_columns)[:, start:stop])
    return sketched


def _check_system(A, y, tol, oversampling):
    if any(np.dtype(x.dtype).kind not in "biuf" for x in (A, y)):
        raise TypeError(f"A and y must be real numbers; got dtypes {A.dtype} and {y.dtype}.")
    if len(A.shape) != 2 or A.shape[0] < A.shape[1] or A.shape[1] < 1:
        raise ValueError(
            f"A must be a tall matrix of shape (n_rows >= n_columns >= 1); got shape {A.shape}."
        )
    if y.shape != (A.shape[1],):
        raise ValueError(
            f"y must have shape ({A.shape[1]},), one entry a column of A; got {y.shape}."
        )
    if not np.isfinite(y).all() or (isinstance(A, np.ndarray) and not np.isfinite(A).all()):
        raise ValueError("A and y must be finite; got NaN or infinite values.")
    for name, value, least in (("tol", tol, 0), ("oversampling", oversampling, 1)):
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not least < float(value) < np.inf:
            raise ValueError(f"{name} must be a finite number > {least}; got {value!r}.")
