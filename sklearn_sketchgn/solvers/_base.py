"""What a solver is: the contract between the training loop and any strategy."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class SolveResult:
    """Outcome of one linear solve: what :meth:`.Solver.solve` returns.

    Parameters
    ----------
    step : ndarray of shape (n_parameters,)
        The minimiser q (or the best iterate). May be non-finite only if the input was.
    converged : bool, default=True
        Whether the accuracy asked for was reached.
    n_iter : int, default=0
        Iterations of an iterative solver; 0 for a direct one.
    residual_norm : float, default=0.0
        Relative residual norm of the linear system that was solved.
    message : str, default=""
        Empty, or what was noticed on the way (a refreshed factor, an exact instead of a
        sketched matrix ...), for people: ``history_["events"]`` repeats it.
    truncated : bool, default=False
        Whether the matrix was singular to working precision, and solved by eigenvalues of which
        the smallest were left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sketchgn.solvers import SolveResult
    >>> SolveResult(np.zeros(3), converged=False, n_iter=100).message
    ''
    """

    step: np.ndarray
    converged: bool = True
    n_iter: int = 0
    residual_norm: float = 0.0
    message: str = ""
    truncated: bool = False


class Solver(BaseEstimator, ABC):
    """Base class of strategies for  min over q of ||J q - rhs||^2 + ridge ||q||^2.

    A solver holds hyperparameters only and is cloned by the estimator. What it computes is
    returned: :meth:`prepare` once for a Jacobian, :meth:`solve` once for every ridge and
    right-hand side. To add a solver, derive from this class and write these two methods.

    Attributes
    ----------
    eliminates_outputs : bool, default=False
        Whether it solves for several outputs at a cost that does not grow with their number, so
        that ``batch_size="auto"`` takes larger batches.
    distributed : bool, default=False
        Whether it can solve for rows on a cluster, whose Jacobian has fewer methods;
        docs/scaling.md says which.

    Examples
    --------
    Singular values of a matrix that is formed column by column: slow, and complete.

    >>> import numpy as np
    >>> from sklearn_sketchgn import SketchGNRegressor
    >>> from sklearn_sketchgn.solvers import Solver, SolveResult
    >>> class SVD(Solver):
    ...     def prepare(self, jacobian, *, sketch, rng, previous=None):
    ...         columns = np.eye(jacobian.shape[1], dtype=jacobian.dtype)
    ...         J = np.array([jacobian.matvec(column) for column in columns]).T
    ...         return np.linalg.svd(J, full_matrices=False)
    ...     def solve(self, state, rhs, ridge):
    ...         U, size, Vt = state
    ...         inverse = np.zeros_like(size)
    ...         kept = size > 1e-12 * size[0]
    ...         inverse[kept] = size[kept] / (size[kept] ** 2 + ridge)
    ...         return SolveResult(Vt.T @ (inverse * (U.T @ rhs)))
    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> model = SketchGNRegressor(width=4, solver=SVD(), alpha=0.01, max_iter=20, random_state=0)
    >>> round(model.fit(X, X[:, 0]).score(X, X[:, 0]), 1)
    1.0
    """

    eliminates_outputs = False
    distributed = False

    @abstractmethod
    def prepare(
        self, jacobian: Any, *, sketch: Any, rng: np.random.Generator, previous: Any = None
    ) -> Any:
        """Return a state that depends on the Jacobian only.

        Parameters
        ----------
        jacobian : Jacobian
            Has ``shape``, ``dtype``, ``matvec``, ``rmatvec``, ``gram`` and sketches.
        sketch : Sketch
            The sketch strategy, for solvers that use one.
        rng : numpy.random.Generator
            The only source of randomness allowed.
        previous : object or None, default=None
            State of the step before on the *same rows*, to reuse what still serves.

        Returns
        -------
        object
            Whatever :meth:`solve` wants.
        """

    @abstractmethod
    def solve(self, state: Any, rhs: np.ndarray, ridge: float) -> SolveResult:
        """Return the :class:`.SolveResult` for a right-hand side and a ridge >= 0.

        With ``ridge = 0`` the solution asked for is the one of minimum norm.

        Parameters
        ----------
        state : object
            What :meth:`prepare` returned.
        rhs : ndarray of shape (n_samples * n_outputs,)
            Right-hand side.
        ridge : float
            Penalty of ||q||^2, at least 0.

        Returns
        -------
        SolveResult
            The step, and how it was reached. A solver that fails says so there; it neither warns
            nor raises.
        """
