"""From validated tables to trained members: scaled samples, first networks, standard deviation."""

from dataclasses import replace

import numpy as np

from ._calibration import fit_uncertainty
from ._cycles import probe
from ._encoding import can_be_encoded, check_can_be_encoded, place_ramps
from ._folds import even_places
from ._members import train_members
from ._network import initialise, initialise_paper
from ._plan import auto_batch_size, count_groups
from ._scaling import input_scale
from ._schedule import first_training
from ._training_data import holds_too_much, training_data
from .solvers import Auto, Direct

# Ramps must lower the loss of rows that the probes have not seen by this share.
_WORTH = 0.03


def fit_members(
    settings, samples, held_out, scaling, rng, *, resume=None, observers=(), whole=None
):
    """Train all members of a fit, and estimate their standard deviation.

    Parameters
    ----------
    settings : Settings
        Hyperparameters.
    samples : Samples
        Raw training rows.
    held_out : Samples or None
        Raw rows that choose among the iterates.
    scaling : Scaling
        Standardises both.
    rng : numpy.random.Generator
        The first networks are drawn from it before anything else.
    resume : list of Training or None
        The members of an earlier fit, to go on from.
    observers : sequence of callables
        See :func:`~._schedule.train`.
    whole : DistributedTable or None
        All rows, if ``samples`` is a sample of them.

    Returns
    -------
    settings : Settings
        With the size of the batches in place of "auto".
    outcomes : list of Outcome
        One a member.
    uncertainty : Uncertainty or str
        See :func:`~._calibration.fit_uncertainty`.
    """
    settings = _with_batch_size(settings, samples, scaling, resume)
    data, validation = _scaled(settings, samples, held_out, scaling)
    outcomes = train_members(
        settings,
        data,
        scaling,
        _starts(settings, data, rng, resume),
        validation=validation,
        n_jobs=settings.n_jobs,
        observers=observers,
        whole=whole,
    )
    uncertainty = fit_uncertainty(
        outcomes,
        data,
        validation,
        scaling,
        batch_size=settings.batch_size,
        rng=rng.spawn(1)[0],
        n_jobs=settings.n_jobs,
    )
    return settings, outcomes, uncertainty


def encoded(settings, samples, scaling, rng):
    """Return the scaling, with ramps if these are asked for, or pay.

    With ``encoding="auto"`` a :func:`~._cycles.probe` is trained without ramps and one with them,
    and the rows that both have not seen decide. The generator is left as it is: a fit that goes
    without them is the same to the last bit as if nothing had been tried.
    """
    asked = settings.encoding == "piecewise"
    if settings.encoding is None or not (asked or can_be_encoded(samples.X)):
        return scaling
    check_can_be_encoded(samples.X)
    ramps = place_ramps(samples.X, samples.weight, scaling.x_inverse > 0)
    with_ramps = replace(scaling, ramps=ramps)
    if asked:
        return with_ramps
    if not len(ramps) or holds_too_much(samples.X, settings.batch_size, with_ramps.n_inputs):
        return scaling
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # as in all of training
        return with_ramps if _pay(settings, samples, with_ramps, rng) else scaling


def _pay(settings, samples, with_ramps, rng):
    """Return whether a probe with ramps errs so much less than one without."""
    settings = replace(settings, alpha=None, batch_size="auto", n_members=1)
    losses, places, loss_function = [], None, None
    for scaling in (replace(with_ramps, ramps=None), with_ramps):
        chosen = _with_batch_size(settings, samples, scaling, None)
        data, _ = _scaled(chosen, samples, None, scaling)
        network, _, generator = _starts(chosen, data, _twin(rng), None)[0]
        training = first_training(chosen, data, network, scaling, generator)
        # Losses of other rows, or by another threshold, could not be compared.
        places = places or even_places(data, _twin(rng), cells=True)
        held_out = places, _twin(rng)
        loss_function = loss_function or training.loss_function
        training.loss_function = loss_function
        # More cycles say the same (docs/algorithm.md).
        search = probe(training, data, batch_size=chosen.batch_size, n_cycles=1, held_out=held_out)
        losses.append(search.mean_loss())
    return losses[1] < (1 - _WORTH) * losses[0]


def _twin(rng):
    """Return a generator that starts as this one did, and has nothing in common with it."""
    # Not a deep copy, which in numpy 1 draws the seeds of what it spawns from the system.
    seed = rng.bit_generator.seed_seq
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key))


def check_resume(resume, settings, n_features, n_outputs):
    """Raise ValueError unless a fit can go on from the (scaling, trainings) of the last one."""
    scaling, trainings = resume
    network = trainings[0].network
    encoding = None if scaling.ramps is None else "piecewise"
    expected = (
        settings.n_members,
        settings.width,
        n_features,
        n_outputs,
        settings.train_output,
        settings.loss_function.name,
        encoding if settings.encoding == "auto" else settings.encoding,  # "auto" keeps it
    )
    found = (
        len(trainings),
        len(network.hidden),
        len(scaling.x_mean),
        len(scaling.y_mean),
        network.train_output,
        trainings[0].loss_function.name,
        encoding,
    )
    if found != expected:
        raise ValueError(
            "warm_start=True cannot continue the last fit: (n_members, width, n_features, "
            f"n_outputs, train_output, loss, encoding) was {found} and is {expected}. "
            "Set warm_start=False."
        )


def with_late_columns(scaling, trainings, x_moments):
    """Return the (scaling, trainings) to go on from on rows of these moments.

    A column that was constant had no influence. If it varies now it gets a scale, and weights of
    zero, so that no prediction moves. Where all columns were constant there is nothing to go on
    from, and both are None.
    """
    late = (scaling.x_inverse == 0) & (x_moments.deviation > 0)
    if not late.any():
        return scaling, trainings
    if not scaling.x_inverse.any():
        return None, None
    mean = np.where(late, x_moments.mean, scaling.x_mean)
    scale = input_scale(x_moments)
    inverse = np.divide(1.0, scale, where=late, out=scaling.x_inverse.copy())
    scaling = replace(scaling, x_mean=mean, x_inverse=inverse)
    return scaling, [_without_columns(training, late) for training in trainings]


def _without_columns(training, columns):
    late = np.flatnonzero(columns)
    hidden, penalty = training.network.hidden.copy(), training.column_penalty
    hidden[:, late] = 0
    if penalty is not None:
        penalty = penalty.copy()
        penalty[late] = 1.0
    network = replace(training.network, hidden=hidden)
    return replace(training, network=network, column_penalty=penalty, previous_step=None)


def _with_batch_size(settings, samples, scaling, resume):
    if settings.batch_size != "auto":
        return settings
    n_samples, n_outputs = samples.y.shape
    searching = settings.alpha is None and resume is None
    n_groups = count_groups(n_samples, settings.width, settings.train_output) if searching else 1
    eliminates = (
        settings.train_output
        and settings.loss_function.outputs_alike
        and isinstance(settings.solver, (Auto, Direct))
        and not settings.alpha == settings.damping == 0  # without a ridge
    )
    hidden = (settings.width // n_groups, scaling.n_inputs + 1) if eliminates else None
    size = auto_batch_size(n_outputs, n_samples, n_groups, hidden)
    return replace(settings, batch_size=size)


def _scaled(settings, samples, held_out, scaling):
    """Return the TrainingData of the training rows and of the held-out ones, or None for these."""
    one_batch = settings.batch_size is None or len(samples.y) <= settings.batch_size
    dtype, ones = np.float64 if one_batch else np.float32, settings.train_output
    scaling = settings.loss_function.target_scaling(scaling)
    data = training_data(scaling, samples, dtype, ones=ones, hold=one_batch)
    if held_out is None:
        return data, None
    # Rows that the scaling does not come from may lie beyond float32.
    with np.errstate(over="ignore"):
        return data, training_data(scaling, held_out, dtype, ones=ones)


def _starts(settings, data, rng, resume):
    """Return (network, training to go on from or None, generator) of every member."""
    n_members, dtype = settings.n_members, data.rows.dtype
    generators = [rng] if n_members == 1 else rng.spawn(n_members)
    if resume is not None:
        return [
            (training.network.astype(dtype), training, member)
            for training, member in zip(resume, generators, strict=True)
        ]
    make = initialise if settings.train_output else initialise_paper
    shape = (settings.width, data.rows.shape[1], data.targets.shape[1])
    try:
        return [(make(*shape, member).astype(dtype), None, member) for member in generators]
    except MemoryError as error:
        raise MemoryError(
            f"There is not enough memory for {n_members} network(s) of {settings.width} neurons; "
            "lower `width` or `n_members`."
        ) from error
