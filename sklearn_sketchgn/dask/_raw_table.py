"""One pass over the blocks as they were given: counts, moments, a sample, scaled rows."""

from functools import reduce

import numpy as np

from .._moments import Moments
from .._tables import Samples
from .._validation import check_labels, normalised_weights, numbered
from . import _blocks
from ._rounds import Rounds
from ._table import DistributedTable


class RawTable:
    """The blocks of a table as they were given, and what one pass over them says.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    blocks : list of Future
        Of :class:`RawBlock`; those without rows of positive weight are left out.
    loss_function : Loss
        Checks the targets.
    train_output : bool
        False checks the inputs as the paper's network needs them.

    Attributes
    ----------
    n_rows : int
        Rows of positive weight.
    largest_weight, weight_unit : float
        The largest weight, and what weights are divided by; see :func:`normalised_weights`.
    x, y : Moments
        Of all rows, merged block by block.
    """

    def __init__(self, client, blocks, loss_function, train_output):
        self.client, self.train_output = client, train_output
        futures = client.map(
            _blocks.summarise,
            blocks,
            loss_function=loss_function,
            train_output=train_output,
            pure=False,
        )
        found = enumerate(client.gather(futures))
        used = [(i, blocks[i], summary) for i, summary in found if summary.n_rows]
        if not used:
            raise ValueError(
                "There is no row of positive weight in X: found 0 samples, a minimum of 1 is "
                "required."
            )
        self.numbers, self.blocks, self.summaries = zip(*used, strict=True)
        self.lengths = np.array([summary.n_rows for summary in self.summaries])
        self.n_rows = int(self.lengths.sum())
        self.largest_weight = max(summary.largest_weight for summary in self.summaries)
        self.weight_unit = normalised_weights(np.array([self.largest_weight]))[1]
        self.x: Moments = reduce(Moments.merged, [summary.x for summary in self.summaries])
        self.y: Moments = reduce(Moments.merged, [summary.y for summary in self.summaries])

    def sample(self, size, seed):
        """Bring a random sample here: the :class:`Samples` of about ``size`` rows."""
        sizes = proportional(self.lengths, size)
        futures = self.client.map(
            _blocks.sample, self.blocks, sizes, [seed] * len(sizes), self.numbers, pure=False
        )
        parts = zip(*self.client.gather(futures), strict=True)
        X, y, weight = (np.concatenate(next(parts)) for _ in range(3))
        labels, groups = next(parts), None
        if labels[0] is not None:
            labels = check_labels(np.concatenate(labels), len(y))
            groups = numbered(labels, f"{len(y)} rows of the sample")
        return Samples(X, y, normalised_weights(weight, self.largest_weight)[0], groups)

    def table(self, scaling):
        """Have the workers scale their rows, and return the :class:`DistributedTable`."""
        rows = self.client.map(
            _blocks.scale,
            self.blocks,
            scaling=scaling,
            largest_weight=self.largest_weight,
            train_output=self.train_output,
            pure=False,
        )
        rounds = Rounds(self.client, rows, list(self.numbers))
        return DistributedTable(rounds, self.n_rows, self.x.weight / self.weight_unit)


def proportional(lengths, size):
    """Return numbers of rows to take of blocks, in proportion to their lengths: size in all.

    The rows that rounding leaves over go to the largest remainders, the first of equal ones.
    """
    exact = lengths * (size / lengths.sum())
    sizes = np.floor(exact).astype(int)
    largest = np.argsort(sizes - exact, kind="stable")[: size - sizes.sum()]
    sizes[largest] += 1
    return sizes.tolist()
