"""Predictive standard deviation: a linearised Laplace approximation, calibrated on unseen rows.

Around the fitted network f(x; theta + p) = f(x) + j(x)'p. With noise of variance sigma^2 and a
prior p ~ N(0, sigma^2 / ridge I) the posterior covariance of p is sigma^2 (J'J + ridge I)^-1, and

    std(x)^2 = sigma^2 V (1 + V j(x)' (J'J + ridge I)^-1 j(x)) exp(g(x)),

with V = 1 but for counts: their variance grows with the rate, V = exp(f), of which V^2 j'(..)j is
the variance by the delta method. Rows of J are multiplied by the root of the loss's curvature.
How the ridge, sigma and the correction g are chosen is in ``_calibration.py``.
"""

from dataclasses import dataclass

import numpy as np

from ._blas import product
from ._losses import LOSSES
from ._posterior import BLOCK, leverage_at
from ._scaling import Scaling
from ._tangent_kernel import TangentKernel


@dataclass(frozen=True)
class Uncertainty:
    """What a fitted estimator keeps in order to compute standard deviations.

    The posterior is represented on the span of the Jacobian's rows at M inducing rows u_1 ... u_M,
    in which phi(x) = (k(x, u_1) ... k(x, u_M)) T has orthonormal coordinates that diagonalise
    J'J; outside of the span it is the prior.

    Attributes
    ----------
    loss : str
        Name of the loss function of the fit.
    scaling : Scaling
        Of the fit.
    n_members : int
        The kernel is that of the members side by side: with their own output weights, not those
        divided by their number.
    train_output : bool
        As in the network.
    inducing : ndarray of shape (M, n_features)
        Standardised rows, bias entry included.
    projection : ndarray of shape (M, rank)
        T.
    eigenvalues : ndarray of shape (rank,)
        Of J'J in these coordinates.
    ridge : float
        The ridge.
    noise : ndarray of shape (n_outputs,)
        sigma^2 of every output.
    log_weights : ndarray of shape (rank, n_outputs)
        g(x) = phi(x)' w for every output.
    log_range : ndarray of shape (2, n_outputs)
        g is clipped to its values on the rows that it was fitted to.
    """

    loss: str
    scaling: Scaling
    n_members: int
    train_output: bool
    inducing: np.ndarray
    projection: np.ndarray
    eigenvalues: np.ndarray
    ridge: float
    noise: np.ndarray
    log_weights: np.ndarray
    log_range: np.ndarray

    def standard_deviation(self, X, predicted, coefs, intercepts):
        """Return the standard deviation for raw inputs in the units of y, shape (n, n_outputs)."""
        network = self.scaling.unfold(coefs, intercepts, train_output=self.train_output)
        kernel = TangentKernel.of(network, self.n_members)
        loss = LOSSES[self.loss]()
        out = np.empty((X.shape[0], len(self.noise)))
        unit = loss.target_scaling(self.scaling).y_scale
        with np.errstate(over="ignore", invalid="ignore"):
            self._fill(out, X, kernel, loss.variance(predicted / unit))
            out *= unit
        # NaN comes from rows so far from the training rows that squares overflow.
        out[np.isnan(out)] = np.inf
        return out

    def _fill(self, out, X, kernel, variances):
        """Write the standard deviations in standardised units, block by block."""
        for start in range(0, len(out), BLOCK):
            block = slice(start, start + BLOCK)
            ones = np.ones(len(out[block]))
            rows = self.scaling.scaled_rows(X[block], ones, np.float64, ones=int(self.train_output))
            coordinates = product(kernel(rows, self.inducing), self.projection)
            leverage = leverage_at(coordinates, self.eigenvalues, kernel.diagonal(rows), self.ridge)
            log_scale = np.clip(coordinates @ self.log_weights, *self.log_range)
            variance = variances[block]
            spread = 1 + variance * leverage[:, None]
            out[block] = np.sqrt(self.noise * np.exp(log_scale) * variance * spread)


def standard_deviation(model, X, predicted):
    """Return the standard deviation of a fitted estimator's predictions, shape (n, n_outputs).

    ``predicted``, of the same shape, says how much counts vary; it is bounded where X is not.

    Raises
    ------
    ValueError
        If the estimator has none.
    """
    state = getattr(model, "_uncertainty", "it was stored without its standard deviation")
    if isinstance(state, str):
        raise ValueError(
            f"return_std=True: this {type(model).__name__} has no standard deviation, because "
            f"{state}. Call `fit` again, with enough rows, or predict without `return_std`."
        )
    return state.standard_deviation(X, predicted, model.coefs_, model.intercepts_)
