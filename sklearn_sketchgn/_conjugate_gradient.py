"""Preconditioned conjugate gradient for symmetric positive definite systems."""

from typing import NamedTuple

import numpy as np

from ._blas import dot, norm


class ConjugateGradientResult(NamedTuple):
    """Solution, whether the tolerance was met, iterations taken, relative residual norm."""

    x: np.ndarray
    converged: bool
    n_iter: int
    residual_norm: float


def conjugate_gradient(product, right, precondition, *, tol, max_iter, start=None):
    """Solve A x = right for a symmetric positive definite A given by its product.

    Stops when ||right - A x|| <= tol ||right||. A step that is not finite, or a direction of
    non-positive curvature (breakdown), ends the iteration with the last good iterate and
    ``converged=False``; the result is never NaN.

    Parameters
    ----------
    product : callable
        v -> A v.
    right : ndarray of shape (size,)
        Right-hand side.
    precondition : callable
        v -> an approximation of A^-1 v, symmetric positive definite.
    tol : float
        Relative residual; floored at 10 eps of the working dtype, below which the recursive
        residual no longer follows the true one.
    max_iter : int
        Largest number of products with A.
    start : ndarray of shape (size,) or None
        First iterate; None is 0.

    Returns
    -------
    ConjugateGradientResult
        Solution and how it was reached.
    """
    scale = float(np.max(np.abs(right), initial=0.0))
    if scale == 0 or not np.isfinite(scale):
        residual = 0.0 if scale == 0 else np.nan
        return ConjugateGradientResult(np.zeros_like(right), scale == 0, 0, residual)
    # A power of two: squares neither overflow nor vanish, and no bit of the solution changes.
    exponent = int(np.frexp(scale)[1])
    start = None if start is None else np.ldexp(start, -exponent)
    result = _iterate(product, np.ldexp(right, -exponent), precondition, tol, max_iter, start)
    return result._replace(x=np.ldexp(result.x, exponent))


def _iterate(product, right, precondition, tol, max_iter, start):
    scale = norm(right)
    bound = max(tol, 10 * np.finfo(right.dtype).eps) * scale
    x = np.zeros_like(right) if start is None else start
    residual = right.copy() if start is None else right - product(x)
    size = norm(residual)
    direction, previous = None, 0.0
    for iteration in range(max_iter):
        if size <= bound:
            return ConjugateGradientResult(x, True, iteration, size / scale)
        preconditioned = precondition(residual)
        inner = dot(residual, preconditioned)
        if direction is None:
            direction = preconditioned.copy()
        else:
            direction *= right.dtype.type(inner / previous)
            direction += preconditioned
        image = product(direction)
        curvature = dot(direction, image)
        if not (np.isfinite(inner) and np.isfinite(curvature) and curvature > 0 and inner > 0):
            return ConjugateGradientResult(x, False, iteration, size / scale)
        length = right.dtype.type(inner / curvature)
        x += length * direction
        residual -= length * image
        size, previous = norm(residual), inner
    return ConjugateGradientResult(x, size <= bound, max_iter, size / scale)
