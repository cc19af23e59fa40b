"""Where predictions end to extrapolate: bounds of the inputs and of the predictions.

A ReLU network goes on linearly beyond its training rows, in directions that no row confirms: one
entry of 999,999 for "unknown", and a prediction is off by a thousand times the range of the
targets. A row is therefore predicted as the nearest one within a box that is larger than that of
the training rows by a fifth of its extent on every side, and predictions keep to an interval that
is larger than that of the training targets likewise. Among rows like those of training hardly any
is outside.

Other margins, measured while building: predictions within the range of the training targets, as
trees give them, err less on outlying rows, but follow no trend; with half of the range the square
of an outlying input counts so much that a table in which 1 % of the cells are "unknown" is
predicted worse than by the mean.
"""

import numpy as np
from scipy.sparse import issparse


def bounds_of(moments):
    """Return the bounds of inputs or predictions: a fifth of the range beyond what was seen.

    Parameters
    ----------
    moments : Moments
        Of the raw inputs or targets.

    Returns
    -------
    ndarray of shape (2, n_columns)
        Least and largest value of every column; infinite where float64 ends.
    """
    # A fifth first: the range of numbers near the largest float must not overflow.
    margin = 0.2 * moments.largest - 0.2 * moments.least
    with np.errstate(over="ignore"):
        return np.array([moments.least - margin, moments.largest + margin])


def no_bounds(n_columns):
    """Return bounds that nothing lies beyond, in the form of :func:`bounds_of`."""
    return np.repeat([[-np.inf], [np.inf]], n_columns, axis=1)


def bounded_product(X, bounds, weights):
    """Return the product of rows, each moved to the nearest one within the bounds, with weights.

    Parameters
    ----------
    X : ndarray, CSR array or matrix of shape (n_samples, n_features)
        Inputs; not changed.
    bounds : ndarray of shape (2, n_features)
        Least and largest value of every column.
    weights : ndarray of shape (n_features, width)
        Weights.
    """
    if not issparse(X):
        return np.clip(X, *bounds, dtype=np.float64) @ weights
    # What is not stored is zero, which may be out of bounds, too: all zeros move alike, and the
    # stored entries are then relative to them.
    zeros = np.clip(0.0, *bounds)
    moved = X.astype(np.float64)
    low, high = bounds[:, moved.indices]
    moved.data = np.clip(moved.data, low, high) - zeros[moved.indices]
    product = moved @ weights
    # Of few columns, if any: a whole row of numbers would cost more than the stored entries do.
    beyond = np.flatnonzero(zeros)
    product += zeros[beyond] @ weights[beyond]
    return product
