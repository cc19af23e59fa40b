"""Location and scale of weighted columns that gross errors hardly move."""

import numpy as np

# The median absolute deviation of a normal distribution times this is its standard deviation.
_MAD_TO_DEVIATION = 1.4826022185056018


def weighted_median(table, sample_weight):
    """Return the weighted median of every column; integer weights count as repetitions."""
    return weighted_quantile(table, sample_weight, 0.5)


def weighted_quantile(table, sample_weight, share):
    """Return a quantile of every column; integer weights count as repetitions."""
    order = np.argsort(table, axis=0, kind="stable")
    ordered = np.take_along_axis(table, order, axis=0)
    below = np.cumsum(sample_weight[order], axis=0)
    part = share * below[-1]
    columns = np.arange(table.shape[1])
    # Round-off in the sums of weights must not decide whether that part of it is reached.
    lower = (below < part * (1 - 1e-12)).sum(axis=0)
    upper = np.minimum((below <= part * (1 + 1e-12)).sum(axis=0), len(table) - 1)
    return 0.5 * ordered[lower, columns] + 0.5 * ordered[upper, columns]


def robust_deviation(centred, sample_weight):
    """Return the standard deviation of every column, by its median absolute deviation.

    Where more than half of the weight is on one value, which makes that 0, the mean absolute
    deviation takes its place.
    """
    size = np.abs(centred)
    scale = _MAD_TO_DEVIATION * weighted_median(size, sample_weight)
    mean = np.sqrt(0.5 * np.pi) * (sample_weight / sample_weight.sum()) @ size
    return np.where(scale > 0, scale, mean)
