"""Which rows are held out: places in [0, 1) whose every interval is a stratified sample."""

import numpy as np

from ._tables import row_blocks

# Rows beyond which they are not sorted to find equal ones: the places of so many take 32 MB.
_SORTED_ROWS = 2**20

# Fractions of multiples of the golden ratio fill [0, 1) evenly from any start.
_GOLDEN = 0.5 * (5**0.5 - 1)


def even_places(data, rng):
    """Return a number in [0, 1) for every row, equal for equal rows, and how many differ.

    Rows are ordered along a random direction; the g-th distinct value gets the fraction of
    g times the golden ratio, so that every interval of places is a stratified sample. Of more
    than a million rows each gets a random place, and counts as different from the others.
    """
    if len(data) > _SORTED_ROWS:
        return rng.random(len(data), dtype=np.float32), len(data)
    n_features = data.rows.shape[1]
    direction = rng.standard_normal(n_features + data.targets.shape[1])
    score = np.empty(len(data))
    for rows in row_blocks(len(data), n_features):
        block = data.take(rows)
        score[rows] = (
            block.rows.astype(np.float64) @ direction[:n_features]
            + block.targets.astype(np.float64) @ direction[n_features:]
        ) / np.sqrt(block.weights)
    order = np.argsort(score, kind="stable")
    # Each beside its neighbour: one target far out must not make all others equal.
    ordered = score[order]
    spread = 1e-9 * (1.0 + np.maximum(np.abs(ordered[1:]), np.abs(ordered[:-1])))
    distinct = np.concatenate([[0], np.cumsum(np.diff(ordered) > spread)])
    place = np.empty(len(score))
    place[order] = ((distinct + 1) * _GOLDEN) % 1.0
    return place, int(distinct[-1]) + 1
