"""Factor a sketched matrix, and apply the inverse of what was factored."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, get_lapack_funcs, qr

from ._blas import routine


@dataclass(frozen=True)
class Preconditioner:
    """A triangular factor R with R'R close to the matrix of the system.

    Attributes
    ----------
    factor : ndarray of shape (size, size)
        The factor; the other triangle is not read.
    lower : bool
        Whether ``factor`` holds R' (lower) rather than R.
    exact : bool
        Whether the factored matrix was the exact one, because its sketch would not be smaller.
    """

    factor: np.ndarray
    lower: bool
    exact: bool = False

    def apply(self, vector):
        """Return (R'R)^-1 v."""
        # Not potrs, which treats one vector as a matrix: twice to four times as long.
        trsv = routine("trsv", self.factor, vector)
        half = trsv(self.factor, vector, lower=self.lower, trans=not self.lower)
        return trsv(self.factor, half, lower=self.lower, trans=self.lower, overwrite_x=True)


def factor_gram(lower, ridge, *, exact=False):
    """Return the Cholesky preconditioner of G + ridge I; may overwrite ``lower``.

    A factorisation that fails in the working precision is repeated with a ridge at its
    round-off level: a preconditioner may differ from the system, so the solution does not move.

    Raises
    ------
    scipy.linalg.LinAlgError
        If the matrix is not finite, or not positive semi-definite beyond round-off.
    """
    (potrf,) = get_lapack_funcs(("potrf",), (lower,))
    diagonal = np.einsum("ii->i", lower)
    original = diagonal.copy()
    mean = float(original.mean())
    if not np.isfinite(mean):
        raise LinAlgError("the sketched Gram matrix is not finite")
    jitter = 10 * float(np.finfo(lower.dtype).eps) * mean
    # The trace bounds the round-off of the factorisation: above it no second attempt is needed,
    # and no copy for one.
    safe = bool(ridge > len(lower) * jitter)
    for extra in (0.0, jitter, 100 * jitter, 1e4 * jitter):
        diagonal[...] = original + lower.dtype.type(ridge + extra)
        factor, failed = potrf(lower, lower=True, clean=False, overwrite_a=safe)
        # Not every LAPACK takes NaN for a failure.
        if not failed and np.isfinite(np.einsum("ii->i", factor)).all():
            return Preconditioner(factor, lower=True, exact=exact)
        if safe:
            break
    raise LinAlgError("the sketched Gram matrix is not positive definite")


def factor_columns(columns, *, exact=False):
    """Return the preconditioner R of a QR of the columns, or None if they are rank-deficient.

    Squaring the condition number of the sketched matrix, as a Gram matrix does, would lose half
    of the digits; with no ridge to hide behind they matter. A column depends on those before it
    where these leave nothing of it but round-off, in whatever units it is.
    """
    if columns.shape[0] < columns.shape[1] or not np.isfinite(columns).all():
        return None
    (factor,) = qr(columns, mode="r", overwrite_a=True, check_finite=False)
    factor = np.asfortranarray(factor[: columns.shape[1]])  # else every solve would copy it
    size = np.abs(factor).max(axis=0)
    if not size.all():
        return None
    left = np.abs(np.einsum("ii->i", factor)) / size / np.linalg.norm(factor / size, axis=0)
    if left.min() <= max(columns.shape) * np.finfo(factor.dtype).eps:
        return None
    return Preconditioner(factor, lower=False, exact=exact)
