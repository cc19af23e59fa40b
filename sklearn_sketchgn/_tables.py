"""Tables of inputs that are not a dense array in memory: sparse ones and memory-mapped files.

What ``fit`` needs of a table is its shape and ``table[index]``, some of its rows. Sparse tables
(CSR) and memory-mapped arrays give these as they are; only the pieces are made dense, by
:func:`dense`.
"""

import mmap
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

# Rows of one block of a pass over a table, and most numbers in it (32 MB) where rows are wide.
_ROWS, _NUMBERS = 8192, 2**22


class Samples(NamedTuple):
    """Raw samples: inputs, targets and weights and, where they come in groups, whose they are.

    ``X`` is a table of shape (n_samples, n_features), ``y`` of shape (n_samples, n_outputs),
    ``weight`` of shape (n_samples,) and ``groups`` None or one integer a sample.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    groups: np.ndarray | None = None

    def selected(self, index):
        """Return the samples of an index array; those of a memory-mapped X are not copied."""
        groups = None if self.groups is None else self.groups[index]
        return Samples(select_rows(self.X, index), self.y[index], self.weight[index], groups)


def dense(block):
    """Return some rows of a table as a dense array."""
    return block.toarray() if issparse(block) else block


def is_mapped(table):
    """Return whether an array is, or is a view of, a memory-mapped file."""
    while isinstance(table, np.ndarray):
        table = table.base
    return isinstance(table, mmap.mmap)


def in_memory(table):
    """Return whether a table is a dense array in memory."""
    return isinstance(table, np.ndarray) and not is_mapped(table)


def row_blocks(n_rows, n_columns):
    """Return slices that cover the rows of a table, for a pass over it without a copy of it."""
    size = min(_ROWS, max(64, _NUMBERS // max(1, n_columns)))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def select_rows(table, index):
    """Return the rows of an index array; those of a memory-mapped array are not copied."""
    if isinstance(table, SelectedRows):
        return table.selected(index)
    return SelectedRows(table, index) if is_mapped(table) else table[index]


def subset(n_samples, most, rng):
    """Return sorted indices of at most so many samples; all of them, if possible, draw nothing."""
    if n_samples <= most:
        return np.arange(n_samples)
    return np.sort(rng.choice(n_samples, most, replace=False))


class SelectedRows:
    """Some rows of a table, read when they are asked for."""

    def __init__(self, table, index):
        self._table, self._index = table, index
        self.shape = (len(index), table.shape[1])
        self.dtype = table.dtype

    def __len__(self):
        return len(self._index)

    def __getitem__(self, index):
        return self._table[self._index[index]]

    def selected(self, index):
        """Return some of these rows, not read either."""
        return SelectedRows(self._table, self._index[index])


def by_value(function, weight):
    """Return ``function(weight)``, of one number where all weights are one number of stride 0.

    Rows without weights have such an array: ten million ones would take 80 MB a copy.
    """
    if weight.strides == (0,):
        return np.broadcast_to(function(weight[:1]), weight.shape)
    return function(weight)
