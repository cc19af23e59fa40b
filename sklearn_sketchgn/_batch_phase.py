"""Steps on batches, with momentum and a falling length: the phase that every fit begins with."""

from itertools import islice
from math import ceil

import numpy as np

from ._blas import norm

#: Length of the first step of a batch phase, and by default its fall to the last one.
STEP_LENGTH = 0.3

# A batch step that multiplies the objective of its own batch by this is halved, so many times.
_BLOW_UP, _HALVINGS = 1.5, 6


def run_batches(training, data, *, n_steps, batch_size, after_epoch=None, last_length=0.0):
    """Take ``n_steps`` minibatch steps of one network; see :func:`run_groups`."""
    return run_groups(
        [training],
        [data],
        n_steps=n_steps,
        batch_size=batch_size,
        after_epoch=after_epoch,
        last_length=last_length,
    )


def run_groups(
    trainings, tables, *, n_steps, batch_size, after_epoch=None, last_length=0.0, search=None
):
    """Take ``n_steps`` minibatch steps  theta += lr_t p,  lr_t falling linearly from 0.3.

    p is the minimiser of the batch's subproblem with the momentum inside (SPRING: Goldshlager,
    Abrahamsen, Lin, 2024). Batches have equal size and every row is used once an epoch; with one
    batch the rows keep their order and nothing is random.

    Parameters
    ----------
    trainings : list of Training
        Networks that take their steps in turn. Updated in place.
    tables : list of TrainingData
        The training rows of each.
    n_steps, batch_size : int
        Number of steps of each network; upper bound of the rows in a batch.
    after_epoch : callable or None, default=None
        Called after every epoch with the mean loss of its batches, each before its step; True ends
        the phase.
    last_length : float, default=0.0
        What lr_t falls to; ``STEP_LENGTH`` keeps it as it is, for a stream that has no end.
    search : PenaltySearch or None
        Adjusts alpha between the steps.

    Returns
    -------
    bool
        Whether ``after_epoch`` ended the phase.
    """
    # No batch is larger than that, and none is empty.
    n_batches = min(ceil(max(map(len, tables)) / batch_size), min(map(len, tables)))
    followers = [None] * len(tables) if search is None else search.groups
    step = 0
    while step < n_steps:
        values = []
        epochs = [
            data.batches(n_batches, training.rng)
            for training, data in zip(trainings, tables, strict=True)
        ]
        for batches in islice(zip(*epochs, strict=True), n_steps - step):
            length = STEP_LENGTH + (last_length - STEP_LENGTH) * (step / n_steps)
            for turn in zip(trainings, batches, followers, strict=True):
                values.append(_batch_step(*turn, length))
            step += 1
            if search is not None and step % search.interval == 0:
                search.adjust()
        if after_epoch and after_epoch(float(np.mean(values))):
            return True
    return False


def _batch_step(training, batch, follower, length):
    weight = batch.weight
    problem = training.subproblem(batch, training.metric)
    value, damping = problem.value(), training.ridge(weight)
    state = training.prepare(problem)
    drift = training.previous_step
    if drift is not None:
        drift = training.momentum * drift
    step, result = problem.solve(training.solver, state, damping, drift)
    moved, taken = _guarded_move(training.network, problem, step, length, value, batch)
    if follower is not None:
        follower.follow(problem, state, damping, step, length if taken == length else 0.0)
    # Where the linearisation failed along this step the next batch starts without momentum.
    training.previous_step = step if taken == length else None
    mark = "" if taken == length else "step shortened" if taken else "step skipped"
    training.network = moved
    training.record_step(
        value,
        weight,
        result,
        step_norm=taken * norm(step) if taken else 0.0,
        batch_size=len(batch),
        flips=np.nan,
        mark=mark,
    )
    return training.loss(problem.root_loss, weight)


def _guarded_move(network, problem, step, length, value, batch):
    """Return the network at theta + length * step, with the length halved while it blows up.

    A Gauss-Newton step from a nearly dead network can be many times longer than the parameters;
    where it would multiply the batch's own objective by ``_BLOW_UP`` it is not taken in full.
    """
    for _ in range(_HALVINGS + 1):
        moved, trial = problem.trial(network, problem.theta.dtype.type(length) * step, batch)
        if trial <= _BLOW_UP * value:
            return moved, length
        if not np.isfinite(step).all():
            break
        length *= 0.5
    return network, 0.0
