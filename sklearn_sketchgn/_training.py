"""The two phases of training: batches with momentum, then all rows with adaptive damping."""

from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil
from typing import Any

import numpy as np

from ._losses import SquaredError
from ._network import Network
from ._step import squares_by_output

#: Length of the first step of a batch phase, and by default its fall to the last one.
STEP_LENGTH = 0.3

# A batch step that multiplies the objective of its own batch by this is halved, so many times.
_BLOW_UP, _HALVINGS = 1.5, 6

# Nielsen's growth factor after 20 rejections in a row; the damping has then grown by 2^210, and a
# step that is still not finite or not downhill will not become so.
_LARGEST_GROWTH = 2.0**20

# Penalty and damping per unit of weight beyond which nothing moves any more, in any precision;
# larger ones would only overflow.
_LARGEST_RIDGE = 1e20

#: What ended a fit, in words.
STOP_REASONS = {
    "schedule": "the schedule of steps was completed",
    "max_iter": "max_iter steps were taken",
    "decrease": "the objective fell by less than tol times itself",
    "gradient": "the norm of the gradient fell below tol times its first value",
    "round-off": "no step lowers the objective beyond round-off",
    "diverged": "a step without adaptive damping gave values that are not finite",
    "worse": "the steps raised the error, so the mean of the targets is predicted",
    "early stopping": "the validation loss no longer improved",
    "interrupted": "the fit was interrupted",
    "block": "the block was used once",
    "callback": "a callback asked to stop",
    "memory": "a step needed more memory than there was",
}

HISTORY_KEYS = (
    "objective",
    "damping",
    "alpha",
    "cg_iterations",
    "cg_residual",
    "step_norm",
    "batch_size",
    "flips",
    "events",
)


@dataclass
class Training:
    """The state of one fit, all that a later fit needs to go on from here.

    ``alpha`` is in the units of the user's weights, which are ``weight_unit`` times those of the
    data; ``damping`` is per unit of weight; ``growth`` is the factor by which Nielsen's rule raises
    it at the next rejection; ``previous_step`` is the last unscaled minimiser of the batch phase.
    """

    network: Network
    alpha: float
    damping: float
    momentum: float
    solver: Any
    sketch: Any
    rng: Any
    total_weight: float
    output_scale: np.ndarray
    weight_unit: float = 1.0
    adapt_damping: bool = True
    loss_function: Any = field(default_factory=SquaredError)
    growth: float = 2.0
    previous_step: np.ndarray | None = None
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY_KEYS})

    def fresh(self, network, alpha):
        """Return the start of another fit with the same strategies and generator."""
        history: dict = {key: [] for key in HISTORY_KEYS}
        return replace(self, network=network, alpha=alpha, previous_step=None, history=history)

    def for_resume(self):
        """Return a copy without the history, the generator and the strategies."""
        return replace(self, history={}, rng=None, solver=None, sketch=None)

    def subproblem(self, data):
        """Linearise on a set of samples; the penalty shrinks with their share of the weight."""
        # A Python float: a numpy scalar would turn float32 vectors into float64 ones.
        alpha = float(self.alpha) / self.weight_unit * len(self.network.intercept)
        weight = data.weight
        alpha = min(alpha * (weight / self.total_weight), _LARGEST_RIDGE * weight)
        return data.subproblem(self.network, alpha, self.loss_function)

    def ridge(self, weight):
        """Return mu, the damping of a set of samples of this weight."""
        return min(self.damping, _LARGEST_RIDGE) * weight

    def objective(self, value, weight):
        """Return a subproblem's value in units of (1 / 2) y^2 per sample and output."""
        return value / (weight * len(self.network.intercept))

    def loss(self, root_loss, weight, unit=1.0):
        """Return the mean loss of a root loss, output by output, in units of the raw one / unit."""
        sums = squares_by_output(root_loss, len(self.output_scale))
        return self.mean_loss(sums, weight, unit)

    def mean_loss(self, sums, weight, unit=1.0):
        """Return the mean loss of squared root losses, summed over samples, by output."""
        # Infinite where the square of the targets' scale is, about 1e154: then the loss is, too.
        return float(sums @ (self.output_scale / unit) ** 2) / (2 * weight * len(sums))

    def record(self, **entry):
        """Append one step to the history."""
        for key in HISTORY_KEYS:
            self.history[key].append(entry[key])


def run_batches(training, data, *, n_steps, batch_size, after_epoch, last_length=0.0):
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
    trainings, tables, *, n_steps, batch_size, after_epoch, last_length=0.0, search=None
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
        The training rows of each, about equally many.
    n_steps, batch_size : int
        Number of steps of each network; upper bound of the rows in a batch.
    after_epoch : callable
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
    n_batches = ceil(min(map(len, tables)) / batch_size)
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
        if after_epoch(float(np.mean(values))):
            return True
    return False


def _batch_step(training, batch, follower, length):
    weight = batch.weight
    problem = training.subproblem(batch)
    value, damping = problem.value(), training.ridge(weight)
    state = training.solver.prepare(problem.jacobian, sketch=training.sketch, rng=training.rng)
    drift = training.previous_step
    if drift is not None:
        drift = training.momentum * drift
    step, result = problem.solve(training.solver, state, damping, drift)
    moved, taken = _guarded_move(training.network, problem, step, length, value, batch)
    if follower is not None:
        follower.follow(problem, state, damping, step, length if taken == length else 0.0)
    event = result.message
    if taken == length:
        training.previous_step = step
    else:
        # The linearisation failed along this step: the next batch starts without momentum.
        training.previous_step = None
        event = f"step shortened {event}".strip() if taken else "step skipped"
    training.network = moved
    training.record(
        objective=training.objective(value, weight),
        damping=training.damping,
        alpha=training.alpha,
        cg_iterations=result.n_iter,
        cg_residual=result.residual_norm,
        step_norm=taken * float(np.linalg.norm(step)) if taken else 0.0,
        batch_size=len(batch),
        flips=np.nan,
        events=event,
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


def run_all_rows(training, data, *, n_steps, tol, after_step):
    """Take up to ``n_steps`` steps on all rows with adaptive damping (Nielsen's rule).

    A step is accepted when the objective falls; the damping then shrinks by
    max(1/3, 1 - (2 gain - 1)^3), gain being the actual over the predicted decrease, and grows by
    2, 4, 8 ... at consecutive rejections. With ``adapt_damping`` off every finite step is taken.

    Parameters
    ----------
    training : Training
        Updated in place.
    data : TrainingData
        The training rows, or an object with its ``weight``, length, ``subproblem`` and
        ``squared_loss``, such as rows on the workers of a cluster.
    n_steps : int
        Largest number of solves, rejected ones included.
    tol : float
        Ends the phase when an accepted step lowers the objective by less than ``tol`` times
        itself, or when the gradient's norm falls below ``tol`` times its first value.
    after_step : callable
        Called after every accepted step with the loss; True ends the phase.

    Returns
    -------
    str
        Which test ended the phase, a key of ``STOP_REASONS``.
    """
    weight = data.weight
    problem, prepared = training.subproblem(data), None
    first_gradient = float(np.linalg.norm(problem.gradient()))
    value, accepted = problem.value(), True
    for _ in range(n_steps):
        if accepted:
            prepared = _prepare(training, problem, prepared)
        step, result = problem.solve(training.solver, prepared, training.ridge(weight))
        trial, trial_value = problem.trial(training.network, step, data)
        predicted = problem.predicted_decrease(step)
        gain = (value - trial_value) / predicted if predicted > 0 else -1.0
        if not training.adapt_damping:
            accepted = bool(np.isfinite(trial_value))
        else:
            accepted = bool(np.isfinite(trial_value) and gain > 0)
        flips = problem.jacobian.flips(trial.hidden) if accepted else 0.0
        before, value = value, trial_value if accepted else value
        training.record(
            objective=training.objective(value, weight),
            damping=training.damping,
            alpha=training.alpha,
            cg_iterations=result.n_iter,
            cg_residual=result.residual_norm,
            step_norm=float(np.linalg.norm(step)) if accepted else 0.0,
            batch_size=len(data),
            flips=flips,
            events=result.message if accepted else f"rejected {result.message}".strip(),
        )
        _adapt_damping(training, gain, accepted)
        if not accepted:
            if not training.adapt_damping:
                return "diverged"
            hopeless = abs(predicted) <= 10 * np.finfo(problem.theta.dtype).eps * value
            if hopeless or training.growth > _LARGEST_GROWTH:
                return "round-off"
            continue
        training.network = trial
        problem = training.subproblem(data)
        if after_step(training.mean_loss(problem.squares(), weight)):
            return "early stopping"
        if float(np.linalg.norm(problem.gradient())) <= tol * first_gradient:
            return "gradient"
        if 0 <= before - value <= tol * before:
            return "decrease"
    return "max_iter"


def _prepare(training, problem, previous):
    sketch = problem.sketch_of_rows(training.sketch)
    return training.solver.prepare(
        problem.jacobian, sketch=sketch, rng=training.rng, previous=previous
    )


def _adapt_damping(training, gain, accepted):
    """Apply Nielsen's rule (H. B. Nielsen, IMM-REP-1999-05) to the damping."""
    if not training.adapt_damping:
        return
    if accepted:
        training.damping *= max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3)
        training.growth = 2.0
    else:
        training.damping *= training.growth
        training.growth *= 2
