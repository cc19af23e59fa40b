"""What a fit with warm_start=True goes on from, and what it must have in common with it."""

from dataclasses import replace

import numpy as np

from ._losses import HUBER_EPSILON
from ._scaling import input_scale


def check_resume(resume, settings, n_outputs):
    """Raise ValueError unless a fit can go on from the (scaling, trainings) of the last one."""
    scaling, trainings = resume
    network = trainings[0].network
    encoding = None if scaling.ramps is None else "piecewise"
    expected = (
        settings.n_members,
        settings.width,
        n_outputs,
        settings.train_output,
        settings.loss_function.name,
        encoding if settings.encoding == "auto" else settings.encoding,  # "auto" keeps it
    )
    found = (
        len(trainings),
        len(network.hidden),
        len(scaling.y_mean),
        network.train_output,
        trainings[0].loss_function.name,
        encoding,
    )
    if found != expected:
        raise ValueError(
            "warm_start=True cannot continue the last fit: (n_members, width, n_outputs, "
            f"train_output, loss, encoding) was {found} and is {expected}. Set warm_start=False."
        )


def check_not_lost(estimator):
    """Raise ValueError if a fit is to go on from one whose state was not pickled."""
    stream = getattr(estimator, "_stream", None)
    if estimator.warm_start and stream is not None and stream.folded:
        raise ValueError(
            "warm_start=True cannot continue the last fit: the estimator was pickled or copied "
            "with warm_start=False, and without what a fit goes on from. Set warm_start=True "
            "before it is, or set warm_start=False."
        )


def vary_late(before, now):
    """Return which targets have been constant so far and now vary, if only from before."""
    return (before.deviation == 0) & (before.merged(now).deviation > 0)


def with_late_targets(scaling, trainings, fresh, late):
    """Return the (scaling, trainings) to go on from where some targets vary for the first time.

    They get their mean and scale from the scaling ``fresh``, and begin with their mean; with the
    Huber loss under its first threshold, as that of a constant is none.
    """
    y_mean = np.where(late, fresh.y_mean, scaling.y_mean)
    y_scale = np.where(late, fresh.y_scale, scaling.y_scale)
    begun = []
    for training in trainings:
        network = training.network
        network = replace(
            network, output=network.output * ~late, intercept=network.intercept * ~late
        )
        loss = training.loss_function
        if loss.needs_threshold:
            loss = replace(loss, threshold=np.where(late, HUBER_EPSILON, loss.threshold))
        begun.append(replace(training, network=network, previous_step=None, loss_function=loss))
    return replace(scaling, y_mean=y_mean, y_scale=y_scale), begun


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
    hidden = training.network.hidden.copy()
    hidden[:, np.flatnonzero(columns)] = 0
    network = replace(training.network, hidden=hidden)
    return replace(training, network=network, previous_step=None)
