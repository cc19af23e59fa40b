"""Run a folded network, as ``coefs_`` and ``intercepts_`` hold it, over raw rows."""

from math import ceil

import numpy as np
from scipy.sparse import issparse

from ._bounds import bounded_product
from ._tables import row_blocks


def network_blocks(X, coefs):
    """Return slices of rows of which no layer takes more than 32 MB, nor what is made of X.

    That is a copy of it; of a sparse X five arrays of a number for each stored entry. There are 64
    rows in a block all the same.
    """
    of_x = ceil(5 * X.nnz / max(1, X.shape[0])) if issparse(X) else X.shape[1]
    return row_blocks(X.shape[0], max(of_x, *(coef.shape[1] for coef in coefs)))


def last_hidden(rows, coefs, intercepts, bounds=None):
    """Return the activations of the last hidden layer, shape (n_samples, width), in float64.

    Parameters
    ----------
    rows : ndarray, CSR array or matrix of shape (n_samples, n_features)
        Raw inputs; not changed.
    coefs, intercepts : sequence of ndarray
        Weights and biases of the hidden layers.
    bounds : ndarray of shape (2, n_features) or None
        What rows are moved into first; None leaves them as they are.
    """
    first = coefs[0]
    values = rows @ first if bounds is None else bounded_product(rows, bounds, first)
    for bias, coef in zip(intercepts[:-1], coefs[1:], strict=True):
        values = _rectified(values, bias) @ coef
    return _rectified(values, intercepts[-1])


def _rectified(values, bias):
    values += bias
    return np.maximum(values, 0, out=values)
