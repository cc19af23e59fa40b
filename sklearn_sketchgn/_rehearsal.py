"""Errors on rows that a fit has not seen, from a short repetition of the fit.

A network learns its features from the rows it is fitted to, so that neither its residuals nor their
leave-one-out correction (exact for a linear model) say how large its errors are elsewhere. A
rehearsal forgets more than half of what was learnt, trains for a while on four fifths of the rows,
in the groups of the fit, and is judged by the other fifth.
"""

from dataclasses import replace
from math import ceil

import numpy as np

from ._all_rows_phase import run_all_rows
from ._batch_phase import run_groups
from ._folds import even_places
from ._groups import mean_network, separate
from ._members import run_members
from ._network import initialise

# Share of the rows that are held out.
_HELD_OUT = 0.2

# Steps of a rehearsal as a share of the fit's, and the weight of the fitted parameters against
# fresh random ones at its start. From the fitted network itself the held-out rows are not
# forgotten (errors 0.1 to 0.7 of the true ones on noise-free tables, measured when a rehearsal was
# one network); from nothing, so few steps do not get far (1.2 to 2.8 times). With 0.5 the errors of
# rehearsals in groups are 1 to 5 % smaller, and concrete is covered by 0.88 instead of 0.89.
_STEPS, _MEMORY = 0.15, 0.4


def held_out_rows(data, rng):
    """Return a mask of about a fifth of the rows, or of the groups: of one where there are few.

    Equal rows, and those of a group, are held out together.
    """
    place = even_places(data, rng).place
    if data.groups is None:
        return place < _HELD_OUT
    return place <= max(_HELD_OUT, place.min())


def rehearse(outcomes, data, held_out, *, batch_size, rng, n_jobs):
    """Return what networks fitted to part of the rows predict for all, shape (n_samples, k).

    Parameters
    ----------
    outcomes : list of Outcome
        The members of the fit; a rehearsal of each is averaged like them.
    data : TrainingData
        Scaled rows.
    held_out : ndarray of bool, shape (n_samples,)
        Rows not to train on.
    batch_size : int or None
        That of the fit.
    rng : numpy.random.Generator
        Source of the fresh weights, batches and sketches.
    n_jobs : int or None
        Threads for several members.
    """
    kept = data.part(~held_out)
    if batch_size is not None:
        # Those of the fit are of equal size. Larger ones would cost more than the fit's steps: 240
        # rows of 300 fit into two batches of 128, where the fit took three of 100.
        batch_size = ceil(len(data) / ceil(len(data) / batch_size))

    def run(outcome, member_rng):
        return _repeat(outcome, kept, batch_size, member_rng).evaluate(data.rows)

    starts = list(zip(outcomes, rng.spawn(len(outcomes)), strict=True))
    predictions = run_members(run, starts, n_jobs=n_jobs)
    return sum(values.astype(np.float64) for values in predictions) / len(outcomes)


def _repeat(outcome, kept, batch_size, rng):
    """Return the network of a short fit to the kept rows."""
    parts = separate(outcome.training.network, outcome.n_groups)
    generators = rng.spawn(len(parts))
    groups = [_start(outcome.training, *pair) for pair in zip(parts, generators, strict=True)]
    n_steps = ceil(_STEPS * len(outcome.training.history["damping"]))
    if batch_size is None:
        (again,) = groups
        run_all_rows(again, kept, n_steps=n_steps, tol=0.0)
    else:
        run_groups(
            groups,
            [kept] * len(groups),
            n_steps=n_steps,
            batch_size=batch_size,
        )
    return mean_network([group.network for group in groups])


def _start(training, final, rng):
    """Return where a group starts: between what it has learnt and fresh weights."""
    width, n_features = final.hidden.shape
    n_outputs, train_output = final.output.shape[1], final.train_output
    fresh = initialise(width, n_features, n_outputs, rng, train_output=train_output)
    start = _MEMORY * final.parameters() + (1 - _MEMORY) * fresh.parameters()
    network = final.with_parameters(start.astype(final.hidden.dtype))
    damping = _damping(training.history)
    return replace(training.fresh(network, training.alpha), damping=damping, growth=2.0, rng=rng)


def _damping(history):
    """Return the first damping of a fit or, if it has fallen by then, that of its last batch.

    Under the first one, where it has fallen, intervals were too wide: those of naval held 0.98.
    What all rows adapt it to is none for batches.
    """
    n_batch_steps = int(np.isnan(history["flips"]).sum())  # they come first
    return min(history["damping"][0], history["damping"][max(n_batch_steps - 1, 0)])
