"""Train one network: resolve what is "auto", run the two phases, watch the validation loss."""

from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import numpy as np

from ._losses import SquaredError
from ._penalty import PenaltySearch, choose_alpha
from ._step import square
from ._threshold import choose_threshold
from ._training import Training, run_all_rows, run_batches

#: First damping per unit of weight when it is "auto", with targets of unit variance.
AUTO_DAMPING = 0.04
#: Steps of the batch phase, steps on all rows, and steps on all rows without a batch phase.
BATCH_STEPS, FINAL_STEPS, ADAPTIVE_STEPS = 1500, 10, 200

# Relative difference of two sums of squares that float32 cannot tell from none.
_ROUND_OFF = 1e-5


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
    weight_unit: float = 1.0
    to_be_continued: bool = False
    loss_function: Any = field(default_factory=SquaredError)


@dataclass
class Outcome:
    """What a fit gives back besides its :class:`Training`."""

    training: Training
    stop_reason: str
    loss_curve: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    #: Steps taken before each entry of the curves.
    loss_steps: list = field(default_factory=list)


@dataclass
class Plan:
    """The most steps that a fit may take, and their costs in arbitrary units.

    Attributes
    ----------
    batch_steps, all_steps : int
        Steps of the two phases.
    n_batches : int
        Batches of an epoch.
    batch_cost, all_cost : float
        Cost of one step.
    """

    batch_steps: int
    all_steps: int
    n_batches: int
    batch_cost: float
    all_cost: float

    @property
    def n_notes(self):
        """Epochs and steps on all rows: how often observers are called after the first time."""
        return ceil(self.batch_steps / self.n_batches) + self.all_steps

    def share_done(self, steps):
        """Return the fraction of the work that so many steps are."""
        batches = min(steps, self.batch_steps)
        done = batches * self.batch_cost + (steps - batches) * self.all_cost
        whole = self.batch_steps * self.batch_cost + self.all_steps * self.all_cost
        return done / whole


def plan_steps(settings, n_samples, network):
    """Return the :class:`Plan` of a fit."""
    batch_steps, all_steps = n_steps(settings, n_samples, network)
    n_batches = ceil(n_samples / (settings.batch_size or n_samples))
    rows = ceil(n_samples / n_batches)
    return Plan(
        batch_steps,
        all_steps,
        n_batches,
        _operations(rows, network),
        _operations(n_samples, network),
    )


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


def train(settings, data, network, scaling, rng, *, validation=None, resume=None, observers=()):
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
    observers : sequence of callables
        Called with the :class:`Watch` before the first step, after every epoch of batches and
        after every accepted step on all rows; True ends the fit.
    """
    training = _start(settings, data, network, scaling, rng, resume)
    search = None
    if settings.alpha is None and resume is None and settings.batch_size is not None:
        search = PenaltySearch(data, rng)
        search.start(training)
    plan = plan_steps(settings, len(data), network)
    watch = Watch(settings, data, training, validation, plan, observers)
    batch_steps, all_steps = plan.batch_steps, plan.all_steps
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
            reason = watch.why_stopped if stopped else reason
        if all_steps and not stopped:
            reason = run_all_rows(
                training, data, n_steps=all_steps, tol=settings.tol, after_step=watch.note
            )
            if reason == "early stopping":
                reason = watch.why_stopped
            if reason == "max_iter" and batch_steps and settings.max_iter is None:
                reason = "schedule"
    except KeyboardInterrupt:
        if not training.history["objective"]:
            raise
        reason = "interrupted"
    except MemoryError as error:
        # What was learnt on batches is worth more than an error about the steps on all rows.
        if not training.history["objective"]:
            raise MemoryError(_memory_advice(settings, data, network)) from error
        reason = "memory"
    training.network = watch.best_network()
    finished = validation is None and resume is None and not settings.to_be_continued
    if finished and watch.has_got_worse(data):
        training.network = watch.first
        reason = reason if reason in ("interrupted", "memory") else "worse"
    return Outcome(training, reason, watch.losses, watch.validation_losses, watch.steps)


def _memory_advice(settings, data, network):
    rows = min(len(data), settings.batch_size or len(data))
    instead = "pass" if settings.batch_size is None else "lower"
    return (
        f"There is not enough memory for a step of {network.n_parameters} parameters on {rows} "
        f"rows; lower `width`, or {instead} `batch_size`."
    )


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
        weight_unit=settings.weight_unit,
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
    if settings.alpha is None and settings.batch_size is None:
        training.alpha = choose_alpha(training, data, batch_size=size, n_steps=BATCH_STEPS)
    return training


class Watch:
    """What is noted between steps: losses, validation losses, the best network."""

    def __init__(self, settings, data, training, validation, plan, observers):
        self.settings, self.training, self.validation = settings, training, validation
        self.plan, self.observers = plan, observers
        self.losses, self.validation_losses, self.steps = [], [], []
        self.first = self.best = training.network
        self.best_loss, self.waited = np.inf, 0
        self.why_stopped = ""
        residual = self._residual(data)
        self.first_error = square(residual)
        # Validation losses are compared in units of the largest target: its square may overflow.
        self.unit = np.max(training.output_scale)
        self.note(self._loss(residual, data))

    def note(self, loss):
        """Append the losses, keep the best network, return whether to stop early."""
        self.losses.append(loss)
        self.steps.append(len(self.training.history["objective"]))
        if self.validation is not None:
            self._validate()
            if self.waited >= self.settings.n_iter_no_change:
                self.why_stopped = "early stopping"
        # All of them are called, whatever the first one says.
        if any([observer(self) for observer in self.observers]):
            self.why_stopped = "callback"
        return bool(self.why_stopped)

    def _validate(self):
        current = self._loss(self._residual(self.validation), self.validation, self.unit)
        self.validation_losses.append(float(current * self.unit**2))
        enough = self.best_loss - self.settings.tol * min(abs(self.best_loss), 1e300)
        self.waited = 0 if current < enough else self.waited + 1
        if current < self.best_loss:
            self.best, self.best_loss = self.training.network, current

    def has_got_worse(self, data):
        """Return whether the network errs more than the first one, which predicts the mean.

        A network of a fixed output layer starts anywhere, so nothing is promised of it.
        """
        if not self.training.network.train_output:
            return False
        # Written so that NaN counts as worse.
        return not square(self._residual(data)) <= (1 + _ROUND_OFF) * self.first_error

    def _residual(self, data):
        outputs = self.training.network.evaluate(data.rows)
        return self.training.loss_function.root_loss(outputs, data.rows, data.targets).T.ravel()

    def _loss(self, residual, data, unit=1.0):
        return self.training.loss(residual, float(data.weights.sum()), unit)

    def best_network(self):
        """Return the network of least validation loss, or the last one without validation."""
        return self.training.network if self.validation is None else self.best
