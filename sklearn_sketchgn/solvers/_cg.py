"""Conjugate gradient on the exact system, preconditioned by a randomized sketch."""

from dataclasses import dataclass
from math import ceil
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError
from scipy.sparse import eye_array

from .._blas import add_outer
from .._conjugate_gradient import conjugate_gradient
from .._preconditioner import factor_columns, factor_gram
from ..sketches._checks import draw_checked, sketch_error
from ._base import Solver, SolveResult
from ._direct import form_exact, solve_truncated

# Largest sketched matrix of the samples axis, in bytes, before oversampling falls to 2.
_SKETCH_BYTES = 256 * 2**20

_LEAST_VALUES: tuple[tuple[str, Any, float], ...] = (
    ("tol", Real, 0),
    ("max_iter", Integral, 1),
    ("oversampling", Real, 1),
    ("refresh", Integral, 1),
)

# A sketch is blamed for what is not finite, or zero, only so far from overflow and underflow.
_MARGIN = 1e6


@dataclass
class _CGState:
    """Jacobian, what is needed to sketch it, and the factor in use (None before the first)."""

    jacobian: object
    sketch: object
    rng: object
    preconditioner: object = None
    fresh: bool = False


class CG(Solver):
    """Sketch, factor, then conjugate gradient on the true system (the paper's Algorithm 2).

    The system is J J' + ridge I when J has at least as many columns as rows, else
    J'J + ridge I. A factor that was made for an earlier step on the same rows is kept as long
    as it serves: it is replaced when conjugate gradient has not converged after ``refresh``
    iterations with it, and the iteration goes on from where it was.

    Parameters
    ----------
    tol : float, default=1e-10
        Relative residual norm at which the iteration stops; floored at 10 eps of the dtype.
    max_iter : int, default=200
        Largest number of iterations with a fresh factor.
    oversampling : float, default=4.0
        Sketch size as a multiple of the factored side. The number of iterations is about
        ``ln(2 / tol) / ln(sqrt(oversampling))``.
    refresh : int, default=30
        Iterations after which a kept factor is given up.

    Notes
    -----
    With ``ridge=0`` the factor is the R of a QR of the sketched matrix, with a rank test; a
    rank-deficient matrix, or one where the iteration fails, is solved for the minimum-norm
    solution by a truncated eigendecomposition, and the result's message says so.

    References
    ----------
    van den Brand, Peng, Song, Weinstein, "Training (Overparametrized) Neural Networks in
    Near-Linear Time", ITCS 2021, Algorithm 2; Rokhlin and Tygert, PNAS 105 (2008).

    Examples
    --------
    >>> from sklearn_sketchgn import CG
    >>> CG(oversampling=8)
    CG(oversampling=8)
    """

    distributed = True

    def __init__(self, tol=1e-10, max_iter=200, oversampling=4.0, refresh=30):
        self.tol = tol
        self.max_iter = max_iter
        self.oversampling = oversampling
        self.refresh = refresh

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        """Take over the factor of ``previous`` if it has the right size; see :class:`.Solver`."""
        self._check()
        state = _CGState(jacobian, sketch, rng)
        kept = getattr(previous, "preconditioner", None)
        if kept is not None and len(kept.factor) == min(jacobian.shape):
            state.preconditioner = kept
        return state

    def solve(self, state, rhs, ridge):
        """Precondition and iterate; see :class:`.Solver`."""
        jacobian = state.jacobian
        dual = jacobian.shape[0] <= jacobian.shape[1]
        right = rhs if dual else jacobian.rmatvec(rhs)
        times = jacobian.gram_product if dual else jacobian.normal_product

        def product(vector):
            return times(vector) + right.dtype.type(ridge) * vector

        iterations, start, message = 0, None, ""
        if state.preconditioner is not None:
            # The kept factor: cheap if it still serves, and nothing is lost if it does not.
            limit = self.max_iter if state.fresh else min(self.refresh, self.max_iter)
            result = conjugate_gradient(
                product, right, state.preconditioner.apply, tol=self.tol, max_iter=limit
            )
            iterations, start = result.n_iter, result.x
            message = "kept factor" if result.converged else "refreshed factor"
        if state.preconditioner is None or not result.converged:
            state.preconditioner = self._factor(state, ridge)
            state.fresh = True
            if state.preconditioner is None:
                step = solve_truncated(jacobian, rhs, ridge)
                return SolveResult(step, True, iterations, message="no factor", truncated=True)
            if state.preconditioner.exact:
                message += ", exact gram" if message else "exact gram"
            result = conjugate_gradient(
                product,
                right,
                state.preconditioner.apply,
                tol=self.tol,
                max_iter=self.max_iter,
                start=start,
            )
            iterations += result.n_iter
        if not result.converged and ridge == 0:
            step = solve_truncated(jacobian, rhs, ridge)
            return SolveResult(step, True, iterations, message="cg failed", truncated=True)
        step = jacobian.rmatvec(result.x) if dual else result.x
        return SolveResult(step, result.converged, iterations, result.residual_norm, message)

    def _factor(self, state, ridge):
        """Return a preconditioner for the Jacobian of ``state``, None if there is none.

        There is none for a matrix that is not finite or, with ``ridge=0``, not of full rank or with
        too few rows to sketch that are on a cluster, never in one place.
        """
        jacobian = state.jacobian
        dual = jacobian.shape[0] <= jacobian.shape[1]
        side, axis, size = _sketch_plan(jacobian, dual, self.oversampling)
        exact = size >= axis
        if exact and ridge > 0:
            lower = jacobian.lower_gram() if dual else jacobian.lower_normal()
            return _factor_or_none(lower, ridge, exact=True)
        if exact and getattr(state.sketch, "in_parts", False):
            return None
        if exact:
            sketch = eye_array(axis, dtype=jacobian.dtype, format="csr")
        else:
            sketch = draw_checked(state.sketch, size, axis, state.rng)
        if dual and ridge > 0:
            lower = jacobian.sketched_gram(sketch)
            self._check_product(lower, sketch, state)
            return _factor_or_none(lower, ridge)
        columns = jacobian.sketched_columns(sketch) if dual else jacobian.sketched_rows(sketch)
        self._check_product(columns, sketch, state)
        if ridge == 0:
            return factor_columns(columns, exact=exact)
        lower = np.zeros((side, side), dtype=jacobian.dtype, order="F")
        add_outer(lower, columns.T)
        return _factor_or_none(lower, ridge)

    def _check_product(self, sketched, drawn, state):
        """Blame the sketch for a useless product, unless the Jacobian is nearly as useless.

        Where the exact matrix is close to overflow, a good sketch may go beyond. And its signs may
        cancel all of a matrix with few entries, as they do not with one of random numbers.
        """
        if np.isfinite(sketched).all() and (sketched.any() or _is_not_zero(drawn)):
            return
        info = np.finfo(sketched.dtype)
        # No entry of a positive semi-definite matrix exceeds its diagonal.
        largest = form_exact(state.jacobian).diagonal.max()
        if _MARGIN * info.tiny < largest < info.max / _MARGIN:
            raise sketch_error(sketched, state.sketch)

    def _check(self):
        for name, kind, least in _LEAST_VALUES:
            value = getattr(self, name)
            # The comparison is written so that NaN fails it.
            number = isinstance(value, kind) and not isinstance(value, bool)
            if not number or not least <= value < np.inf:
                raise ValueError(
                    f"{name!r} of CG must be {'an int' if kind is Integral else 'a finite number'} "
                    f">= {least}; got {value!r}."
                )


def _is_not_zero(drawn):
    if not hasattr(drawn, "__matmul__"):  # drawn in parts, where the rows are
        return False
    return bool(np.any(drawn @ np.random.default_rng(0).standard_normal((drawn.shape[1], 1))))


def _factor_or_none(lower, ridge, *, exact=False):
    try:
        return factor_gram(lower, ridge, exact=exact)
    except LinAlgError:
        return None


def _sketch_plan(jacobian, dual, oversampling):
    """Return the factored side, the length of the sketched axis and the sketch size."""
    n_rows, n_columns = jacobian.shape
    if dual:
        # S (x) I sketches the neurons; each sketched neuron carries stable_rank(X) directions.
        size = ceil(oversampling * n_rows / jacobian.stable_rank())
        return n_rows, jacobian.width, size
    if oversampling * n_columns**2 * jacobian.dtype.itemsize > _SKETCH_BYTES:
        oversampling = min(oversampling, 2.0)
    return n_columns, n_rows, ceil(oversampling * n_columns)
