"""Weighted standardisation of inputs and targets, and its folding into the weights."""

from dataclasses import dataclass

import numpy as np

# Rows handled at a time: a pass over the table needs no copy of it.
_ROWS = 8192


@dataclass
class Scaling:
    """Means and inverse scales of inputs and targets.

    Attributes
    ----------
    x_mean, x_inverse : ndarray of shape (n_features,)
        Mean and 1 / standard deviation of every column; the inverse is 0 for a constant column,
        which removes it from the network.
    y_mean, y_scale : ndarray of shape (n_outputs,)
        Mean and standard deviation of every target; the scale of a constant target is 1.
    """

    x_mean: np.ndarray
    x_inverse: np.ndarray
    y_mean: np.ndarray
    y_scale: np.ndarray

    def scaled_rows(self, X, sqrt_weight, dtype, *, ones):
        """Return sqrt(s) * [standardised X, 1] (without the ones column if not ``ones``)."""
        n, d = X.shape
        rows = np.empty((n, d + ones), dtype=dtype)
        for start in range(0, n, _ROWS):
            block = slice(start, start + _ROWS)
            # Half first: the difference of two numbers near the largest float must not overflow.
            centred = 0.5 * np.asarray(X[block], dtype=np.float64) - 0.5 * self.x_mean
            rows[block, :d] = centred * self.x_inverse * 2.0 * sqrt_weight[block, None]
        if ones:
            rows[:, d] = sqrt_weight
        return rows

    def scaled_targets(self, y, sqrt_weight, dtype):
        """Return sqrt(s) * standardised y."""
        # Half first, as in the rows.
        centred = (0.5 * y - 0.5 * self.y_mean) / self.y_scale * 2.0
        return (centred * sqrt_weight[:, None]).astype(dtype)

    def fold(self, network):
        """Return (coefs, intercepts) of the network on raw inputs, in MLPRegressor's shapes."""
        hidden = network.hidden.astype(np.float64)
        d = len(self.x_mean)
        bias = hidden[:, d] if network.train_output else np.zeros(len(hidden))
        coefs = (hidden[:, :d] * self.x_inverse).T
        output = network.output.astype(np.float64) * self.y_scale
        intercept = network.intercept.astype(np.float64) * self.y_scale + self.y_mean
        return [np.ascontiguousarray(coefs), output], [bias - self.x_mean @ coefs, intercept]

    def unfold(self, network, coefs, intercepts):
        """Return the network in these standardised units whose fold is (coefs, intercepts)."""
        scale = np.divide(1.0, self.x_inverse, where=self.x_inverse > 0, out=self.x_inverse * 0)
        hidden = (coefs[0] * scale[:, None]).T
        if network.train_output:
            bias = intercepts[0] + self.x_mean @ coefs[0]
            hidden = np.concatenate([hidden, bias[:, None]], axis=1)
        output = coefs[1] / self.y_scale
        intercept = (intercepts[1] - self.y_mean) / self.y_scale
        return type(network)(hidden, output, intercept, network.train_output)


def fit_scaling(X, y, sample_weight, *, scale_inputs=True):
    """Return the weighted :class:`Scaling` of a table.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Inputs.
    y : ndarray of shape (n_samples, n_outputs)
        Targets.
    sample_weight : ndarray of shape (n_samples,)
        Positive weights.
    scale_inputs : bool, default=True
        False leaves the inputs raw (the paper's network).
    """
    y_mean, y_scale = _weighted_moments(y, sample_weight)
    y_scale[y_scale == 0] = 1.0
    if not scale_inputs:
        return Scaling(np.zeros(X.shape[1]), np.ones(X.shape[1]), y_mean, y_scale)
    x_mean, x_scale = _weighted_moments(X, sample_weight)
    x_inverse = np.divide(1.0, x_scale, where=x_scale > 0, out=np.zeros_like(x_scale))
    return Scaling(x_mean, x_inverse, y_mean, y_scale)


def _weighted_moments(table, weight):
    """Return mean and standard deviation by column; the latter is 0 for a constant column.

    Columns are divided by their largest entry first, so that nothing overflows, and the second
    pass subtracts the mean before it squares, so that nothing cancels.
    """
    size = np.zeros(table.shape[1])
    for block in _blocks(table):
        np.maximum(size, np.abs(np.asarray(table[block], dtype=np.float64)).max(axis=0), out=size)
    size[size == 0] = 1.0
    weight = weight / weight.sum()
    mean, variance = np.zeros_like(size), np.zeros_like(size)
    # Relative to one of the rows: the mean of a constant column is then exact. A mean that is off
    # by its rounding looks like a tiny deviation, by which folding would divide.
    pivot = np.asarray(table[0], dtype=np.float64) / size
    for block in _blocks(table):
        mean += weight[block] @ (np.asarray(table[block], dtype=np.float64) / size - pivot)
    mean += pivot
    for block in _blocks(table):
        centred = np.asarray(table[block], dtype=np.float64) / size - mean
        variance += weight[block] @ centred**2
    scale = np.sqrt(variance)
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 0.0
    scale *= size
    scale[scale < 1e-300] = 0.0  # its inverse would overflow
    return mean * size, scale


def _blocks(table):
    return [slice(start, start + _ROWS) for start in range(0, len(table), _ROWS)]
