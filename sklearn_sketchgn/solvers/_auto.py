"""Choose between the direct and the iterative solver from the shape of the Jacobian."""

from ._base import Solver
from ._cg import CG
from ._direct import Direct

# Fitted on one machine from the operation counts below (benchmarks/steps.py); only their ratio
# matters: a skinny product with D runs at a fraction of the speed of a square product.
_SKINNY_COST = 3.0
_ITERATIONS = 20
_STEPS_PER_FACTOR = 5


class Auto(Solver):
    """Solve with :class:`Direct` or :class:`CG`, whichever costs less for the Jacobian at hand.

    The decision compares operation counts: forming and factoring the exact matrix, against
    forming and factoring a sketch once every few steps plus the products of the iterations.

    Examples
    --------
    >>> from sklearn_sketchgn import SketchGNRegressor
    >>> SketchGNRegressor(solver="auto").solver
    'auto'
    """

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        """Prepare the cheaper of the two solvers; see :class:`Solver`."""
        chosen = CG(tol=1e-3) if _cg_is_cheaper(jacobian) else Direct()
        kept = previous[1] if previous is not None and type(previous[0]) is type(chosen) else None
        return chosen, chosen.prepare(jacobian, sketch=sketch, rng=rng, previous=kept)

    def solve(self, state, rhs, ridge):
        """Solve with the solver chosen in :meth:`prepare`; see :class:`Solver`."""
        chosen, inner = state
        return chosen.solve(inner, rhs, ridge)


def _cg_is_cheaper(jacobian):
    n, d, m, k = jacobian.n_samples, jacobian.n_features, jacobian.width, jacobian.n_outputs
    rows, columns = jacobian.shape
    side = min(rows, columns)
    if side < 1024:
        return False
    factor = side**3 / 3
    product = 4.0 * n * m * d * k * _SKINNY_COST
    if rows <= columns:
        direct = rows**2 * m + n**2 * m + factor
        sketched = rows**2 * min(m, 4 * rows / jacobian.stable_rank()) + n**2 * m + factor
    else:
        direct = rows * columns**2 + factor
        sketched = 4.0 * columns**3 + 64.0 * rows * columns + factor
    return sketched / _STEPS_PER_FACTOR + _ITERATIONS * product < direct
