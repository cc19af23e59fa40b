"""Moments and extremes of the columns of a sparse table, from its stored entries alone."""

from itertools import pairwise

import numpy as np

# Stored entries handled at a time.
_ENTRIES = 2**20


def canonical(table):
    """Return the CSR table with sorted indices and every entry once; the user's is not changed."""
    if not table.has_canonical_format:
        table = table.copy()
        table.sum_duplicates()
    return table


def weighted_moments(table, weight):
    """Return the weighted mean and standard deviation, least and largest value of every column.

    The entries that are not stored are zeros of a total weight that is known, so a pass over the
    stored ones is a pass over the column. As for a dense table, the mean is found relative to
    the first row and subtracted before anything is squared.

    Parameters
    ----------
    table : CSR array or matrix of shape (n_samples, n_columns)
        In canonical format.
    weight : ndarray of shape (n_samples,)
        Weights >= 0 with the sum 1.
    """
    n_rows, n_columns = table.shape
    n_stored = np.zeros(n_columns, dtype=np.int64)
    least = np.full(n_columns, np.inf)
    largest = -least
    for _, columns, values in _entries(table):
        np.minimum.at(least, columns, values)
        np.maximum.at(largest, columns, values)
        n_stored += np.bincount(columns, minlength=n_columns)
    has_zeros = n_stored < n_rows
    np.minimum(least, 0.0, where=has_zeros, out=least)
    np.maximum(largest, 0.0, where=has_zeros, out=largest)
    size = np.maximum(-least, largest)
    size[size == 0] = 1.0
    pivot = dense_row(table, 0) / size
    stored, mean, variance = (np.zeros(n_columns) for _ in range(3))
    for rows, columns, values in _entries(table):
        share = weight[rows]
        stored += np.bincount(columns, share, n_columns)
        difference = values / size[columns] - pivot[columns]
        mean += np.bincount(columns, share * difference, n_columns)
    # Exactly 0 for a column without zeros: one of equal entries must have the deviation 0.
    zeros = np.where(has_zeros, np.maximum(1.0 - stored, 0.0), 0.0)
    mean += pivot - zeros * pivot
    for rows, columns, values in _entries(table):
        centred = values / size[columns] - mean[columns]
        variance += np.bincount(columns, weight[rows] * centred**2, n_columns)
    variance += zeros * mean**2
    return mean * size, np.sqrt(variance) * size, least, largest


def fill_standardised(out, table, mean, inverse, sqrt_weight):
    """Write sqrt(s) (x - mean) inverse into a dense array: first the zeros, then the other entries.

    Parameters
    ----------
    out : ndarray of shape (n_samples, n_columns)
        Result.
    table : CSR array or matrix of the same shape
        In canonical format.
    mean, inverse : ndarray of shape (n_columns,)
        Means, and inverse standard deviations.
    sqrt_weight : ndarray of shape (n_samples,)
        sqrt(s).
    """
    # Half first, here and below: the difference of two numbers near the largest float must not
    # overflow. The order is that for dense tables, so that the result has the same bits.
    half = 0.5 * mean
    zeros = (0.0 - half) * inverse * 2.0
    np.multiply(zeros, sqrt_weight[:, None], out=out, casting="same_kind")
    for rows, columns, values in _entries(table):
        centred = (0.5 * values - half[columns]) * inverse[columns] * 2.0
        out[rows, columns] = centred * sqrt_weight[rows]


def all_within(table, bounds):
    """Return whether zero, and every stored entry, is within the bounds of its column.

    Parameters
    ----------
    table : CSR array or matrix of shape (n_samples, n_columns)
        In canonical format.
    bounds : ndarray of shape (2, n_columns)
        Least and largest values.
    """
    low, high = bounds
    if (low > 0).any() or (high < 0).any():
        return False
    return all(
        ((low[columns] <= values) & (values <= high[columns])).all()
        for _, columns, values in _entries(table)
    )


def largest_deviations(table, mean, inverse):
    """Return the largest distance from the mean in every column, times ``inverse``."""
    n_rows, n_columns = table.shape
    farthest, n_stored = np.zeros(n_columns), np.zeros(n_columns, dtype=np.int64)
    half = 0.5 * mean
    for _, columns, values in _entries(table):
        np.maximum.at(farthest, columns, np.abs(0.5 * values - half[columns]))
        n_stored += np.bincount(columns, minlength=n_columns)
    zeros = np.where(n_stored == n_rows, 0.0, np.abs(half))
    return np.maximum(farthest, zeros) * inverse * 2.0


def dense_row(table, row):
    """Return one row as a dense float64 vector."""
    out = np.zeros(table.shape[1])
    entries = slice(table.indptr[row], table.indptr[row + 1])
    out[table.indices[entries]] = table.data[entries]
    return out


def _entries(table):
    """Yield (rows, columns, values in float64) of the stored entries, some whole rows at a time."""
    starts = np.searchsorted(table.indptr, np.arange(0, table.nnz, _ENTRIES), side="right") - 1
    cuts = np.unique([0, *starts, table.shape[0]])
    for first, last in pairwise(cuts):
        entries = slice(table.indptr[first], table.indptr[last])
        rows = np.repeat(np.arange(first, last), np.diff(table.indptr[first : last + 1]))
        yield rows, table.indices[entries], table.data[entries].astype(np.float64)
