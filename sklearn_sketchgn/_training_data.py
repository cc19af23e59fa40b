"""Standardised samples: all of them in one array, or a few at a time from where X lies.

A sparse or memory-mapped table whose standardised rows are no more than ``HELD_NUMBERS`` numbers is
treated like any other: they are computed once and held. Of a larger one, rows are standardised
when a batch of them is taken, so that no dense array of its size ever exists.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ._blas import product
from ._lazy_rows import COPIED_NUMBERS, LazyRows, windowed_batches
from ._step import Subproblem, square
from ._tables import by_value, in_memory

#: Numbers in the standardised rows that are held in memory: 256 MB in float32.
HELD_NUMBERS = 2**26

# Numbers in one block of a pass over standardised rows that are not held.
_BLOCK_NUMBERS = 2**20


@dataclass
class TrainingData:
    """Scaled rows sqrt(s) [x, 1], scaled targets sqrt(s) y and weights s of a set of samples.

    ``rows`` is an array, or :class:`LazyRows` that give arrays when they are indexed. ``groups``
    says which samples are held out together: one integer a sample, or None.
    """

    rows: Any
    targets: np.ndarray
    weights: np.ndarray
    groups: np.ndarray | None = None

    def __len__(self):
        return len(self.rows)

    @cached_property
    def weight(self):
        """Sum of the weights."""
        return float(self.weights.sum())

    @cached_property
    def covariance(self):
        """C of the features but for the last column, of ones, in float64."""
        n_features = self.rows.shape[1] - 1
        covariance = np.zeros((n_features, n_features))
        for block in self.blocks():
            features = block.rows[:, :-1].astype(np.float64)
            covariance += product(features.T, features)
        return covariance / self.weight

    def unweighted(self, values):
        """Return one number a sample and column in float64, without the roots of the weights."""
        return values.astype(np.float64) / np.sqrt(self.weights)[:, None]

    def subproblem(self, network, alpha, loss_function, coordinates=None):
        """Linearise a network on all of these samples, whose rows are in memory."""
        return Subproblem(network, self.rows, self.targets, alpha, loss_function, coordinates)

    def squared_loss(self, network, loss_function):
        """Return ||root_loss||^2 of a network on all of these samples, whose rows are in memory."""
        outputs = network.evaluate(self.rows)
        return square(loss_function.root_loss(outputs, self.rows, self.targets).ravel())

    @property
    def held(self):
        """Whether the rows are an array in memory."""
        return isinstance(self.rows, np.ndarray)

    def take(self, index):
        """Return the samples of an index array, a mask or a slice, with rows in memory."""
        return self._with_rows(self.rows[index], index)

    def part(self, index):
        """Return the samples of an index array or a mask, which may be many of a large table."""
        if self.held:
            return self.take(index)
        return self._with_rows(self.rows.part(index), index)

    def _with_rows(self, rows, index):
        groups = None if self.groups is None else self.groups[index]
        return TrainingData(rows, self.targets[index], self.weights[index], groups)

    def kept(self, mask):
        """Return the samples of a mask, to make batches of."""
        if self.rows.size <= COPIED_NUMBERS:
            return self.take(mask)
        return Kept(self, mask)

    def blocks(self):
        """Yield all samples in order, in pieces whose rows are in memory.

        The pieces are the same whether the rows are held or not: so are sums over them.
        """
        size = max(64, _BLOCK_NUMBERS // self.rows.shape[1])
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def varying_columns(self):
        """Return which columns of the rows vary; the standardised rows of the others are zero."""
        return np.any([block.rows.any(axis=0) for block in self.blocks()], axis=0)

    def batches(self, n_batches, rng, mask=None):
        """Yield an epoch: every sample of the mask once, in random batches of equal size.

        A single batch has its samples in order, and nothing is random. Sizes differ by at most
        one. Of more than ``HELD_NUMBERS`` numbers, rows that lie side by side are visited about
        the same time, see :func:`windowed_batches`; that does not depend on where they lie, so
        a file and an array of the same numbers give the same fit.
        """
        if n_batches == 1:
            yield self if self.held and mask is None else self.take(_everything(mask))
        elif self.rows.size > HELD_NUMBERS:
            n_rows, n_columns = self.rows.shape
            for index in windowed_batches(n_rows, n_columns, n_batches, rng, mask):
                yield self.take(index)
        else:
            used = None if mask is None else np.flatnonzero(mask)
            order = rng.permutation(len(self) if used is None else len(used))
            for batch in range(n_batches):
                index = order[batch::n_batches]
                yield self.take(index if used is None else used[index])


@dataclass
class Kept:
    """The samples of a mask, of which only batches are wanted: none is copied before."""

    data: TrainingData
    mask: np.ndarray

    def __len__(self):
        return int(np.count_nonzero(self.mask))

    def batches(self, n_batches, rng):
        """Yield an epoch of the samples; see :class:`TrainingData`."""
        return self.data.batches(n_batches, rng, self.mask)


def training_data(scaling, samples, dtype, *, ones, hold=False):
    """Return the standardised :class:`TrainingData` of a table.

    Parameters
    ----------
    scaling : Scaling
        Means and deviations of inputs and targets.
    samples : Samples
        Raw.
    dtype : dtype
        Of the result.
    ones : bool
        Whether a column of ones is appended to the rows.
    hold : bool, default=False
        Rows are to be in memory whatever their size, because every step is on all of them.
    """
    X, y, weight, groups = samples
    n_numbers = X.shape[0] * (scaling.n_inputs + int(ones))
    # Ramps are many times as large as a table that is in memory.
    if hold or (in_memory(X) and scaling.ramps is None) or n_numbers <= HELD_NUMBERS:
        return replace(TrainingData(*scaling.arrays(X, y, weight, dtype, ones=ones)), groups=groups)
    sqrt_weight = by_value(np.sqrt, weight)
    rows = LazyRows(X, scaling, sqrt_weight, dtype, ones=ones)
    return TrainingData(rows, scaling.scaled_targets(y, sqrt_weight, dtype), weight, groups)


def order_matters(X):
    """Return whether a table is so large that its rows are visited in the order they lie in."""
    return X.shape[0] * X.shape[1] > HELD_NUMBERS


def holds_too_much(X, batch_size, n_inputs):
    """Return whether too many rows are to be in memory of a table that was not put there."""
    at_once = batch_size is None or (batch_size != "auto" and batch_size >= X.shape[0])
    return at_once and not in_memory(X) and X.shape[0] * (n_inputs + 1) > HELD_NUMBERS


def check_all_rows(X, batch_size, n_inputs=None):
    """Raise ValueError if all rows are to be in memory of a table that was not put there."""
    n_inputs = n_inputs or X.shape[1]
    if holds_too_much(X, batch_size, n_inputs):
        size = 8e-6 * X.shape[0] * (n_inputs + 1)
        raise ValueError(
            f"batch_size={batch_size} takes every step on all rows, which are standardised in "
            f"memory for it: {size:.0f} MB for this X of shape {X.shape}, where a sparse or "
            f"memory-mapped X may take up to {8e-6 * HELD_NUMBERS:.0f} MB. Set `batch_size` to "
            "fewer rows, or pass a dense array in memory"
            f"{'.' if n_inputs == X.shape[1] else ', or set encoding=None.'}"
        )


def _everything(mask):
    return slice(None) if mask is None else mask
