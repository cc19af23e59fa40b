"""One Gauss-Newton step: the damped, penalised, momentum-centred least-squares subproblem."""

from dataclasses import replace
from math import prod

import numpy as np

from ._blas import dot, product
from ._losses import SquaredError
from .solvers import SolveResult

_SQUARED_ERROR = SquaredError()


class Subproblem:
    """The objective on a batch, linearised at the current parameters theta.

    With J and r from the network, P the diagonal matrix of what parameters count in the penalty
    (1, or 0 for the output intercept) and alpha in units of the batch, a step p minimises

        1/2 ||J p + r||^2 + 1/2 alpha (theta + p)' P (theta + p) + 1/2 mu ||p - drift||^2.

    With lam = alpha + mu and the centre c = (mu drift - alpha P theta) / lam this is, for
    p = c + q, the damped least-squares problem  min ||J q + r + J c||^2 + lam ||q||^2  that every
    solver solves. (One lam for all parameters gives the unpenalised ones a proximal term more:
    the step differs slightly, its fixed points are those of the objective.)

    Where the last term is in the metric C of ``_metric.py``, p' C p in the place of ||p||^2, or
    P differs between columns, the problem is solved in coordinates p = q T, where it has the same
    form: with J T for J, and c = (mu C drift - alpha P theta) T / lam. ``jacobian`` is then J T.

    Parameters
    ----------
    network : Network
        The network at theta.
    rows, targets : ndarray
        Scaled rows and targets of the batch.
    alpha : float
        Penalty in units of the batch: alpha * n_outputs * sum(s_batch) / sum(s).
    loss_function : object
        One of the losses of ``_losses.py``. J and r are those of its working residual, and values
        are those of the loss itself: 1/2 ||r||^2 becomes 1/2 ||root_loss||^2.
    coordinates : Coordinates or None, default=None
        Those for this alpha and the mu to be solved with; None for the plain norm and penalty.
    """

    _metric = _outward = _inward = None

    def __init__(
        self, network, rows, targets, alpha, loss_function=_SQUARED_ERROR, coordinates=None
    ):
        self._set_parameters(network, alpha, loss_function, coordinates)
        rows = _transformed(rows, self._outward)
        network = replace(network, hidden=_transformed(network.hidden, self._inward))
        self.jacobian, self.residual, self.root_loss = loss_function.linearise(
            network, rows, targets
        )

    def _set_parameters(self, network, alpha, loss_function, coordinates):
        self.alpha = alpha
        self.loss_function = loss_function
        self.n_outputs = network.output.shape[1]
        self._hidden_shape = network.hidden.shape
        self.theta = network.parameters()
        column_penalty = None
        if coordinates is not None:
            self._metric, column_penalty = coordinates.metric, coordinates.column_penalty
            self._outward, self._inward = coordinates.outward, coordinates.inward
        self._shares = network.penalised(column_penalty)
        self.penalised_theta = self._shares * self.theta

    def value(self):
        """Return 1/2 ||root_loss||^2 + 1/2 alpha theta' P theta, summed in float64."""
        return 0.5 * (square(self.root_loss) + self.alpha * self.size())

    def size(self):
        """Return theta' P theta, in float64."""
        return inner(self.theta, self.penalised_theta)

    def squares(self):
        """Return ||root_loss||^2 by output, shape (n_outputs,), in float64."""
        return squares_by_output(self.root_loss, self.n_outputs)

    def sketch_of_rows(self, sketch):
        """Return the strategy that draws sketches of these rows: here the given one."""
        return sketch

    def gradient(self):
        """Return J'r + alpha P theta."""
        slope = self._times(self.jacobian.rmatvec(self.residual), self._inward)
        return slope + self.alpha * self.penalised_theta

    def solve(self, solver, state, damping, drift=None):
        """Return the step p and the solver's result.

        Parameters
        ----------
        solver : Solver
            Solves the damped least-squares problem.
        state : object
            What ``solver.prepare`` returned for ``self.jacobian``.
        damping : float
            mu, in units of the batch.
        drift : ndarray or None
            momentum times the last step; None is zero.
        """
        return self._solve(solver, state, damping, self.residual, self.penalised_theta, drift)

    def solve_sensitivity(self, solver, state, damping, step, sensitivity, drift=None):
        """Return dp / d log(alpha) of the step p, from the sensitivity z = d theta / d log(alpha).

        The minimiser's condition, differentiated: with the same matrix as the step,

            (J'J + lam) dp = -J'(J z) - alpha P (theta + p + z) + mu ddrift,

        where J is taken as constant, as everywhere in a Gauss-Newton step. It is the subproblem
        itself with J z in place of the residual and theta + p + z in place of theta.

        Parameters
        ----------
        solver, state, damping
            As in :meth:`solve`.
        step : ndarray
            p, as :meth:`solve` returned it.
        sensitivity : ndarray
            z.
        drift : ndarray or None
            The derivative of the drift; None is zero.
        """
        residual = self.image(sensitivity)
        pulled = self._shares * (self.theta + step + sensitivity)
        return self._solve(solver, state, damping, residual, pulled, drift)[0]

    def _solve(self, solver, state, damping, residual, pulled, drift):
        """Return the step, and the solver's result, that minimises with ``pulled`` for P theta."""
        ridge = self.alpha + damping
        if ridge == 0:
            result = self._solved(solver, state, -residual, 0.0)
            return result.step, result
        centre = (-self.alpha / ridge) * pulled
        if drift is not None:
            centre += (damping / ridge) * self._times(drift, self._metric)
        centre = self._times(centre, self._outward)
        centred = residual if not centre.any() else (residual + self.jacobian.matvec(centre))
        result = self._solved(solver, state, -centred, ridge)
        return self._times(centre + result.step, self._outward), result

    def _solved(self, solver, state, rhs, ridge):
        """Return the checked :class:`SolveResult`, with a step of NaN where the algebra failed."""
        try:
            if isinstance(state, np.linalg.LinAlgError):
                raise state
            return _checked(solver, solver.solve(state, rhs, ridge), self.theta)
        except np.linalg.LinAlgError as error:
            # It should not raise; all steps before are worth more than an error.
            nothing = np.full_like(self.theta, np.nan)
            return SolveResult(nothing, converged=False, message=f"{type(error).__name__}: {error}")

    def image(self, step):
        """Return J p."""
        return self.jacobian.matvec(self._times(step, self._inward))

    def _times(self, vector, matrix):
        """Return a vector with its hidden weights multiplied by a matrix; None is the identity."""
        if matrix is None:
            return vector
        n_hidden, out = prod(self._hidden_shape), vector.copy()
        hidden = out[:n_hidden].reshape(self._hidden_shape)
        hidden[...] = _transformed(hidden, matrix)
        return out

    def flips(self, network):
        """Return the share of activations that differ under another network's hidden weights."""
        return self.jacobian.flips(_transformed(network.hidden, self._inward))

    def trial(self, network, step, data):
        """Return the network at theta + step and its objective, nan if the step is not finite."""
        parameters = self.theta + step
        moved = network.with_parameters(parameters)
        if not np.isfinite(step).all():
            return moved, np.nan
        size = data.squared_loss(moved, self.loss_function)
        return moved, 0.5 * (size + self.alpha * inner(parameters, self._shares * parameters))

    def predicted_decrease(self, step):
        """Return by how much the linearised objective (without damping) falls along a step."""
        # Products by @, as these are no arrays where the rows are on a cluster.
        image = self.image(step).astype(np.float64)
        linear = image @ self.residual + self.alpha * inner(step, self.penalised_theta)
        curvature = image @ image + self.alpha * inner(step, self._shares * step)
        # A Python float: it ends in the damping, and a numpy scalar there would turn the float32
        # vectors of all further steps into float64 ones.
        return float(-(linear + 0.5 * curvature))


def _checked(solver, result, theta):
    """Return a solver's result, after checking what a user's own solver may get wrong.

    The step gets the dtype of the parameters: all further ones would be of a larger one.
    """
    step = result.step if isinstance(result, SolveResult) else None
    if step is None:
        found = f"{type(result).__name__}, no SolveResult with a step"
    elif type(step) is not np.ndarray:  # nor a masked one
        found = f"a step that is a {type(step).__name__}"
    elif step.shape != theta.shape or step.dtype.kind not in "fiu":
        found = f"a step of shape {step.shape} and dtype {step.dtype}"
    elif step.dtype == theta.dtype:
        return result
    else:
        return replace(result, step=step.astype(theta.dtype))
    raise ValueError(
        f"{solver!r}.solve returned {found}; expected a SolveResult whose step is an array of "
        f"real numbers of shape {theta.shape}. Correct the `solver` strategy."
    )


def _transformed(rows, matrix):
    """Return X T for a matrix T, or the diagonal one that a vector stands for; None is I."""
    if matrix is None:
        return rows
    return rows * matrix if matrix.ndim == 1 else product(rows, matrix)


def square(vector):
    """Return ||v||^2 with float64 accumulation."""
    vector = vector.astype(np.float64, copy=False)
    return dot(vector, vector)


def inner(vector, other):
    """Return v'w with float64 accumulation."""
    return dot(vector.astype(np.float64, copy=False), other.astype(np.float64, copy=False))


def squares_by_output(vector, n_outputs):
    """Return the sums of squares of a vector that is ordered output by output, in float64."""
    by_output = vector.reshape(n_outputs, -1).astype(np.float64)
    return np.einsum("kn,kn->k", by_output, by_output)
