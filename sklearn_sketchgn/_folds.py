"""Which rows are held out: places in [0, 1) whose every interval is a stratified sample."""

from typing import NamedTuple

import numpy as np

from ._tables import row_blocks

# Rows beyond which they are not sorted to find equal ones: the places of so many take 32 MB.
_SORTED_ROWS = 2**20

# Rows of equal inputs are one cell if there are at least so many cells, of at most so many rows
# on average. Of fewer, as where factors have few levels, the others would not tell of those
# that are held out.
_FEWEST_CELLS, _MOST_REPLICATES = 40, 8

# Fractions of multiples of the golden ratio fill [0, 1) evenly from any start.
_GOLDEN = 0.5 * (5**0.5 - 1)


class Places(NamedTuple):
    """Where rows lie in [0, 1).

    ``place`` has shape (n_samples,), ``n_distinct`` is the number of different rows, and
    ``n_apart`` that of what has a place of its own, groups or, without them, cells or different
    rows. Those that are no groups are counted times what n rows of unequal weights u are worth of
    n equal ones, (sum u)^2 / (n sum u^2), as a mean over them is so much less certain (Kish,
    "Survey Sampling", 1965, section 11.7).
    """

    place: np.ndarray
    n_distinct: int
    n_apart: float


def even_places(data, rng, *, cells=False):
    """Return the :class:`Places` of rows: one number for equal rows, and for those of a group.

    Rows, or the means of groups, are ordered along a random direction; the g-th distinct value
    gets the fraction of g times the golden ratio, so that every interval of places is a stratified
    sample. Of more than a million rows each row or group gets a random place, and counts as
    different from the others.

    Parameters
    ----------
    data : TrainingData
        The rows, and their groups if they have any.
    rng : numpy.random.Generator
        Draws the direction.
    cells : bool, default=False
        Without groups, whether rows of equal inputs are one. Repeated measurements share an error
        as often as not, so that one of them knows what another was taught.
    """
    codes = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]
    if len(data) > _SORTED_ROWS:
        place = rng.random(len(data) if codes is None else codes.max() + 1, dtype=np.float32)
        place = place if codes is None else place[codes]
        n_apart = len(data) * _worth(data.weights) if codes is None else int(codes.max()) + 1
        return Places(place, len(data), n_apart)
    score, inputs = _scores(data, rng)
    number, n_distinct = _numbers(score)
    worth = 1.0 if codes is not None else _worth(np.bincount(number - 1, data.weights))
    n_apart = n_distinct
    if codes is None and cells:
        cell, n_cells = _numbers(inputs)
        if max(_FEWEST_CELLS, n_distinct / _MOST_REPLICATES) <= n_cells < n_distinct:
            codes = cell - 1
    if codes is not None:
        means = np.bincount(codes, data.weights * score) / np.bincount(codes, data.weights)
        # Groups of equal means, as where each was centred, are still different ones.
        number, n_apart = (1 + np.argsort(np.argsort(means, kind="stable")))[codes], len(means)
    return Places((number * _GOLDEN) % 1.0, n_distinct, n_apart * worth)


def _worth(weights):
    """Return (sum u)^2 / (n sum u^2) for n weights u."""
    squares = np.einsum("n,n->", weights, weights)  # no array of them
    return float(weights.sum() ** 2 / (len(weights) * squares))


def are_different(place):
    """Return whether rows of these places are two different ones or more."""
    return len(place) > 0 and place.min() < place.max()


def _scores(data, rng):
    """Return where rows lie along a random direction, of inputs and targets and of inputs alone."""
    n_features = data.rows.shape[1]
    direction = rng.standard_normal(n_features + data.targets.shape[1])
    score, inputs = np.empty(len(data)), np.empty(len(data))
    for rows in row_blocks(len(data), n_features):
        block = data.take(rows)
        root = np.sqrt(block.weights)
        along = block.rows.astype(np.float64) @ direction[:n_features]
        inputs[rows] = along / root
        score[rows] = (along + block.targets.astype(np.float64) @ direction[n_features:]) / root
    return score, inputs


def _numbers(score):
    """Return the number of every value in ascending order, from 1, equal for equal ones; the last.

    Values within round-off of the next one are equal to it.
    """
    order = np.argsort(score, kind="stable")
    # Each beside its neighbour: one target far out must not make all others equal.
    ordered = score[order]
    spread = 1e-9 * (1.0 + np.maximum(np.abs(ordered[1:]), np.abs(ordered[:-1])))
    distinct = 1 + np.concatenate([[0], np.cumsum(np.diff(ordered) > spread)])
    number = np.empty(len(score), dtype=int)
    number[order] = distinct
    return number, int(distinct[-1])
