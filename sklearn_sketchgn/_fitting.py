"""From validated tables to trained members: scaled samples, first networks, standard deviation."""

from dataclasses import replace

import numpy as np

from ._calibration import fit_uncertainty
from ._members import train_members
from ._network import initialise
from ._plan import auto_batch_size, count_groups
from ._schedule import new_training
from ._threshold import choose_threshold
from ._training_data import training_data


def fit_members(
    settings,
    samples,
    held_out,
    scaling,
    rng,
    *,
    bounds=None,
    resume=None,
    observers=(),
    whole=None,
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
    bounds : ndarray of shape (2, n_features) or None
        What ``predict`` moves rows into, and the held-out ones are therefore judged in.
    resume : list of Training or None
        The members of an earlier fit, to go on from.
    observers : sequence of callables
        See :func:`~._schedule.train`.
    whole : DistributedTable or None
        All rows, if ``samples`` is a sample of them.

    Returns
    -------
    settings : Settings
        With the size of the batches in place of "auto", and the threshold of the loss.
    outcomes : list of Outcome
        One a member.
    uncertainty : Uncertainty or str
        See :func:`~._calibration.fit_uncertainty`.
    """
    settings = with_batch_size(settings, samples, scaling, resume)
    data, validation = scaled_data(settings, samples, held_out, scaling, bounds)
    starts = first_networks(settings, data, rng, resume)
    if resume is None:
        settings = with_threshold(settings, data, scaling, starts[0])
    outcomes = train_members(
        settings,
        data,
        scaling,
        starts,
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


def with_batch_size(settings, samples, scaling, resume):
    """Return the settings with the size of the batches in place of "auto"."""
    if settings.batch_size != "auto":
        return settings
    n_samples, n_outputs = samples.y.shape
    searching = settings.alpha is None and resume is None
    n_groups = count_groups(n_samples, settings.width, settings.train_output) if searching else 1
    eliminates = (
        settings.train_output
        and settings.loss_function.outputs_alike
        and getattr(settings.solver, "eliminates_outputs", False)
        and not settings.alpha == settings.damping == 0  # without a ridge
    )
    hidden = (settings.width // n_groups, scaling.n_inputs + 1) if eliminates else None
    size = auto_batch_size(n_outputs, n_samples, n_groups, hidden)
    return replace(settings, batch_size=size)


def with_threshold(settings, data, scaling, start):
    """Return the settings with the threshold of the Huber loss, which all members share.

    ``start`` is one of :func:`first_networks`, whose generator is drawn from.
    """
    loss_function = settings.loss_function
    if not loss_function.needs_threshold:
        return settings
    network, _, rng = start
    size = auto_batch_size(data.targets.shape[1])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # as in all of training
        training = new_training(settings, data, network, scaling, rng)
        threshold = choose_threshold(training, data, batch_size=size)
    return replace(settings, loss_function=replace(loss_function, threshold=threshold))


def scaled_data(settings, samples, held_out, scaling, bounds=None):
    """Return the TrainingData of the training rows and of the held-out ones, or None for these.

    Only the held-out rows are moved into the bounds.
    """
    one_batch = settings.batch_size is None or len(samples.y) <= settings.batch_size
    dtype, ones = np.float64 if one_batch else np.float32, settings.train_output
    scaling = settings.loss_function.target_scaling(scaling)
    data = training_data(scaling, samples, dtype, ones=ones, hold=one_batch)
    if held_out is None:
        return data, None
    # Rows that the scaling does not come from may lie beyond float32.
    with np.errstate(over="ignore"):
        scaling = replace(scaling, bounds=bounds)
        return data, training_data(scaling, held_out, dtype, ones=ones)


def first_networks(settings, data, rng, resume):
    """Return (network, training to go on from or None, generator) of every member."""
    n_members, dtype = settings.n_members, data.rows.dtype
    generators = [rng] if n_members == 1 else rng.spawn(n_members)
    if resume is not None:
        return [
            (training.network.astype(dtype), training, member)
            for training, member in zip(resume, generators, strict=True)
        ]
    shape = (settings.width, data.rows.shape[1], data.targets.shape[1])
    try:
        networks = [
            initialise(*shape, member, train_output=settings.train_output).astype(dtype)
            for member in generators
        ]
    except MemoryError as error:
        raise MemoryError(
            f"There is not enough memory for {n_members} network(s) of {settings.width} neurons; "
            "lower `width` or `n_members`."
        ) from error
    return [(network, None, member) for network, member in zip(networks, generators, strict=True)]
