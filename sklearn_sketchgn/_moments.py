"""Weighted means, deviations and ranges of the columns of a table, and of two tables in one."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

from ._sparse import weighted_moments
from ._tables import by_value, row_blocks

#: A deviation below this counts as none: weights are divided by it, which may overflow.
LEAST_DEVIATION = 1e-303

# The largest sum of weights: two of them must not overflow.
_LARGEST_WEIGHT = float(np.finfo(np.float64).max / 4)


@dataclass
class Moments:
    """Weighted mean, standard deviation and range of the columns of a table, and its weight.

    The deviation of a constant column is exactly 0.
    """

    weight: float
    mean: np.ndarray
    deviation: np.ndarray
    least: np.ndarray
    largest: np.ndarray

    def in_weight_unit(self, unit):
        """Return the moments under weights that are ``unit`` times as large."""
        return replace(self, weight=min(self.weight * unit, _LARGEST_WEIGHT))

    def merged(self, other):
        """Return the moments of two tables in one.

        With u = W2 / (W1 + W2) and d = m2 - m1 the mean is m1 + u d and the variance
        (1 - u) v1 + u v2 + u (1 - u) d^2.

        References
        ----------
        Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
        Variances", COMPSTAT 1982.
        """
        share = other.weight / (self.weight + other.weight)
        # Half of d: the difference of two numbers near the largest float must not overflow.
        half = 0.5 * other.mean - 0.5 * self.mean
        size = np.maximum(np.maximum(self.deviation, other.deviation), np.abs(half))
        size[size == 0] = 1.0
        variance = (1 - share) * (self.deviation / size) ** 2 + share * (
            other.deviation / size
        ) ** 2
        variance += 4 * share * (1 - share) * (half / size) ** 2
        mean = self.mean + 2 * share * half
        deviation = _zero_if_constant(np.sqrt(variance) * size, mean)
        weight = min(self.weight + other.weight, _LARGEST_WEIGHT)
        merged = replace(self, weight=weight, mean=mean, deviation=deviation)
        least = np.minimum(self.least, other.least)
        return replace(merged, least=least, largest=np.maximum(self.largest, other.largest))


def fit_moments(table, sample_weight):
    """Return the weighted :class:`Moments` of a table of shape (n_samples, n_columns)."""
    share = by_value(lambda weight: weight / weight.max(), sample_weight)
    total = share.sum()
    share = by_value(lambda weight: weight / total, share)
    moments = weighted_moments if issparse(table) else _weighted_moments
    mean, deviation, least, largest = moments(table, share)
    deviation = _zero_if_constant(deviation, mean)
    return Moments(float(sample_weight.sum()), mean, deviation, least, largest)


def _weighted_moments(table, weight):
    """Return mean, standard deviation, least and largest value by column, for weights of sum 1.

    Columns are divided by their largest entry first, so that nothing overflows, and the second
    pass subtracts the mean before it squares, so that nothing cancels.
    """
    blocks = row_blocks(*table.shape)
    least = np.full(table.shape[1], np.inf)
    largest = -least
    for block in blocks:
        part = np.asarray(table[block], dtype=np.float64)
        np.minimum(least, part.min(axis=0), out=least)
        np.maximum(largest, part.max(axis=0), out=largest)
    size = np.maximum(-least, largest)
    size[size == 0] = 1.0
    mean, variance = np.zeros_like(size), np.zeros_like(size)
    # Relative to one of the rows: the mean of a constant column is then exact. A mean that is off
    # by its rounding looks like a tiny deviation, by which folding would divide.
    pivot = np.asarray(table[:1], dtype=np.float64)[0] / size
    for block in blocks:
        # Contiguous: of weights with stride 0 the products would be summed in another order.
        share = np.ascontiguousarray(weight[block])
        mean += share @ (np.asarray(table[block], dtype=np.float64) / size - pivot)
    mean += pivot
    for block in blocks:
        centred = np.asarray(table[block], dtype=np.float64) / size - mean
        variance += np.ascontiguousarray(weight[block]) @ centred**2
    return mean * size, np.sqrt(variance) * size, least, largest


def _zero_if_constant(deviation, mean):
    """Return the deviations with those below round-off of the mean set to 0."""
    constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    constant |= deviation < LEAST_DEVIATION
    return np.where(constant, 0.0, deviation)
