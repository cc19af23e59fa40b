"""
A sketch and a solver of your own
=================================

A sketch is an object with a method ``draw``, a solver one with ``prepare`` and ``solve``. This
script writes one of each and passes them to :class:`~sklearn_sketchgn.SketchGNRegressor`.

The sketch keeps neurons uniformly at random. It is the cheapest of all, and right on average as
every sketch must be. The solver uses no preconditioner. Both give the same network as the package's
own strategies; what they cost is another matter.
"""

# %%
# A sketch
# --------
#
# ``draw`` returns a matrix, or anything with ``shape`` and ``@``, of shape
# ``(sketch_size, n_rows)``. Three rules: all randomness comes from ``rng``,
# :math:`E[S^T S] = I`, and the matrix may be multiplied several times.
# Each row of this one picks one entry with probability ``1 / n_rows``, hence the scale.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, lsqr
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import CG, SketchGNRegressor
from sklearn_sketchgn.sketches import Sketch
from sklearn_sketchgn.solvers import Solver, SolveResult


class UniformSampling(Sketch):
    """Keep entries at random, with replacement."""

    def draw(self, sketch_size, n_rows, rng):
        picked = rng.integers(n_rows, size=sketch_size)
        scale = np.full(sketch_size, np.sqrt(n_rows / sketch_size))
        return csr_array((scale, (np.arange(sketch_size), picked)), shape=(sketch_size, n_rows))


# %%
# A solver
# --------
#
# ``prepare`` computes what depends on the Jacobian alone, and ``solve`` minimises
# :math:`\lVert J q - h \rVert^2 + \lambda \lVert q \rVert^2` for a right-hand side :math:`h` and a
# ridge :math:`\lambda`; a step that is rejected is solved again with another ridge. This one hands
# the problem to SciPy. A constructor stores its arguments and does nothing else, so that ``clone``
# and ``GridSearchCV`` work.


class LSQR(Solver):
    """Golub-Kahan bidiagonalisation from SciPy, without a preconditioner."""

    def __init__(self, tol=1e-10, max_iter=1000):
        self.tol = tol
        self.max_iter = max_iter

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        return LinearOperator(
            jacobian.shape,
            matvec=jacobian.matvec,
            rmatvec=jacobian.rmatvec,
            dtype=jacobian.dtype,
        )

    def solve(self, state, rhs, ridge):
        step, stopped, n_iter = lsqr(
            state, rhs, damp=np.sqrt(ridge), atol=self.tol, btol=self.tol, iter_lim=self.max_iter
        )[:3]
        return SolveResult(step.astype(rhs.dtype), converged=stopped != 7, n_iter=n_iter)


# %%
# Use them
# --------
#
# Full-batch steps with a small penalty and little damping make the linear systems ill-conditioned
# enough to tell good preconditioners from bad ones. ``refresh=1`` keeps ``CG`` from using the
# factor of one step in the next, which would hide what a sketch is worth. Six steps end before the
# default tolerance is reached, and the warning that says so is expected.

X, y = load_diabetes(return_X_y=True)
settings = {
    "width": 2048,
    "alpha": 1e-3,
    "damping": 1e-4,
    "batch_size": None,
    "max_iter": 6,
    "random_state": 0,
}
cg = CG(tol=1e-8, refresh=1)
models = {
    "LSQR": SketchGNRegressor(solver=LSQR(), **settings),
    "CG, UniformSampling": SketchGNRegressor(solver=cg, sketch=UniformSampling(), **settings),
    "CG, CountSketch": SketchGNRegressor(solver=cg, sketch="countsketch", **settings),
}
for name, model in models.items():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SketchGN.*max_iter=6 was reached", ConvergenceWarning)
        model.fit(X, y)
    iterations = model.history_["cg_iterations"]
    print(f"{name:20} iterations {iterations[0]:3d} .. {iterations[-1]:3d}, loss {model.loss_:.3f}")

# %%
# Iterations for each step
# ------------------------
#
# Without a preconditioner every step takes hundreds of iterations. Neurons start alike, so a
# uniform sample of them is nearly as good as any sketch at first. While they train they become less
# alike, the sample misses more of what matters, and the count rises. That of ``CountSketch``, which
# mixes all neurons, stays where it was.

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, model in models.items():
    iterations = model.history_["cg_iterations"]
    ax.plot(range(1, len(iterations) + 1), iterations, "o-", label=name)
ax.set(xlabel="Gauss-Newton step", ylabel="iterations of the solver", yscale="log", ylim=(5, None))
ax.grid(alpha=0.3)
ax.legend(frameon=False)
figure.savefig("plot_custom_strategies.png", dpi=150)
plt.show()
