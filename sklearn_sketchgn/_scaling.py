"""Weighted standardisation of inputs and targets, and its folding into the weights."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from ._encoding import Ramps
from ._moments import LEAST_DEVIATION
from ._network import Network
from ._sparse import all_within, fill_standardised
from ._tables import by_value, dense, row_blocks

# The relative difference of its variance from that of two values by which a column has others.
_TWO_VALUED = 1e-6


# Targets count as at most so many deviations away, which is a number in float32. Only where the
# deviation is a robust one are there any farther.
_FARTHEST = 1e31


@dataclass
class Scaling:
    """Means and inverse scales of inputs and targets.

    Attributes
    ----------
    x_mean, x_inverse : ndarray of shape (n_features,)
        Mean and 1 / scale of every column, see :func:`input_scale`; the inverse is 0 for a
        constant column, which removes it from the network.
    y_mean, y_scale : ndarray of shape (n_outputs,)
        Mean and standard deviation of every target; the scale of a constant target is 1, or its
        size where that is smaller, beside which the network's round-off must not show.
    ramps : Ramps or None
        What the network sees of the columns besides themselves.
    bounds : ndarray of shape (2, n_features) or None
        What raw inputs are moved into before they are standardised; None leaves them as they are.
    """

    x_mean: np.ndarray
    x_inverse: np.ndarray
    y_mean: np.ndarray
    y_scale: np.ndarray
    ramps: Ramps | None = None
    bounds: np.ndarray | None = None

    @property
    def n_inputs(self):
        """Number of inputs of the network: columns, and ramps if there are any."""
        return len(self.x_mean) + (0 if self.ramps is None else len(self.ramps))

    def scaled_rows(self, X, sqrt_weight, dtype, *, ones):
        """Return sqrt(s) * [standardised X, ramps, 1] (without the ones column if not ``ones``)."""
        n, d = X.shape
        rows = np.empty((n, self.n_inputs + ones), dtype=dtype)
        if ones:
            rows[:, -1] = sqrt_weight
        bounds = self.bounds
        if bounds is not None and issparse(X) and all_within(X, bounds):
            bounds = None  # to read the stored entries only
        if issparse(X) and self.ramps is None and bounds is None:
            fill_standardised(rows[:, :d], X, self.x_mean, self.x_inverse, sqrt_weight)
            return rows
        for block in row_blocks(*rows.shape):
            # Half first: the difference of two numbers near the largest float must not overflow.
            half = 0.5 * np.asarray(dense(X[block]), dtype=np.float64)
            if bounds is not None:
                np.clip(half, *(0.5 * bounds), out=half)
            centred = half - 0.5 * self.x_mean
            centred *= self.x_inverse
            centred *= 2.0
            centred *= sqrt_weight[block, None]
            rows[block, :d] = centred
            if self.ramps is not None:
                self.ramps.fill(rows[block, d : self.n_inputs], half, sqrt_weight[block])
        return rows

    def scaled_targets(self, y, sqrt_weight, dtype):
        """Return sqrt(s) * standardised y."""
        targets = np.empty(y.shape, dtype=dtype)
        for block in row_blocks(*y.shape):
            # Half first, as in the rows.
            centred = (0.5 * y[block] - 0.5 * self.y_mean) / self.y_scale * 2.0
            np.clip(centred, -_FARTHEST, _FARTHEST, out=centred)
            targets[block] = centred * sqrt_weight[block, None]
        return targets

    def arrays(self, X, y, weight, dtype, *, ones):
        """Return the scaled rows, the scaled targets and the weights of a table."""
        sqrt_weight = by_value(np.sqrt, weight)
        rows = self.scaled_rows(X, sqrt_weight, dtype, ones=int(ones))
        return rows, self.scaled_targets(y, sqrt_weight, dtype), weight

    def fold(self, network):
        """Return (coefs, intercepts) of the network on raw inputs, in MLPRegressor's shapes.

        With ramps there is one layer more, the first, see :class:`~._encoding.Ramps`.
        """
        hidden = network.hidden.astype(np.float64)
        d = len(self.x_mean)
        bias = hidden[:, -1] if network.train_output else np.zeros(len(hidden))
        coefs = (hidden[:, :d] * self.x_inverse).T
        output = network.output.astype(np.float64) * self.y_scale
        intercept = network.intercept.astype(np.float64) * self.y_scale + self.y_mean
        if self.ramps is None:
            return [np.ascontiguousarray(coefs), output], [bias - self.x_mean @ coefs, intercept]
        first, centres = self.ramps.first_layer(self.x_mean)
        of_ramps = hidden[:, d : self.n_inputs].T
        biases = [centres, bias + self.ramps.gain(of_ramps), intercept]
        return [first, self.ramps.fold(coefs, of_ramps), output], biases

    def unfold(self, coefs, intercepts, *, train_output=True):
        """Return the network in these standardised units whose fold is (coefs, intercepts)."""
        scale = np.divide(1.0, self.x_inverse, where=self.x_inverse > 0, out=self.x_inverse * 0)
        *_, inner, output = coefs
        *_, bias, intercept = intercepts
        if self.ramps is None:
            hidden, bias = (inner * scale[:, None]).T, bias + self.x_mean @ inner
        else:
            inner, of_ramps = self.ramps.unfold(inner)
            hidden = np.concatenate([inner * scale[:, None], of_ramps]).T
            bias = bias - self.ramps.gain(of_ramps)
        if train_output:
            hidden = np.concatenate([hidden, bias[:, None]], axis=1)
        output = output / self.y_scale
        intercept = (intercept - self.y_mean) / self.y_scale
        return Network(hidden, output, intercept, train_output)


def scaling_of(x, y, *, scale_inputs=True):
    """Return the :class:`Scaling` by the moments of inputs and targets.

    Parameters
    ----------
    x, y : Moments
        Moments of inputs and targets.
    scale_inputs : bool, default=True
        False leaves the inputs raw (the paper's network).
    """
    size = np.minimum(np.abs(y.mean), 1.0)
    y_scale = np.where(y.deviation > 0, y.deviation, np.where(size > LEAST_DEVIATION, size, 1.0))
    if not scale_inputs:
        return Scaling(np.zeros_like(x.mean), np.ones_like(x.mean), y.mean, y_scale)
    scale = input_scale(x)
    x_inverse = np.divide(1.0, scale, where=scale > 0, out=np.zeros_like(x.mean))
    return Scaling(x.mean, x_inverse, y.mean, y_scale)


def input_scale(x):
    """Return what inputs of these moments are divided by; 0 for constant columns.

    The standard deviation, but of a column of two values half of their distance, which is never
    less. Divided by its deviation, a category of one row in a hundred would be five times as far
    from the others as one of every other row, and count as five times as likely to matter.

    Parameters
    ----------
    x : Moments
        Of the inputs.
    """
    varies = x.deviation > 0
    # The variance is at most that of the two outermost values, (mean - least) (largest - mean).
    share = np.ones_like(x.deviation)
    # Half of each: the difference of two numbers near the largest float must not overflow.
    half, mean = 0.5 * x.deviation, 0.5 * x.mean
    for distance in (mean - 0.5 * x.least, 0.5 * x.largest - mean):
        share *= np.divide(half, distance, where=varies & (distance > 0), out=np.zeros_like(half))
    two_valued = varies & (share > 1 - _TWO_VALUED)
    return np.where(two_valued, 0.5 * x.largest - 0.5 * x.least, x.deviation)
