"""One Gauss-Newton step: the damped, penalised, momentum-centred least-squares subproblem."""

import numpy as np


class Subproblem:
    """The objective on a batch, linearised at the current parameters theta.

    With J and r from the network, P the 0/1 mask of penalised parameters and alpha in units of
    the batch, a step p minimises

        1/2 ||J p + r||^2 + 1/2 alpha ||P (theta + p)||^2 + 1/2 mu ||p - drift||^2.

    With lam = alpha + mu and the centre c = (mu drift - alpha P theta) / lam this is, for
    p = c + q, the damped least-squares problem  min ||J q + r + J c||^2 + lam ||q||^2  that every
    solver solves. (One lam for all parameters gives the unpenalised ones a proximal term more:
    the step differs slightly, its fixed points are those of the objective.)

    Parameters
    ----------
    network : Network
        The network at theta.
    rows, targets : ndarray
        Scaled rows and targets of the batch.
    alpha : float
        Penalty in units of the batch: alpha * n_outputs * sum(s_batch) / sum(s).
    """

    def __init__(self, network, rows, targets, alpha):
        self.alpha = alpha
        self.theta = network.parameters()
        self._mask = network.penalised()
        self.penalised_theta = self._mask * self.theta
        self.jacobian, self.residual = network.linearise(rows, targets)

    def value(self):
        """Return 1/2 ||r||^2 + 1/2 alpha ||P theta||^2, summed in float64."""
        return 0.5 * (_square(self.residual) + self.alpha * _square(self.penalised_theta))

    def gradient(self):
        """Return J'r + alpha P theta."""
        return self.jacobian.rmatvec(self.residual) + self.alpha * self.penalised_theta

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
        ridge = self.alpha + damping
        if ridge == 0:
            result = solver.solve(state, -self.residual, 0.0)
            return result.step, result
        centre = (-self.alpha / ridge) * self.penalised_theta
        if drift is not None:
            centre += (damping / ridge) * drift
        centred = (
            self.residual if not centre.any() else (self.residual + self.jacobian.matvec(centre))
        )
        result = solver.solve(state, -centred, ridge)
        return centre + result.step, result

    def trial(self, network, step, data):
        """Return the network at theta + step and its objective, nan if the step is not finite."""
        moved = network.with_parameters(self.theta + step)
        if not np.isfinite(step).all():
            return moved, np.nan
        residual = moved.evaluate(data.rows) - data.targets
        size = _square(residual.ravel()) + self.alpha * _square(self._mask * moved.parameters())
        return moved, 0.5 * size

    def predicted_decrease(self, step):
        """Return by how much the linearised objective (without damping) falls along a step."""
        image = self.jacobian.matvec(step).astype(np.float64)
        moved = (self._mask * step).astype(np.float64)
        linear = image @ self.residual + self.alpha * (moved @ self.penalised_theta)
        return -(linear + 0.5 * (image @ image + self.alpha * (moved @ moved)))


def _square(vector):
    """Return ||v||^2 with float64 accumulation."""
    vector = vector.astype(np.float64, copy=False)
    return float(vector @ vector)
