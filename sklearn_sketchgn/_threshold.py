"""The threshold of the Huber loss: 1.35 standard deviations of the noise, from held-out rows.

A threshold taken from the spread of the targets would be many times the noise where the inputs
explain the targets, and each outlier pulls with a force of one threshold. The residuals of
training rows are too small, the more so the wider the network. So small networks are trained for
a few steps on part of the rows, and the median absolute residual of the others gives the scale.
"""

from dataclasses import replace

import numpy as np

from ._batch_phase import run_batches
from ._folds import are_different, even_places
from ._losses import HUBER_EPSILON
from ._network import initialise
from ._robust_scale import robust_deviation
from ._tables import subset

# Rounds, each with the threshold of the one before; folds; the share of rows a fold holds out.
_ROUNDS, _FOLDS, _HELD_OUT = 2, 2, 0.2

# Penalty for rows of weight 1, steps, and neurons. The penalty is a large one: with gross outliers,
# among which a smaller one lets the network run after, the scale came out three times too large.
_ALPHA, _STEPS, _WIDTH = 3.0, 60, 64

# Rows that are drawn from, and the least threshold in robust standard deviations of the target.
_ROWS, _LEAST = 2**15, 0.01


def choose_threshold(training, data, *, batch_size):
    """Return the threshold of every output, shape (n_outputs,), in standardised units.

    Parameters
    ----------
    training : Training
        The fit at its start, with the first threshold in its ``loss_function``.
    data : TrainingData
        The training rows; with more than 32,768 a random subset of them is used.
    batch_size : int
        Rows of a batch.
    """
    data = data.part(subset(len(data), _ROWS, training.rng))
    place, n_distinct, _ = even_places(data, training.rng)
    alpha = _ALPHA * data.weight / n_distinct * training.weight_unit
    threshold = np.full(data.targets.shape[1], HUBER_EPSILON)
    for _ in range(_ROUNDS):
        loss_function = replace(training.loss_function, threshold=threshold)
        residuals, weights = [], []
        for fold in range(_FOLDS):
            held_out = (place >= fold * _HELD_OUT) & (place < (fold + 1) * _HELD_OUT)
            kept, judges = data.part(~held_out), data.part(held_out)
            if len(judges) and are_different(place[~held_out]):
                # A generator of its own: what a solver draws must not move the start of the next
                # fold, as it draws less for weighted rows than for repeated ones.
                pilot = replace(
                    training,
                    rng=training.rng.spawn(1)[0],
                    loss_function=loss_function,
                    alpha=alpha,
                )
                residuals.append(_residuals(pilot, kept, judges, batch_size))
                weights.append(judges.weights)
        if not residuals:
            return threshold
        scale = robust_deviation(np.concatenate(residuals), np.concatenate(weights))
        threshold = np.clip(HUBER_EPSILON * scale, _LEAST, HUBER_EPSILON)
    return threshold


def _residuals(training, kept, judges, batch_size):
    """Return f - y on ``judges`` of a small network trained on ``kept``."""
    width = min(len(training.network.hidden), _WIDTH)
    start = initialise(width, kept.rows.shape[1], kept.targets.shape[1], training.rng)
    pilot = training.fresh(start.astype(kept.rows.dtype), training.alpha)
    run_batches(pilot, kept, n_steps=_STEPS, batch_size=batch_size)
    return judges.unweighted(pilot.network.evaluate(judges.rows) - judges.targets)
