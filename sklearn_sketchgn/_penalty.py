"""alpha="auto": choose the penalty from the linearised model, without a search."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

#: Candidates for alpha: a fixed grid, so that equal data give equal choices.
ALPHA_GRID = np.logspace(-6, 4, 81)

# Added to 1 - leverage: a row that determines its own fit must not divide by round-off.
_LEAST_COMPLEMENT = 1e-10


@dataclass
class LinearisedRidge:
    """The ridge regression that the network is, to first order, at its current parameters.

    With z = J theta - r as target and K = J_P J_P' (penalised parameters only), ridge lam gives
    the hat matrix  B = U U' + K_c (K_c + lam I)^-1,  U being the unpenalised intercept of every
    output and K_c the kernel with U projected out. One eigendecomposition serves every lam.

    Attributes
    ----------
    values, vectors : ndarray
        Eigendecomposition of K_c; vectors of shape (n_outputs, n_samples, size).
    target : ndarray of shape (size,)
        vectors' z.
    intercept : ndarray of shape (n_samples,)
        The unit vector u of the intercept, or zeros.
    weights : ndarray of shape (n_samples,)
        Sample weights; the rows are scaled by their roots.
    """

    values: np.ndarray
    vectors: np.ndarray
    target: np.ndarray
    intercept: np.ndarray
    weights: np.ndarray

    def leave_one_out(self, ridges):
        """Return the weighted mean of squared leave-one-out residuals at each of several ridges.

        sum_i w_i ||(I - B_i / max(w_i, 1))^-1 e_i||^2 / sum w, with B_i the block of the hat
        matrix at sample i and e_i its unscaled residual: with integer weights the same as
        repeating rows and leaving out one copy.
        """
        k, n, _ = self.vectors.shape
        shrink = ridges / (self.values[:, None] + ridges)  # (size, n_ridges)
        residual = self.vectors @ (shrink * self.target[:, None]) / np.sqrt(self.weights)[:, None]
        complement = np.empty((n, len(ridges), k, k))
        for i in range(k):
            for j in range(i + 1):
                hat = (self.vectors[i] * self.vectors[j]) @ (1 - shrink)
                hat += (self.intercept**2)[:, None] * (i == j)
                hat /= np.maximum(self.weights, 1.0)[:, None]
                complement[:, :, i, j] = complement[:, :, j, i] = (i == j) - hat
        np.einsum("nrii->nri", complement)[...] += _LEAST_COMPLEMENT
        left_out = np.linalg.solve(complement, residual.transpose(1, 2, 0)[..., None])[..., 0]
        return self.weights @ np.einsum("nrk,nrk->nr", left_out, left_out) / self.weights.sum()

    def effective_parameters(self, ridge):
        """Return gamma = trace of K_c (K_c + ridge I)^-1."""
        return float((self.values / (self.values + ridge)).sum())


def linearised_ridge(jacobian, residual, theta, weights):
    """Return the :class:`LinearisedRidge` of a Jacobian in float64, of ``n_samples`` weights."""
    n, k = jacobian.n_samples, jacobian.n_outputs
    target = (jacobian.matvec(theta) - residual).astype(np.float64).reshape(k, n)
    kernel = jacobian.gram().astype(np.float64)
    intercept = np.zeros(n)
    if jacobian.train_output:
        ones = jacobian.rows[:, -1].astype(np.float64)
        intercept = ones / np.linalg.norm(ones)
        target -= np.outer(target @ intercept, intercept)
        blocks = kernel.reshape(k, n, k, n)
        for j in range(k):
            blocks[j, :, j] -= np.outer(ones, ones)
        blocks -= np.einsum("iajb,b,c->iajc", blocks, intercept, intercept, optimize=True)
        blocks -= np.einsum("a,c,icjb->iajb", intercept, intercept, blocks, optimize=True)
    values, vectors = eigh(kernel, overwrite_a=True, check_finite=False)
    values = np.maximum(values, 0.0)
    return LinearisedRidge(
        values, vectors.reshape(k, n, -1), vectors.T @ target.ravel(), intercept, weights
    )


def best_alpha(ridge_model, scale):
    """Return the alpha of the grid with the least leave-one-out error.

    Parameters
    ----------
    ridge_model : LinearisedRidge
        The linearised model of a set of samples.
    scale : float
        Ridge of that set for alpha = 1: n_outputs * sum(s_set) / sum(s).

    Returns
    -------
    float
        The first minimiser on ``ALPHA_GRID``.
    """
    errors = ridge_model.leave_one_out(ALPHA_GRID * scale)
    return float(ALPHA_GRID[int(np.argmin(errors))])


class PenaltySelector:
    """Moves the penalty of a :class:`Training` towards its leave-one-out choice as it trains."""

    def __init__(self, data, *, max_samples=600, n_updates=10):
        self.data = data
        self.max_size = max_samples
        self.updates = list(np.linspace(0.08, 0.95, n_updates))

    def update(self, training, done):
        """Update ``training.alpha`` if the next point of the schedule has been passed."""
        if not self.updates or done < self.updates[0]:
            return
        while self.updates and done >= self.updates[0]:
            self.updates.pop(0)
        k = len(training.network.intercept)
        size = max(2, self.max_size // k)
        data = self.data
        if len(data) > size:
            data = data.take(training.rng.choice(len(data), size, replace=False))
        scale = k * float(data.weights.sum()) / training.total_weight
        problem = training.subproblem(data)
        model = linearised_ridge(problem.jacobian, problem.residual, problem.theta, data.weights)
        training.alpha = float(np.sqrt(training.alpha * best_alpha(model, scale)))
