"""Train one network: resolve what is "auto", run the two phases, watch the validation loss."""

from dataclasses import dataclass, field, replace
from math import ceil, inf
from typing import Any

import numpy as np

from ._all_rows_phase import run_all_rows
from ._batch_phase import run_groups
from ._cycles import choose_penalty, search_penalty
from ._groups import gather
from ._losses import SquaredError
from ._metric import damping_metric
from ._penalty import PenaltySearch, penalty_factor
from ._plan import auto_batch_size, plan_steps
from ._step import square
from ._threshold import choose_threshold
from ._training import AUTO_DAMPING, Training

# Relative difference of two sums of squares that float32 cannot tell from none.
_ROUND_OFF = 1e-5
# How many times the error of the mean is too far away to go on from.
_OUT_OF_REACH = 1e8
# Error, in units of the target, that is round-off in float64.
_EXACT = 1e-14


@dataclass
class Settings:
    """Hyperparameters of one fit after validation.

    None stands for "auto" but for the batch size, where it means all rows; there "auto" has to be
    replaced by a number before training.
    """

    width: int
    train_output: bool
    n_members: int
    n_jobs: int | None
    alpha: float | None
    damping: float | None
    batch_size: Any
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
    #: Groups that the neurons were trained in.
    n_groups: int = 1


def train(
    settings, data, network, scaling, rng, *, validation=None, resume=None, observers=(), whole=None
):
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
    whole : DistributedTable or None
        All rows, if ``data`` is a sample of them: the second phase is on these.
    """
    training = _start(settings, data, network, scaling, rng, resume)
    searching = settings.alpha is None and resume is None and settings.batch_size is not None
    plan = plan_steps(settings, len(data), network, searching=searching, all_rows=data.held)
    if whole is not None:
        plan = whole.plan(plan, settings)
    watch = Watch(settings, data, training, validation, plan, observers)
    search = PenaltySearch(training, data, plan.cycle_steps) if searching else None
    try:
        reason = _run_phases(training, data, plan, watch, search, whole)
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
    judged = validation is None and resume is None
    exact = judged and watch.first_is_exact(data)
    # What goes on may err more than the mean for now.
    times = _OUT_OF_REACH if settings.to_be_continued else 1.0
    worse = judged and not exact and watch.has_got_worse(data, times)
    # Of a constant target the mean is all there is to learn, and nothing went wrong.
    if worse or (exact and not settings.to_be_continued):
        training.network, training.previous_step = watch.first, None
        # The last loss is that of the network that is kept.
        watch.losses.append(watch.losses[0])
        watch.steps.append(watch.steps[-1])
    if worse and reason not in ("interrupted", "memory"):
        reason = "worse"
    n_groups = 1 if search is None else len(search.groups)
    return Outcome(training, reason, watch.losses, watch.validation_losses, watch.steps, n_groups)


def _run_phases(training, data, plan, watch, search, whole):
    """Search for alpha, train on batches, then on all rows; return which test ended it."""
    settings = watch.settings
    groups = [training] if search is None else search.trainings

    def after_epoch(loss):
        gather(training, groups)
        return watch.note(loss)

    if plan.n_cycles:
        stopped, learnt = search_penalty(
            search,
            batch_size=ceil(max(len(group.kept) for group in search.groups) / plan.n_batches),
            n_cycles=plan.n_cycles,
            cycle_steps=plan.cycle_steps,
            after_epoch=after_epoch,
            follow_noise=settings.damping is None,
        )
        if stopped:
            return watch.why_stopped
        search.suit_the_mean()
        if settings.damping is None:
            # The mean of several groups is less noisy than each, and all rows are not noisy.
            noisy = len(groups) == 1 and plan.n_batches > 1
            search.suit_the_noise(inf if noisy else AUTO_DAMPING)
        gather(training, groups)
        if training.network.train_output and not learnt:
            # The mean is then the best that can be told from the table.
            search.alpha = inf  # its bound
            training.network, training.previous_step = watch.first, None
            training.alpha, groups = search.alpha, [training]
        watch.plan = plan.after_search(len(training.history["objective"]))
    if plan.batch_steps and run_groups(
        groups,
        [data] * len(groups),
        n_steps=plan.batch_steps,
        batch_size=settings.batch_size,
        after_epoch=after_epoch,
    ):
        return watch.why_stopped
    if not plan.all_steps:
        return "schedule"
    rows = data if whole is None else whole.take_over(training)
    found = training.alpha
    if plan.n_cycles and plan.n_batches > 1:
        # The judges saw what batches make of alpha, which steps on all rows would undo.
        training.alpha *= penalty_factor(training, rows)
    try:
        reason = run_all_rows(
            training, rows, n_steps=plan.all_steps, tol=settings.tol, after_step=watch.note
        )
    finally:
        training.alpha = found
    if reason == "early stopping":
        return watch.why_stopped
    if reason == "max_iter" and plan.batch_steps and settings.max_iter is None:
        return "schedule"
    return reason


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
        first_damping=settings.damping,
        momentum=settings.momentum,
        solver=settings.solver,
        sketch=settings.sketch,
        rng=rng,
        total_weight=data.weight,
        output_scale=settings.loss_function.output_scale(scaling),
        weight_unit=settings.weight_unit,
        loss_function=settings.loss_function,
        adapt_damping=settings.damping != 0,
        metric=damping_metric(data, network),
    )
    if resume is not None:
        if settings.alpha is None:
            training.alpha, training.column_penalty = resume.alpha, resume.column_penalty
        if settings.damping == resume.first_damping:
            training.damping, training.growth = resume.damping, resume.growth
        training.previous_step = resume.previous_step
        training.loss_function = resume.loss_function
        return training
    size = auto_batch_size(data.targets.shape[1])
    if training.loss_function.needs_threshold:
        threshold = choose_threshold(training, data, batch_size=size)
        training.loss_function = replace(training.loss_function, threshold=threshold)
    if settings.alpha is None and settings.batch_size is None:
        training.alpha, training.column_penalty = choose_penalty(training, data, batch_size=size)
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
        # Validation losses are compared in units of the largest target: its square may overflow.
        self.unit = np.max(training.output_scale)
        self.first_error, loss = self._measure(data)
        self.note(loss)

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
        current = self._measure(self.validation, self.unit)[1]
        self.validation_losses.append(float(current * self.unit**2))
        enough = self.best_loss - self.settings.tol * min(abs(self.best_loss), 1e300)
        improved = current < enough or not self.plan.steps_are_short(self.steps[-1])
        self.waited = 0 if improved else self.waited + 1
        if current < self.best_loss:
            self.best, self.best_loss = self.training.network, current

    def has_got_worse(self, data, times=1.0):
        """Return whether the network errs more times than the first one, which predicts the mean.

        A network of a fixed output layer starts anywhere, so nothing is promised of it.
        """
        if not self.training.network.train_output:
            return False
        # Written so that NaN counts as worse.
        return not self._measure(data)[0] <= (1 + _ROUND_OFF) * times**2 * self.first_error

    def _measure(self, data, unit=1.0):
        """Return the sum of squares of the root loss, and the mean loss, of the current network."""
        training, weight = self.training, data.weight
        squares = loss = 0.0
        for block in data.blocks():
            outputs = training.network.evaluate(block.rows)
            root_loss = training.loss_function.root_loss(outputs, block.rows, block.targets)
            residual = root_loss.T.ravel()
            squares += square(residual)
            loss += training.loss(residual, weight, unit)
        return squares, loss

    def first_is_exact(self, data):
        """Return whether the first network has no error but round-off."""
        return self.first_error <= _EXACT**2 * data.weight

    def best_network(self):
        """Return the network of least validation loss, or the last one without validation."""
        return self.training.network if self.validation is None else self.best
