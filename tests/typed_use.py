"""What a user may write, for the type checkers: `.ci/run` has mypy read it, and nothing runs it."""

import numpy as np

from sklearn_sketchgn import CG, SRHT, CountSketch, SketchGNRegressor, fast_regression
from sklearn_sketchgn.solvers import Solver, SolveResult


class Given(Solver):
    """A solver of a user's, without annotations."""

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        return jacobian

    def solve(self, state, rhs, ridge):
        return SolveResult(state.rmatvec(rhs), converged=True)


def parameters() -> None:
    SketchGNRegressor(512, alpha=1e-3, damping=0.1, batch_size=64, max_iter=100)
    SketchGNRegressor(alpha="auto", damping="auto", batch_size=None, max_iter="auto", tol=0)
    SketchGNRegressor(sketch=SRHT(), solver=CG(tol=1e-8), random_state=np.random.RandomState(0))
    SketchGNRegressor(sketch="gaussian", solver="direct", encoding="auto", random_state=0, n_jobs=2)


def attributes(X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, str]:
    model = SketchGNRegressor(solver=Given()).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    weights: np.ndarray = model.coefs_[0] * model.alpha_ + model.input_bounds_[0, 0]
    return max(model.history_["damping"]), weights, model.stop_reason_.upper()


def function(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    return fast_regression(A, y, sketch=CountSketch(4), tol=1e-3, rng=0)
