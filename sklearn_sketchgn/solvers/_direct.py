"""Direct solution by Cholesky of the exact Gram or normal matrix."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, get_lapack_funcs

from .._blas import product
from .._elimination import Elimination, eliminates
from .._preconditioner import Preconditioner
from ._base import Solver, SolveResult

# cond * eps beyond which the solution of the squared system has lost nearly all digits.
_CONDITION_BOUND = 0.1

# Side up to which a copy is factored, which is faster than to fill a triangle (1 MB in float32).
_COPIED_SIDE = 512


@dataclass
class _DirectState:
    """Exact matrix: lower triangle and diagonal; the upper triangle is room for its factor.

    The factor of the last solve serves the next one with the same ridge, and is a preconditioner
    that :class:`.CG` can go on with.
    """

    jacobian: object
    matrix: np.ndarray
    diagonal: np.ndarray
    dual: bool
    preconditioner: Preconditioner | None = None
    ridge: float = np.nan
    message: str = ""


class Direct(Solver):
    """Cholesky of J J' + ridge I (dual) or J'J + ridge I (primal), whichever is smaller.

    With several outputs and the squared error J'J + ridge I is solved by eliminating the output
    layer where that is cheaper: its cost does not grow with the number of outputs.

    The factor is written into the unused triangle of the exact matrix, so one array of that side
    is all the memory it takes (two up to a side of 512). On the same Jacobian another ridge costs a
    factorisation only, and another right-hand side not even that.

    A factorisation that fails, or with ``ridge=0`` one so ill-conditioned that cond * eps > 0.1,
    is replaced by an eigendecomposition truncated at ``max(n, p) * eps`` of the largest
    eigenvalue (the minimum-norm solution when ``ridge=0``); the result's message says so.

    Notes
    -----
    Equivalent to ``scipy.linalg.lstsq`` on the stacked matrix [J; sqrt(ridge) I], with the
    condition number squared.

    Examples
    --------
    >>> from sklearn_sketchgn import Direct
    >>> Direct()
    Direct()
    """

    eliminates_outputs = True
    distributed = True

    def prepare(self, jacobian, *, sketch=None, rng=None, previous=None):
        """Form the exact matrix of the smaller side; see :class:`.Solver`."""
        return Elimination(jacobian) if eliminates(jacobian) else form_exact(jacobian)

    def solve(self, state, rhs, ridge):
        """Factor and solve; see :class:`.Solver`."""
        if isinstance(state, Elimination):
            step = state.solve(state.jacobian.rmatvec(rhs), ridge) if ridge > 0 else None
            if step is not None:
                return SolveResult(step)
            state.whole = state.whole or form_exact(state.jacobian)
            state = state.whole
        right = rhs if state.dual else state.jacobian.rmatvec(rhs)
        solution, message = _solve_cholesky(state, right, ridge)
        truncated = solution is None
        if truncated:
            solution = _solve_truncated(state, right, ridge)
        step = state.jacobian.rmatvec(solution) if state.dual else solution
        return SolveResult(step, message=message, truncated=truncated)


def form_exact(jacobian):
    """Return the state with J J' or J'J, whichever is smaller."""
    dual = jacobian.shape[0] <= jacobian.shape[1]
    matrix = jacobian.lower_gram() if dual else jacobian.lower_normal()
    return _DirectState(jacobian, matrix, matrix.diagonal().copy(), dual)


def solve_truncated(jacobian, rhs, ridge):
    """Return the solution by a truncated eigendecomposition, of minimum norm if ``ridge=0``."""
    state = form_exact(jacobian)
    right = rhs if state.dual else jacobian.rmatvec(rhs)
    solution = _solve_truncated(state, right, ridge)
    return jacobian.rmatvec(solution) if state.dual else solution


def _solve_cholesky(state, right, ridge):
    """Return (solution or None, message); None means that Cholesky cannot be trusted."""
    if state.preconditioner is None or state.ridge != ridge:
        state.preconditioner = None  # its triangle is overwritten
        state.ridge = ridge
        state.preconditioner, state.message = _factorise(state, ridge)
    if state.preconditioner is None:
        return None, state.message
    return state.preconditioner.apply(right), state.message


def _factorise(state, ridge):
    """Return the exact factor, or None if it cannot be trusted, and what was noticed."""
    matrix, eps = state.matrix, float(np.finfo(state.matrix.dtype).eps)
    trace = float(state.diagonal.sum(dtype=np.float64))
    if not np.isfinite(trace):
        return None, "matrix not finite"
    # The trace bounds the largest eigenvalue: in most steps no condition estimate is needed.
    doubtful = ridge == 0 or (trace + ridge) * eps > _CONDITION_BOUND * ridge
    lower = not doubtful and len(matrix) <= _COPIED_SIDE
    if lower:
        matrix = matrix.copy(order="F")
    else:
        _copy_to_upper(matrix)
    np.einsum("ii->i", matrix)[...] = state.diagonal + matrix.dtype.type(ridge)
    norm = float(np.linalg.norm(matrix, 1)) if doubtful else 0.0
    potrf, pocon = get_lapack_funcs(("potrf", "pocon"), (matrix,))
    factor, failed = potrf(matrix, lower=lower, clean=False, overwrite_a=True)
    if failed:
        return None, "cholesky failed"
    message = ""
    if doubtful:
        reciprocal, _ = pocon(factor, norm, uplo="U")
        if reciprocal * _CONDITION_BOUND < eps:
            message = "ill-conditioned"
            if ridge == 0:
                return None, message
    return Preconditioner(factor, lower=lower, exact=True), message


def _solve_truncated(state, right, ridge):
    """Solve by eigenvalues; those below the round-off level count as zero.

    There the ridge alone decides, unless it is below that level itself: then round-off would be
    divided by nearly zero, and the step of minimum norm is taken.
    """
    matrix = np.tril(state.matrix, -1).astype(np.float64)
    np.einsum("ii->i", matrix)[...] = state.diagonal
    if not np.isfinite(matrix).all():
        return np.full(len(right), np.nan, dtype=right.dtype)
    values, vectors = eigh(matrix, lower=True, overwrite_a=True, check_finite=False)
    cut = max(state.jacobian.shape) * np.finfo(state.matrix.dtype).eps * max(values[-1], 0.0)
    kept = values > cut
    inverse = np.zeros_like(values)
    inverse[kept] = 1.0 / (values[kept] + ridge)
    if ridge > cut:
        inverse[~kept] = 1.0 / ridge
    return product(vectors, inverse * product(vectors.T, right)).astype(right.dtype)


def _copy_to_upper(matrix):
    """Copy the strict lower triangle onto the upper one, by blocks and in place."""
    size = 64  # both a square and its transpose stay in the first-level cache
    above = ~np.tri(size, dtype=bool)
    for start in range(0, len(matrix), size):
        stop = min(start + size, len(matrix))
        square = matrix[start:stop, start:stop]
        np.copyto(square, square.T.copy(), where=above[: stop - start, : stop - start])
        matrix[start:stop, stop:] = matrix[stop:, start:stop].T
