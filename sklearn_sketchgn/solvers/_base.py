"""What a solver is: the contract between the training loop and any strategy."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class SolveResult:
    """Outcome of one linear solve.

    Attributes
    ----------
    step : ndarray of shape (n_parameters,)
        The minimiser q (or the best iterate). May be non-finite only if the input was.
    converged : bool
        Whether the accuracy asked for was reached.
    n_iter : int
        Iterations of an iterative solver; 0 for a direct one.
    residual_norm : float
        Relative residual norm of the linear system that was solved.
    message : str
        Empty, or what was noticed on the way (a refreshed factor, an exact instead of a
        sketched matrix, a truncated solution ...).
    """

    step: np.ndarray
    converged: bool = True
    n_iter: int = 0
    residual_norm: float = 0.0
    message: str = ""


class Solver(BaseEstimator, ABC):
    """Base class of strategies for  min over q of ||J q - rhs||^2 + ridge ||q||^2.

    A solver holds hyperparameters only and is cloned by the estimator. What it computes is
    returned: :meth:`prepare` once for a Jacobian, :meth:`solve` once for every ridge and
    right-hand side. To add a solver, derive from this class and write these two methods.
    """

    @abstractmethod
    def prepare(self, jacobian, *, sketch, rng, previous=None):
        """Return a state that depends on the Jacobian only.

        Parameters
        ----------
        jacobian : Jacobian
            Has ``shape``, ``dtype``, ``matvec``, ``rmatvec``, ``gram`` and sketches.
        sketch : Sketch
            The sketch strategy, for solvers that use one.
        rng : numpy.random.Generator
            The only source of randomness allowed.
        previous : object or None
            State of the step before on the *same rows*, to reuse what still serves.
        """

    @abstractmethod
    def solve(self, state, rhs, ridge):
        """Return the :class:`SolveResult` for a right-hand side and a ridge >= 0.

        With ``ridge = 0`` the solution asked for is the one of minimum norm.

        Parameters
        ----------
        state : object
            What :meth:`prepare` returned.
        rhs : ndarray of shape (n_samples * n_outputs,)
            Right-hand side.
        ridge : float
            lam >= 0.
        """
