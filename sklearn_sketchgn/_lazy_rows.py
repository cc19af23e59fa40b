"""Rows that do not fit in memory: standardised when they are asked for, and read in pieces."""

import numpy as np

# Numbers in a chunk of adjacent rows (128 KB in float32), chunks in a window and least rows in it.
_CHUNK_NUMBERS, _CHUNKS, _WINDOW_ROWS = 2**15, 256, 2**16

#: Numbers up to which a part of the rows is copied rather than looked up (32 MB in float32).
COPIED_NUMBERS = 2**23


class LazyRows:
    """Scaled rows sqrt(s) [x, 1] of a table, computed when they are indexed by rows.

    Parameters
    ----------
    table : CSR array or matrix, ndarray or SelectedRows of shape (n_samples, n_features)
        Raw rows; referred to, not copied, and never written to.
    scaling : Scaling
        Standardises them.
    sqrt_weight : ndarray of shape (n_samples,)
        sqrt(s).
    dtype : dtype
        Of the rows that are given.
    ones : bool
        Whether the column of ones is appended.
    index : ndarray of int or None
        Rows of the table that are meant; None is all.
    """

    def __init__(self, table, scaling, sqrt_weight, dtype, *, ones, index=None):
        self._source = (table, scaling, sqrt_weight)
        self._index = index
        self._ones = int(ones)
        self.dtype = np.dtype(dtype)
        n_rows = table.shape[0] if index is None else len(index)
        self.shape = (n_rows, scaling.n_inputs + self._ones)
        self.size = n_rows * self.shape[1]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        table, scaling, sqrt_weight = self._source
        index = self._chosen(index)
        return scaling.scaled_rows(table[index], sqrt_weight[index], self.dtype, ones=self._ones)

    def part(self, index):
        """Return the rows of an index array or a mask; they are in memory if they are few."""
        index = self._chosen(index)
        if len(index) * self.shape[1] <= COPIED_NUMBERS:
            return LazyRows(*self._source, self.dtype, ones=self._ones)[index]
        return LazyRows(*self._source, self.dtype, ones=self._ones, index=index)

    def _chosen(self, index):
        """Return the rows of the table, as a slice or an array of numbers."""
        if isinstance(index, np.ndarray) and index.dtype == bool:
            index = np.flatnonzero(index)
        return index if self._index is None else self._index[index]


def windowed_batches(n_rows, n_columns, n_batches, rng, mask=None):
    """Yield index arrays of an epoch that read a file in large pieces, each in ascending order.

    The table is cut into chunks of adjacent rows, the chunks are shuffled, and the rows of 256
    chunks at a time, a window, are shuffled and cut into batches. So a batch is a random sample
    of 256 random places, and 32 MB (of float32) are read for as long as a window lasts; a disk
    need not fetch a page for each single row.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the table.
    n_batches : int
        Number of batches; their sizes differ by at most one.
    rng : numpy.random.Generator
        Source of the order.
    mask : ndarray of bool or None
        Rows to use; None is all.
    """
    n_used = n_rows if mask is None else int(np.count_nonzero(mask))
    windows = _windows(n_rows, n_columns, rng, mask)
    waiting = np.empty(0, dtype=np.int64)
    for batch in range(n_batches):
        size = (batch + 1) * n_used // n_batches - batch * n_used // n_batches
        while len(waiting) < size:
            waiting = np.concatenate([waiting, next(windows)])
        yield np.sort(waiting[:size])
        waiting = waiting[size:]


def _windows(n_rows, n_columns, rng, mask):
    """Yield the shuffled rows of one window after the other."""
    chunk = max(1, _CHUNK_NUMBERS // n_columns)
    starts = chunk * rng.permutation(-(-n_rows // chunk))
    n_chunks = max(_CHUNKS, _WINDOW_ROWS // chunk)
    for first in range(0, len(starts), n_chunks):
        rows = (starts[first : first + n_chunks, None] + np.arange(chunk)).ravel()
        rows = rows[rows < n_rows]
        yield rng.permutation(rows if mask is None else rows[mask[rows]])
