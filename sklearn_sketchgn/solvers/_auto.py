"""Choose between the direct and the iterative solver by what a step with each would cost."""

import numpy as np

from .._elimination import eliminates
from .._elimination import operations as eliminated_operations
from ._base import Solver
from ._cg import CG
from ._direct import Direct

# Time of one operation, in units of one operation of a square matrix product: printed, with their
# spread, by `python benchmarks/steps.py --cases wide minibatch grid`. Only ratios matter, so they
# carry over from one machine to another better than seconds do.
_FORM = 1.6  # symmetric products that form the exact or the sketched matrix
_FACTOR = 2.0  # Cholesky
_SKINNY = 3.0  # J v and J'u, products with few columns
_TRIANGULAR = 15.0  # triangular solves with one vector, bound by memory
_SKETCH = 60.0  # additions of a sparse sketch, bound by memory

# Iterations of CG to a residual of 1e-3, or in `wide` to a step that is right to 1e-3, by the same
# command: with a factor that was made one step earlier, and with a fresh sketch.
_KEPT_ITERATIONS = 4
_FRESH_ITERATIONS = 11

# Smaller systems are solved exactly. In float32, which is for tables of several batches, a kept
# factor may serve from the lower bound on; float64 fits are promised equal to 1e-6 for weights and
# repeated rows, which iterations to 1e-3 would not keep.
_SMALLEST_SIDE, _SMALLEST_KEPT_SIDE = 1024, 256


class Auto(Solver):
    """Solve with :class:`.Direct` or :class:`.CG`, whichever costs less for the Jacobian at hand.

    The decision compares operation counts, weighted by measured speeds. Where the step before has
    left a factor of the right size, be it of :class:`.Direct`, :class:`.CG` goes on with it and
    pays for its iterations only; without one it would have to form and factor a sketch first.

    Examples
    --------
    >>> from sklearn_sketchgn import SketchGNRegressor
    >>> SketchGNRegressor(solver="auto").solver
    'auto'
    """

    eliminates_outputs = True
    distributed = True

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        """Prepare the cheaper of the two solvers; see :class:`.Solver`."""
        before = None if previous is None else previous[1]
        kept = getattr(before, "preconditioner", None)
        serves = kept is not None and len(kept.factor) == min(jacobian.shape)
        chosen = CG(tol=1e-3) if cg_is_cheaper(jacobian, kept=serves) else Direct()
        return chosen, chosen.prepare(jacobian, sketch=sketch, rng=rng, previous=before)

    def solve(self, state, rhs, ridge):
        """Solve with the solver chosen in :meth:`prepare`; see :class:`.Solver`."""
        chosen, inner = state
        return chosen.solve(inner, rhs, ridge)


def cg_is_cheaper(jacobian, *, kept):
    """Return whether a step by CG costs less than a direct one; ``kept``: with a kept factor."""
    goes_on = kept and jacobian.dtype == np.float32
    if min(jacobian.shape) < (_SMALLEST_KEPT_SIDE if goes_on else _SMALLEST_SIDE):
        return False
    counts = operations(jacobian)
    factor = _FACTOR * counts["factor"]
    iteration = _SKINNY * counts["product"] + _TRIANGULAR * counts["triangular"]
    if kept:
        cg = _KEPT_ITERATIONS * iteration
    else:
        sketched = _FORM * counts["sketched"] + _SKETCH * counts["sketch"]
        cg = sketched + factor + _FRESH_ITERATIONS * iteration
    return cg < _FORM * counts["form"] + _FACTOR * counts["direct factor"]


def operations(jacobian):
    """Return the operations of the pieces of a step, by name.

    ``form`` and ``sketched`` are the symmetric products (half of the full ones) of the exact and
    of the sketched matrix, ``factor`` a Cholesky factor of the latter and ``direct factor`` of the
    former, ``sketch`` the additions of a sparse sketch, ``product`` one J v and one J'u,
    ``triangular`` the two triangular solves of an iteration.
    """
    n, d, m, k = jacobian.n_samples, jacobian.n_features, jacobian.width, jacobian.n_outputs
    rows, columns = jacobian.shape
    side = float(min(rows, columns))
    if rows <= columns:
        # Neurons are sketched to 4 * side / stable rank; the output layer's part stays exact.
        output_layer = float(n) ** 2 * m * jacobian.train_output
        form = side**2 * m + output_layer
        sketched = side**2 * min(m, 4 * side / jacobian.stable_rank()) + output_layer
        sketch = 8.0 * side * m
    else:
        form = rows * side**2
        sketched = 4 * side**3
        sketch = 8.0 * rows * side
    direct_factor = side**3 / 3
    if eliminates(jacobian):
        form, direct_factor = eliminated_operations(n, d, m)
    return {
        "form": form,
        "sketched": sketched,
        "sketch": sketch,
        "factor": side**3 / 3,
        "direct factor": direct_factor,
        "product": 4.0 * n * m * d * k,
        "triangular": 2 * side**2,
    }
