"""``partial_fit``: move the scaling under the network, then one pass of steps over a block."""

from dataclasses import replace
from math import ceil

import numpy as np

from ._batch_phase import STEP_LENGTH, run_batches
from ._cycles import choose_penalty
from ._diagnosis import largest_deviations
from ._forward import last_hidden, network_blocks
from ._members import run_members
from ._moments import fit_moments
from ._network import initialise
from ._plan import auto_batch_size
from ._streaming import WARM_UP, Stream
from ._tables import row_blocks
from ._training import AUTO_DAMPING, Outcome, Training
from ._training_data import training_data
from ._validation import normalised_weights

# A block of fewer rows than a batch is damped more, by this power of what it lacks. Measured once
# while building (1500 rows of kin8nm, wine, concrete and one synthetic table in blocks of 1, 4, 16
# and 64, error relative to the best power, geometric mean): power 0 1.45, 1 1.12, 1.25 1.07,
# 1.5 1.12; without it, blocks of one row end above the error of the mean on three tables of four.
_SMALL_BLOCK_POWER = 1.25

# Deviations from the mean beyond which a row is refused, as its square would leave float32. Only
# rows whose weight is next to nothing beside those before lie so far.
_FARTHEST = 1e15

# Rows of a block by which the penalty can be chosen.
_LEAST_ROWS = 64


def advance(stream, settings, samples, *, seed=None):
    """Learn from one block, and return the new stream, its scaling and outcomes by member.

    Nothing of ``stream`` is changed, so that an error leaves it usable. The new one still lacks
    the networks of the outcomes.

    Parameters
    ----------
    stream : Stream or None
        The state after the last block, None for the first.
    settings : Settings
        Hyperparameters; those that plan a whole fit play no part.
    samples : Samples
        The block.
    seed : int or None
        For the first block.

    Returns
    -------
    tuple of (Stream, Scaling, list of Outcome)
        With the networks after the block, one outcome a member.

    Raises
    ------
    ValueError
        If the block is in units so far from those before that the weights cannot follow.
    """
    # Units that differ by many orders of magnitude overflow; what comes of it is checked.
    with np.errstate(over="ignore", invalid="ignore"):
        stream, scaling, outcomes = _advance(stream, settings, samples, seed)
        followed = all(
            _is_finite_on(samples.X, *scaling.fold(outcome.training.network))
            for outcome in outcomes
        )
    if not followed:
        raise _refusal(samples)
    return stream, scaling, outcomes


def _refusal(samples):
    X, y = samples.X, samples.y
    largest = max(np.abs(X[rows]).max() for rows in row_blocks(*X.shape))
    return ValueError(
        "partial_fit cannot follow this block: its inputs or targets differ from those before "
        "by so many orders of magnitude that weights or predictions overflow; got values up "
        f"to {largest:.3g} in X and {np.abs(y).max():.3g} in y, expected units like "
        "those of the blocks before. Start again with a clone of the estimator."
    )


def _is_finite_on(X, coefs, intercepts):
    """Return whether a folded network and what it predicts for a block are finite."""
    if not all(np.isfinite(weights).all() for weights in coefs):
        return False
    for rows in network_blocks(X, coefs):
        hidden = last_hidden(X[rows], coefs[:-1], intercepts[:-1])
        if not np.isfinite(hidden @ coefs[-1] + intercepts[-1]).all():
            return False
    return True


def _advance(stream, settings, samples, seed):
    before = stream and stream.scaling()
    X, y = samples.X, samples.y
    weight, unit = normalised_weights(samples.weight)
    samples = samples._replace(weight=weight)
    stream = _with_rows(stream, X, y, weight, unit, seed)
    scaling = stream.scaling()
    if np.max(largest_deviations(X, scaling), initial=0.0) > _FARTHEST:
        raise _refusal(samples)
    size = settings.batch_size or auto_batch_size(y.shape[1])
    in_batches = settings.batch_size is not None and len(y) > size
    dtype = np.float32 if in_batches else np.float64
    data = training_data(scaling, samples, dtype, ones=True, hold=not in_batches)
    generators = np.random.default_rng([stream.seed, stream.n_blocks]).spawn(settings.n_members)
    starts = _starts(stream, before, scaling, settings, dtype)
    trainings = [
        _training(settings, len(y) / size, scaling, stream, unit, network, step, rng)
        for (network, step), rng in zip(starts, generators, strict=True)
    ]
    stream = _with_alpha(stream, settings, trainings[0], data)
    rows, learn = size if in_batches else len(y), stream.n_rows >= WARM_UP

    def run(training):
        training.alpha, training.column_penalty = stream.alpha, stream.column_penalty
        training.alpha_is_chosen = stream.alpha_rows > 0
        return _pass_over(training, data, rows, learn=learn)

    outcomes = run_members(run, [(training,) for training in trainings], n_jobs=settings.n_jobs)
    return stream, scaling, outcomes


def _with_rows(stream, X, y, weight, unit, seed):
    """Return the stream, or the start of one, with the block counted among its rows."""
    x_moments, y_moments = (fit_moments(table, weight).in_weight_unit(unit) for table in (X, y))
    if stream is None:
        return Stream(x_moments, y_moments, len(y), seed, [], [], n_blocks=1)
    return replace(
        stream,
        x=stream.x.merged(x_moments),
        y=stream.y.merged(y_moments),
        n_rows=stream.n_rows + len(y),
        n_blocks=stream.n_blocks + 1,
    )


def _starts(stream, before, scaling, settings, dtype):
    """Return (network, last step) of every member in units of the new scaling."""
    width, n_features, n_outputs = settings.width, len(stream.x.mean), len(stream.y.mean)
    if not stream.folded:
        # The same draw whatever the blocks were while warming up.
        generators = np.random.default_rng([stream.seed, 0]).spawn(settings.n_members)
        drawn = [initialise(width, n_features + 1, n_outputs, rng) for rng in generators]
        return [(network.astype(dtype), None) for network in drawn]
    starts = []
    for (coefs, intercepts), step in zip(stream.folded, stream.steps, strict=True):
        network = scaling.unfold(coefs, intercepts).astype(dtype)
        if step is not None:
            step = _moved_step(step, network, before, scaling).astype(dtype)
        starts.append((network, step))
    return starts


def _moved_step(step, network, before, after):
    """Return a difference of parameters in units of another scaling.

    Folding is affine in the parameters; its constant term is the mean of the targets.
    """
    coefs, intercepts = before.fold(network.with_parameters(step))
    intercepts[1] += after.y_mean - before.y_mean
    return after.unfold(coefs, intercepts).parameters()


def _training(settings, fill, scaling, stream, unit, network, step, rng):
    """Return the start of a pass; ``fill`` is the size of the block in units of a batch.

    ``unit`` is that of the block's weights, see :func:`normalised_weights`.
    """
    damping = AUTO_DAMPING if settings.damping is None else settings.damping
    damping *= max(1.0, 1.0 / fill) ** _SMALL_BLOCK_POWER
    return Training(
        network=network,
        alpha=stream.alpha,
        damping=float(damping),
        first_damping=np.nan,  # equal to none: a later fit has its own, whatever this block's is
        momentum=settings.momentum,
        solver=settings.solver,
        sketch=settings.sketch,
        rng=rng,
        total_weight=stream.x.weight / unit,
        weight_unit=unit,
        output_scale=scaling.y_scale,
        previous_step=step,
    )


def _with_alpha(stream, settings, training, data):
    """Return the stream with the penalty for this block, and what columns count in it.

    "auto" is chosen as in a fit, with the block as the table, at the first block that is large
    enough and each time the rows seen have doubled; choices are averaged (in log), each counted
    by its rows. A penalty in units of the full sum of weights is the precision of a prior in
    units of the noise: it does not grow with the table, so a block can stand for the stream.
    """
    if settings.alpha is not None:
        # Nothing that rows have chosen: "auto" would begin anew.
        return replace(stream, alpha=settings.alpha, column_penalty=None, alpha_rows=0, alpha_at=0)
    if len(data) < _LEAST_ROWS or stream.n_rows < 2 * stream.alpha_at:
        return stream
    training = replace(training, total_weight=data.weight)
    size = max(auto_batch_size(data.targets.shape[1]), settings.batch_size or 0)
    chosen, weighed, _ = choose_penalty(training, data, batch_size=size)
    rows = stream.alpha_rows + len(data)
    kept = stream.alpha_rows / rows

    def averaged(before, now):
        return np.exp(kept * np.log(before) + (1 - kept) * np.log(now))

    alike = np.ones(data.rows.shape[1])
    columns = (alike if found is None else found for found in (stream.column_penalty, weighed))
    return replace(
        stream,
        alpha=float(averaged(max(stream.alpha, 1e-300), chosen)),
        column_penalty=averaged(*columns),
        alpha_rows=rows,
        alpha_at=stream.n_rows,
    )


def _pass_over(training, data, batch_size, *, learn):
    """Use every row once; the loss is that of the block before it was learnt from."""
    losses: list[float] = []
    if learn:
        run_batches(
            training,
            data,
            n_steps=ceil(len(data) / batch_size),
            batch_size=batch_size,
            after_epoch=losses.append,
            last_length=STEP_LENGTH,
        )
    else:
        residual = training.network.evaluate(data.rows) - data.targets
        losses.append(training.loss(residual.T.ravel(), data.weight))
    return Outcome(training, "block", losses)
