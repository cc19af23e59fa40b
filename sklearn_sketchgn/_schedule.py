"""Train one network: resolve what is "auto", run the two phases, watch the validation loss."""

from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import numpy as np

from ._losses import SquaredError
from ._penalty import START, PenaltySearch, choose_alpha
from ._threshold import choose_threshold
from ._training import Training, run_all_rows, run_batches

#: First damping per unit of weight when it is "auto", with targets of unit variance.
AUTO_DAMPING = 0.04
#: Steps of the batch phase, steps on all rows, and steps on all rows without a batch phase.
BATCH_STEPS, FINAL_STEPS, ADAPTIVE_STEPS = 1500, 10, 200


@dataclass
class Settings:
    """Hyperparameters of one fit after validation; None stands for "auto" where it says so."""

    alpha: float | None
    damping: float | None
    batch_size: int | None
    momentum: float
    max_iter: int | None
    tol: float
    n_iter_no_change: float
    solver: object
    sketch: object
    report: object = None
    loss_function: Any = field(default_factory=SquaredError)


@dataclass
class Outcome:
    """What a fit gives back besides its :class:`Training`."""

    training: Training
    stop_reason: str
    loss_curve: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)


def auto_batch_size(n_outputs):
    """Return the rows of a batch: 256 for one or two outputs, fewer for more (at least 64)."""
    return int(np.clip(512 // n_outputs, 64, 256))


def n_steps(settings, n_samples, network):
    """Return the numbers of steps of the batch phase and of the phase on all rows.

    With ``max_iter="auto"`` the second phase has at most ``FINAL_STEPS`` steps and is left out
    where it would cost more than half of the first: on large tables it changes the error little
    (benchmarks/accuracy.py: kin8nm, power and protein by less than 2 %).
    """
    total, size = settings.max_iter, settings.batch_size
    if size is None:
        return 0, ADAPTIVE_STEPS if total is None else total
    if total is not None:
        return total - total // 10, total // 10
    n_batches = ceil(n_samples / size)
    batch_steps = max(1, round(BATCH_STEPS / n_batches)) * n_batches
    batch_rows = ceil(n_samples / n_batches)
    first = batch_steps * _operations(batch_rows, network)
    return batch_steps, int(min(FINAL_STEPS, 0.5 * first / _operations(n_samples, network)))


def _operations(n_samples, network):
    """Return the multiplications of a direct step on so many rows, to an order of magnitude."""
    width, n_features = network.hidden.shape
    n_rows = n_samples * network.output.shape[1]
    if n_rows <= network.n_parameters:
        return n_rows**2 * (2 * width + n_features + n_rows / 3)
    return network.n_parameters**2 * (n_rows + network.n_parameters / 3)


def train(settings, data, network, scaling, rng, *, validation=None, resume=None):
    """Train a network on standardised data and return the :class:`Outcome`.

    Parameters
    ----------
    settings : Settings
        Hyperparameters.
    data : TrainingData
        Scaled rows.
    network : Network
        Where to start.
    scaling : Scaling
        Its ``y_scale`` gives losses their units.
    rng : numpy.random.Generator
        Batches and sketches.
    validation : TrainingData or None
        Held-out rows, scaled alike; the network of least loss on them is kept.
    resume : Training or None
        An earlier fit whose penalty, damping and momentum go on.
    """
    training = _start(settings, data, network, scaling, rng, resume)
    search = None
    if settings.alpha is None and resume is None and settings.batch_size is not None:
        search = PenaltySearch(data, rng)
    watch = _Watch(settings, data, training, validation)
    batch_steps, all_steps = n_steps(settings, len(data), network)
    stopped, reason = False, "schedule"
    try:
        if batch_steps:
            stopped = run_batches(
                training,
                data,
                n_steps=batch_steps,
                batch_size=settings.batch_size,
                after_epoch=watch.note,
                search=search,
            )
            reason = "early stopping" if stopped else reason
        if all_steps and not stopped:
            reason = run_all_rows(
                training, data, n_steps=all_steps, tol=settings.tol, after_step=watch.note
            )
            if reason == "max_iter" and batch_steps and settings.max_iter is None:
                reason = "schedule"
    except KeyboardInterrupt:
        if not training.history["objective"]:
            raise
        reason = "interrupted"
    training.network = watch.best_network()
    return Outcome(training, reason, watch.losses, watch.validation_losses)


def _start(settings, data, network, scaling, rng, resume):
    damping = AUTO_DAMPING if settings.damping is None else settings.damping
    training = Training(
        network=network,
        alpha=0.0 if settings.alpha is None else float(settings.alpha),
        damping=float(damping),
        momentum=settings.momentum,
        solver=settings.solver,
        sketch=settings.sketch,
        rng=rng,
        total_weight=float(data.weights.sum()),
        output_scale=settings.loss_function.output_scale(scaling),
        loss_function=settings.loss_function,
        adapt_damping=settings.damping != 0,
    )
    if resume is not None:
        if settings.alpha is None:
            training.alpha = resume.alpha
        training.damping, training.growth = resume.damping, resume.growth
        training.previous_step = resume.previous_step
        training.loss_function = resume.loss_function
        return training
    size = auto_batch_size(data.targets.shape[1])
    if training.loss_function.needs_threshold:
        threshold = choose_threshold(training, data, batch_size=size)
        training.loss_function = replace(training.loss_function, threshold=threshold)
    if settings.alpha is None:
        training.alpha = START
        if settings.batch_size is None:
            training.alpha = choose_alpha(training, data, batch_size=size, n_steps=BATCH_STEPS)
    return training


class _Watch:
    """What is noted between steps: losses, validation losses, the best network."""

    def __init__(self, settings, data, training, validation):
        self.settings, self.training, self.validation = settings, training, validation
        self.losses, self.validation_losses = [], []
        self.best, self.best_loss, self.waited = training.network, np.inf, 0
        self.note(self._loss_on(data))

    def note(self, loss):
        """Append the losses, keep the best network, return whether to stop early."""
        self.losses.append(loss)
        if self.settings.report is not None:
            self.settings.report(self)
        if self.validation is None:
            return False
        current = self._loss_on(self.validation)
        self.validation_losses.append(current)
        enough = self.best_loss - self.settings.tol * min(abs(self.best_loss), 1e300)
        self.waited = 0 if current < enough else self.waited + 1
        if current < self.best_loss:
            self.best, self.best_loss = self.training.network, current
        return self.waited >= self.settings.n_iter_no_change

    def _loss_on(self, data):
        outputs = self.training.network.evaluate(data.rows)
        errors = self.training.loss_function.root_loss(outputs, data.rows, data.targets)
        return self.training.loss(errors.T.ravel(), float(data.weights.sum()))

    def best_network(self):
        """Return the network of least validation loss, or the last one without validation."""
        return self.training.network if self.validation is None else self.best
