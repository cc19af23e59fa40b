"""What a worker does with one block of rows. Nothing here knows of Dask.

Functions that are summed over blocks return one float64 array each. They run over chunks of a
block, so that no temporary is as large as the block times the width; the activations of a chunk are
computed anew in every product, and stay in the cache between J v and J' (J v).
"""

from dataclasses import dataclass

import numpy as np

from .._moments import Moments, fit_moments
from .._tables import Samples
from .._training_data import TrainingData
from .._validation import check_rows_of_the_paper, normalised_weights
from ._sketch import draw_part

# Numbers in the mask of one chunk (2 MB in float64), and the fewest rows of a chunk whose result is
# a matrix with one column a parameter, which costs a pass over that matrix.
_CHUNK_ELEMENTS, _MATRIX_ROWS = 2**18, 2**14


class Rows(TrainingData):
    """The scaled rows of one block, which says how large it is: Dask moves what looks small."""

    def __sizeof__(self):
        return self.rows.nbytes + self.targets.nbytes + self.weights.nbytes


@dataclass
class RawBlock:
    """The rows of positive weight of one block: inputs, targets in 2-D, weights; all checked.

    ``groups`` has their labels, or is None.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    groups: np.ndarray | None = None

    def __sizeof__(self):
        labels = 0 if self.groups is None else self.groups.nbytes
        return self.X.nbytes + self.y.nbytes + self.weight.nbytes + labels


@dataclass(frozen=True)
class Summary:
    """Rows of positive weight, the largest weight, and moments (None for no rows)."""

    n_rows: int
    largest_weight: float = 0.0
    x: Moments | None = None
    y: Moments | None = None


def read_block(X, y, weight, groups, index):
    """Return the :class:`RawBlock` of one block of each collection.

    Raises
    ------
    ValueError
        If they differ in length, or a number is not finite or a weight negative.
    """
    X, y = _numbers(X, "X", index), _numbers(y, "y", index).astype(np.float64, copy=False)
    y = y[:, None] if y.ndim == 1 else y
    weight = np.ones(len(X)) if weight is None else _numbers(weight, "sample_weight", index)
    labels = np.zeros(len(X)) if groups is None else np.asarray(groups)
    if not len(X) == len(y) == len(weight) == len(labels):
        found = f"{len(X)} rows of X, {len(y)} of y, {len(weight)} weights and {len(labels)} labels"
        raise ValueError(
            f"Block {index} has {found}; the blocks of X, y, sample_weight and groups must be of "
            "equal lengths. Rechunk or repartition."
        )
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in data passed to `sample_weight`: {weight.min()} in block {index}; "
            "expected weights >= 0."
        )
    used = weight > 0
    if not used.all():
        X, y, weight, labels = X[used], y[used], weight[used], labels[used]
    weight = weight.astype(np.float64, copy=False)
    return RawBlock(X, y, weight, None if groups is None else labels)


def _numbers(part, name, index):
    if hasattr(part, "to_numpy"):
        # Missing values of pandas' own types become NaN, which is reported below.
        part = part.to_numpy(dtype=np.float64, na_value=np.nan)
    part = np.asarray(part)
    if part.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} holds values of dtype {part.dtype} in block {index}; expected dense real "
            "numbers. Convert it, for example by .astype(float)."
        )
    if part.dtype not in (np.float32, np.float64):
        part = part.astype(np.float64)
    if not np.isfinite(part).all():
        found = "NaN" if np.isnan(part).any() else "infinity"
        raise ValueError(f"{name} contains {found} in block {index}; expected finite numbers.")
    return part


def summarise(block, loss_function, train_output):
    """Return the :class:`Summary` of a block, after the checks that need its numbers."""
    if not len(block.X):
        return Summary(0)
    loss_function.check_targets(block.y)
    if not train_output:
        check_rows_of_the_paper(block.X)
    x, y = (fit_moments(table, block.weight) for table in (block.X, block.y))
    return Summary(len(block.X), float(block.weight.max()), x, y)


def sample(block, size, seed, index):
    """Return the :class:`Samples` of so many rows, drawn without replacement from (seed, index)."""
    rng = np.random.default_rng([*seed, index])
    chosen = np.sort(rng.choice(len(block.X), size, replace=False))
    groups = None if block.groups is None else block.groups[chosen]
    return Samples(block.X[chosen], block.y[chosen], block.weight[chosen], groups)


def scale(block, scaling, largest_weight, train_output):
    """Return the :class:`Rows` of a block in float64; see :meth:`Scaling.arrays`."""
    weight, _ = normalised_weights(block.weight, largest_weight)
    return Rows(*scaling.arrays(block.X, block.y, weight, np.float64, ones=train_output))


# Summed over blocks -------------------------------------------------------------------------------


def look(rows, index, *, network, loss_function, before):
    """Return [J'r, ||root_loss||^2 by output, r'r, activations that differ from ``before``]."""
    gradient, tail = 0.0, np.zeros(network.output.shape[1] + 2)
    for chunk in _chunks(rows, _CHUNK_ELEMENTS // len(network.hidden)):
        problem = chunk.subproblem(network, 0.0, loss_function)
        gradient = gradient + problem.jacobian.rmatvec(problem.residual)
        tail[:-2] += problem.squares()
        tail[-2] += problem.residual @ problem.residual
        if before is not None:
            flips = problem.jacobian.flips(before.hidden)
            tail[-1] += round(flips * len(chunk) * len(network.hidden))
    return np.concatenate([gradient, tail])


def normal_product(rows, index, *, network, loss_function, vector):
    """Return J'J v."""
    product = np.zeros_like(vector)
    for chunk in _chunks(rows, _CHUNK_ELEMENTS // len(network.hidden)):
        jacobian, _, _ = loss_function.linearise(network, chunk.rows, chunk.targets)
        product += jacobian.normal_product(vector)
    return product


def lower_normal(rows, index, *, network, loss_function):
    """Return J'J with its lower triangle filled."""
    normal = 0.0
    for chunk in _chunks(rows, max(_MATRIX_ROWS, network.n_parameters)):
        jacobian, _, _ = loss_function.linearise(network, chunk.rows, chunk.targets)
        normal = normal + jacobian.lower_normal()
    return normal


def sketched_rows(rows, index, *, network, loss_function, sketch, sketch_size, seed):
    """Return S_b J_b for this block's own part S_b of the sketch; see :mod:`._sketch`."""
    sketched = 0.0
    for number, chunk in enumerate(_chunks(rows, max(_MATRIX_ROWS, sketch_size))):
        jacobian, _, _ = loss_function.linearise(network, chunk.rows, chunk.targets)
        part = draw_part(sketch, sketch_size, jacobian.shape[0], [*seed, index, number])
        sketched = sketched + jacobian.sketched_rows(part)
    return sketched


def _chunks(rows, size):
    size = max(64, size)
    for start in range(0, len(rows), size):
        yield rows.take(slice(start, start + size))
