"""What ``partial_fit`` keeps between two blocks, and what it refuses to go on from."""

from dataclasses import dataclass, replace

import numpy as np

from ._moments import Moments
from ._scaling import scaling_of

#: Rows to see before anything but the mean is learnt: the initial weights are drawn in units of the
#: deviations, and those of a few rows can be wrong by any factor.
WARM_UP = 32

# The penalty of a stream before a block has come by which it can be chosen.
_FIRST_ALPHA = 0.3


@dataclass
class Stream:
    """All that ``partial_fit`` goes on from, small and without any random state.

    Attributes
    ----------
    x, y : Moments
        Moments of all inputs and targets seen so far.
    n_rows, n_blocks : int
        Rows of positive weight and calls of ``partial_fit`` so far.
    seed : int
        What is random in a call is drawn from (seed, n_blocks).
    folded : list of (coefs, intercepts)
        The networks of all members, for raw inputs and targets; empty while warming up.
    steps : list of ndarray or None
        Last minimiser of every member (momentum), in units of the scaling by ``x`` and ``y``.
    alpha : float
        Penalty in units of the sum of weights seen so far.
    alpha_rows, alpha_at : int
        Rows that ``alpha`` was chosen by, and the value of ``n_rows`` at that time.
    column_penalty : ndarray of shape (n_features + 1,) or None
        What ``alpha`` is multiplied by for the hidden weights of every column; None is 1.
    """

    x: Moments
    y: Moments
    n_rows: int
    seed: int
    folded: list
    steps: list
    alpha: float = _FIRST_ALPHA
    alpha_rows: int = 0
    alpha_at: int = 0
    n_blocks: int = 0
    column_penalty: np.ndarray | None = None

    def scaling(self):
        """Return the scaling by all rows seen so far."""
        return scaling_of(self.x, self.y)

    def with_members(self, folded, outcomes):
        """Return the stream with the networks and last steps of all members after a block."""
        if self.n_rows < WARM_UP:
            return self
        steps = [outcome.training.previous_step for outcome in outcomes]
        return replace(self, folded=folded, steps=steps)


def stream_after_fit(moments, n_rows, seed, folded, alpha, column_penalty, *, chosen):
    """Return the stream that goes on from a fit, whose rows count as seen.

    ``moments`` are those of its inputs and targets; ``chosen`` tells whether they have chosen the
    penalty.
    """
    steps, chosen_by = [None] * len(folded), n_rows if chosen else 0
    x, y = moments
    return Stream(
        x,
        y,
        n_rows,
        seed,
        folded,
        steps,
        alpha,
        alpha_rows=chosen_by,
        alpha_at=chosen_by,
        column_penalty=np.append(column_penalty, 1.0),
    )


def going_on_from(stream, x, y):
    """Return the moments of inputs and targets after a warm fit to rows of the moments x and y.

    They know of all rows, also of columns that are constant in these; the weight is that of these,
    as the next block is as new to the same rows fitted twice as it is to them fitted once.
    """
    pairs = ((stream.x, x), (stream.y, y))
    return [replace(before.merged(now), weight=now.weight) for before, now in pairs]


def can_stream(estimator):
    """Return True, or raise AttributeError for a loss that ``partial_fit`` does not exist for."""
    if estimator.loss != "squared_error":
        raise AttributeError(
            f"partial_fit is only available if loss='squared_error'; got {estimator.loss!r}. The "
            "scaling of the targets by another loss is not known before all of them are."
        )
    if estimator.encoding is not None:
        raise AttributeError(
            f"partial_fit is only available if encoding=None; got {estimator.encoding!r}. The "
            "quantiles of the columns are not known before all rows are."
        )
    return True


def check_stream(estimator, stream, n_outputs):
    """Raise ValueError if the parameters ask for what a stream cannot do, or have changed."""
    if not estimator.train_output:
        raise ValueError(
            "partial_fit needs train_output=True; got False. The paper's network has no trained "
            "output layer that could hold predictions in place while the scaling moves."
        )
    if estimator.early_stopping:
        raise ValueError(
            "partial_fit does not support early_stopping=True: it would hold out rows of every "
            "block, and a stream has no end. Set early_stopping=False."
        )
    if stream is None:
        return
    if estimator.out_activation_ != "identity":
        raise ValueError(
            "partial_fit cannot go on from a fit with loss='poisson': its network holds logarithms "
            "of rates, not targets. Start again with a clone of the estimator."
        )
    if stream.folded and len(stream.folded[0][0]) > 2:
        raise ValueError(
            "partial_fit cannot go on from a fit whose columns were encoded. Start again with a "
            "clone of the estimator."
        )
    if n_outputs != len(stream.y.mean):
        raise ValueError(
            f"y has {n_outputs} outputs; expected {len(stream.y.mean)} as in the blocks before."
        )
    expected = (estimator.n_members, estimator.width)
    found = (len(stream.folded), stream.folded[0][0][0].shape[1]) if stream.folded else expected
    if found != expected:
        raise ValueError(
            f"partial_fit cannot go on: (n_members, width) was {found} and is {expected}. Set them "
            "back, or start again with a clone of the estimator."
        )
