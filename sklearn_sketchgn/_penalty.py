"""alpha="auto": choose the penalty by held-out rows of short pilot fits, without a search.

Small networks are trained for a few steps on part of the rows, first with one penalty in common
and then, from there, with every penalty of a grid. The held-out errors are averaged over folds,
and the penalties are averaged (in log) with weights that fall with the held-out error.
"""

from dataclasses import replace
from math import ceil

import numpy as np

from ._network import initialise, initialise_paper
from ._training import run_batches

#: Candidates for alpha: a fixed grid from heavy noise to none.
ALPHA_GRID = np.logspace(1.5, -4.0, 8)

# Penalty of the common part, steps of the common part, and steps with each candidate.
_COMMON_ALPHA, _COMMON_STEPS, _STEPS = 0.3, 60, 50

# Folds and the share of rows that each holds out.
_FOLDS, _HELD_OUT = 2, 0.2

# Candidates whose held-out error (root mean square) is this much larger count 1/e as much: the
# average then sits in the middle of a plateau, and does not jump with the data.
_TEMPERATURE = 0.02

# The pilot's neurons, rows it draws from, rows it is judged by.
_WIDTH, _ROWS, _JUDGES = 64, 2**15, 4096

# Fractions of multiples of the golden ratio fill [0, 1) evenly from any start.
_GOLDEN = 0.5 * (5**0.5 - 1)


def choose_alpha(training, data, *, batch_size, share=1.0):
    """Return a penalty for a network about to be trained.

    Equal rows always fall into the same fold, so that integer weights have the effect of repeated
    rows while the table fits in one batch.

    Parameters
    ----------
    training : Training
        The fit at its start: supplies the solver, sketch, generator, damping and momentum, and
        tells how many outputs there are and whether they are trained.
    data : TrainingData
        The training rows; with more than 32,768 a random subset of them is used.
    batch_size : int
        Rows of a pilot batch.
    share : float, default=1.0
        Fraction of the usual steps to take, for a fit that is itself shorter than usual.

    Returns
    -------
    float
        alpha, between the ends of ``ALPHA_GRID`` times the mean weight of a distinct row.
    """
    if len(data) > _ROWS:
        data = data.take(np.sort(training.rng.choice(len(data), _ROWS, replace=False)))
    place, n_distinct = _even_places(data, training.rng)
    # A penalty is in units of weight. Its candidates are relative to the weight of a distinct row,
    # which is the same for weights and for repeated rows, and follows the unit of the weights.
    unit = float(data.weights.sum()) / n_distinct * training.weight_unit
    errors, weight = np.zeros(len(ALPHA_GRID)), 0.0
    for fold in range(_FOLDS):
        held_out = (place >= fold * _HELD_OUT) & (place < (fold + 1) * _HELD_OUT)
        kept, judges = data.take(~held_out), data.take(held_out)
        if len(kept) > 1 and len(judges):
            judges = judges.take(slice(_JUDGES))
            errors += _pilot_errors(training, kept, judges, batch_size, share, unit)
            weight += float(judges.weights.sum())
    if weight == 0 or not np.isfinite(errors).all():
        return _COMMON_ALPHA * unit
    errors = np.sqrt(errors / weight)
    relative = errors / max(errors.min(), np.finfo(float).tiny) - 1
    importance = np.exp(-np.minimum(relative / _TEMPERATURE, 700.0))
    return unit * float(np.exp(importance @ np.log(ALPHA_GRID) / importance.sum()))


def _pilot_errors(training, kept, judges, batch_size, share, unit):
    """Return the weighted sum of squared errors on ``judges`` for every candidate alpha."""
    # A generator of its own: what a solver draws must not move the start of the next fold, as it
    # draws less for weighted rows than for repeated ones.
    training = replace(training, rng=training.rng.spawn(1)[0])
    network = training.network
    make = initialise if network.train_output else initialise_paper
    width = min(len(network.hidden), _WIDTH)
    start = make(width, kept.rows.shape[1], network.output.shape[1], training.rng)
    pilot = training.fresh(start.astype(kept.rows.dtype), unit * _COMMON_ALPHA)
    _run(pilot, kept, ceil(share * _COMMON_STEPS), batch_size)
    errors = np.empty(len(ALPHA_GRID))
    for i, alpha in enumerate(ALPHA_GRID):
        branch = training.fresh(pilot.network, unit * float(alpha))
        _run(branch, kept, ceil(share * _STEPS), batch_size)
        residual = (branch.network.evaluate(judges.rows) - judges.targets).astype(np.float64)
        errors[i] = np.einsum("nk,nk->", residual, residual)
    return errors


def _run(pilot, data, n_steps, batch_size):
    run_batches(pilot, data, n_steps=n_steps, batch_size=batch_size, after_epoch=lambda *_: False)


def _even_places(data, rng):
    """Return a number in [0, 1) for every row, equal for equal rows, and how many differ.

    Rows are ordered along a random direction; the g-th distinct value gets the fraction of
    g times the golden ratio, so that every interval of places is a stratified sample.
    """
    root = np.sqrt(data.weights)[:, None]
    table = np.hstack([data.rows, data.targets]).astype(np.float64) / root
    score = table @ rng.standard_normal(table.shape[1])
    order = np.argsort(score, kind="stable")
    spread = 1e-9 * (1.0 + np.abs(score).max())
    distinct = np.concatenate([[0], np.cumsum(np.diff(score[order]) > spread)])
    place = np.empty(len(score))
    place[order] = ((distinct + 1) * _GOLDEN) % 1.0
    return place, int(distinct[-1]) + 1
