"""Piecewise-linear encoding: ramps between quantiles of a column, beside the column itself.

A network of few kinks bends smoothly. Where the target changes abruptly with single columns, as
trees find it to, columns are given to it together with ramps, each of which rises from -S to S
between two neighbouring knots t < t' and is constant elsewhere:

    ramp(x) = 2 S (clip((x - t) / (t' - t), 0, 1) - 1/2).

For raw inputs that is one more layer, of fixed neurons relu(x - t), in front of the others.

References
----------
Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
NeurIPS 2022, section 3.2.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from ._tables import subset

#: Half of the height of a ramp, in units in which the column itself has the deviation 1. So a bend
#: must gain more than a straight line to be believed.
HEIGHT = 0.3

#: Intervals between the knots of a column.
INTERVALS = 16

# Rows by which knots are placed; of more, so many are drawn.
_MOST_ROWS = 2**15

#: Columns that a table with ramps may have. The weights of the layer of ramps, a matrix with a row
#: for each column and some 19 columns for each, then take 128 MB.
MOST_COLUMNS = int((2**24 / (3 + INTERVALS)) ** 0.5)

# Knots are farther from each other than this share of the range of the column. A prediction, which
# is a sum of slopes between knots, loses as many digits.
_NEAREST = 1e-9

# Half of the range of columns that have ramps: beyond, slopes would leave the range of float64.
_LEAST_HALF, _LARGEST_HALF = 1e-280, 1e280


@dataclass(frozen=True, eq=False)
class Ramps:
    """Knots of the columns of a table, those of one column side by side in ascending order.

    Attributes
    ----------
    column : ndarray of int, shape (n_knots,)
        Whose knot it is.
    knot : ndarray of shape (n_knots,)
        In the units of the column.
    """

    column: np.ndarray
    knot: np.ndarray

    def __len__(self):
        """Return the number of ramps."""
        return int(np.count_nonzero(self._starts))

    @property
    def _starts(self):
        """Which knots begin a ramp, which ends at the next: all but the last one of a column."""
        return self.column[:-1] == self.column[1:]

    def fill(self, out, half, sqrt_weight):
        """Write sqrt(s) * ramp(x) into ``out``, of shape (n_samples, number of ramps).

        ``half`` is half of the raw inputs: the difference of two numbers near the largest float
        must not overflow.
        """
        starts = self._starts
        low, high = 0.5 * self.knot[:-1][starts], 0.5 * self.knot[1:][starts]
        risen = half[:, self.column[:-1][starts]]
        risen -= low
        risen /= high - low
        np.clip(risen, 0.0, 1.0, out=risen)
        risen -= 0.5
        risen *= (2.0 * HEIGHT) * sqrt_weight[:, None]
        out[...] = risen

    def first_layer(self, centre):
        """Return (weights, biases) of the neurons relu(x - c), relu(c - x), relu(x - t)."""
        identity = np.eye(len(centre))
        weights = np.hstack([identity, -identity, identity[:, self.column]])
        return weights, np.concatenate([-centre, centre, -self.knot])

    def fold(self, coefs, of_ramps):
        """Return the weights of the first layer's neurons.

        Parameters
        ----------
        coefs : ndarray of shape (n_features, width)
            Weights for x - c.
        of_ramps : ndarray of shape (number of ramps, width)
            Weights for the ramps.
        """
        starts = self._starts
        slopes = 2.0 * HEIGHT * of_ramps / np.diff(self.knot)[starts, None]
        of_knots = np.zeros((len(self.knot), of_ramps.shape[1]))
        of_knots[:-1][starts] += slopes
        of_knots[1:][starts] -= slopes
        return np.concatenate([coefs, -coefs, of_knots])

    def gain(self, of_ramps):
        """Return what the next layer's biases gain, as the neurons are 0 where a ramp is -S."""
        return -HEIGHT * of_ramps.sum(axis=0)

    def unfold(self, folded):
        """Return the (coefs, of_ramps) of which :meth:`fold` made the weights."""
        starts, n = self._starts, len(self.knot)
        # One sum over the knots of each column: what rounding leaves at the end of one may be
        # many times the slopes of the next, in other units.
        slopes = folded[-n:].copy() if n else folded[:0]
        for part in np.split(slopes, 1 + np.flatnonzero(~starts)):
            np.cumsum(part, axis=0, out=part)
        of_ramps = slopes[:-1][starts] * np.diff(self.knot)[starts, None] / (2.0 * HEIGHT)
        return folded[: (len(folded) - n) // 2], of_ramps


def can_be_encoded(X):
    """Return whether a table may have ramps."""
    return not issparse(X) and X.shape[1] <= MOST_COLUMNS


def check_can_be_encoded(X):
    """Raise TypeError for a sparse table, ValueError for one of too many columns."""
    if issparse(X):
        raise TypeError(
            "Sparse X is not supported with encoding='piecewise'; got a "
            f"{type(X).__name__} of shape {X.shape}. Set encoding=None, or pass X.toarray()."
        )
    if not can_be_encoded(X):
        raise ValueError(
            f"encoding='piecewise' is for tables of up to {MOST_COLUMNS} columns, as its first "
            f"layer grows with their square; got X of shape {X.shape}. Set encoding=None, or "
            "choose columns."
        )


def place_ramps(X, sample_weight, varying=None):
    """Return the :class:`Ramps` of a table.

    A column of three to 17 values has a knot at each. Of more, the knots are the least, the
    largest, and quantiles under the weights, of which a single value counts as one interval at
    most: a column that is mostly zero has most of its knots elsewhere.

    Parameters
    ----------
    X : ndarray or SelectedRows of shape (n_samples, n_features)
        Raw inputs.
    sample_weight : ndarray of shape (n_samples,)
        Weights.
    varying : ndarray of bool, shape (n_features,), or None
        Columns that may have ramps; None is all.
    """
    n_samples, n_features = X.shape
    # A generator of its own, to leave that of the fit as it is; and no fixed step, which may be a
    # period of the table.
    chosen = subset(n_samples, _MOST_ROWS, np.random.default_rng(0))
    X, sample_weight = X[chosen], sample_weight[chosen]
    used = np.arange(n_features) if varying is None else np.flatnonzero(varying)
    knots = [_knots(np.asarray(X[:, j], np.float64), np.asarray(sample_weight)) for j in used]
    return Ramps(np.repeat(used, [*map(len, knots)]), np.concatenate([*knots, np.empty(0)]))


def _knots(x, sample_weight):
    """Return the knots of one column, none of a column of one or two values."""
    values, inverse = np.unique(x, return_inverse=True)
    if len(values) > INTERVALS + 1:
        up_to = np.cumsum(_capped(np.bincount(inverse, sample_weight)))
        # A little less: sums that are equal but for their rounding are to be found equal.
        inner = (1 - 1e-9) * up_to[-1] * np.arange(1, INTERVALS) / INTERVALS
        values = np.unique(values[np.r_[0, np.searchsorted(up_to, inner), len(values) - 1]])
    # Half of each: the range of numbers near the largest float must not overflow.
    half = 0.5 * values
    extent = half[-1] - half[0]
    kept = [0]
    for i in range(1, len(half)):
        if half[i] - half[kept[-1]] > _NEAREST * extent:
            kept.append(i)
    usable = len(kept) > 2 and _LEAST_HALF < extent < _LARGEST_HALF
    return values[kept] if usable else values[:0]


def _capped(mass):
    """Return masses of which none is more than an interval's share of their sum.

    Where j of them are lowered it is to x / (k - j), x being the sum of the others and k the
    number of intervals.
    """
    ordered = np.sort(mass)
    for n_lowered in range(INTERVALS):
        others = ordered[: len(ordered) - n_lowered]
        cap = others.sum() / (INTERVALS - n_lowered)
        if others[-1] <= cap:
            break
    return np.minimum(mass, cap)
