"""The state of a fit, which both phases of training update, and what ends it."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ._losses import SquaredError
from ._metric import column_coordinates
from ._network import Network
from ._step import squares_by_output

#: First damping per unit of weight when it is "auto", with targets of unit variance.
AUTO_DAMPING = 0.04

# What the generator of the sketches is told from others of the same seed by.
_OF_SKETCHES = 2**31

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
    "no step helped": "no step lowered the error on the held-out rows, so the mean is predicted",
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
    it at the next rejection; ``previous_step`` is the last unscaled minimiser of the batch phase,
    ``metric`` that of the damping there, None for the plain norm, and ``first_damping`` the damping
    that was asked for, None for "auto". ``column_penalty`` is what
    alpha is multiplied by for the hidden weights of every column of the rows, None for 1;
    ``alpha_is_chosen`` tells whether rows have chosen both, and not by chance. ``in_effect`` is
    how many times alpha the steps are taken under; ``marks`` is what became of every step, in words
    of the package's own, and ``history["events"]`` those and the solver's, for people.
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
    first_damping: float | None = None
    loss_function: Any = field(default_factory=SquaredError)
    growth: float = 2.0
    previous_step: np.ndarray | None = None
    metric: Any = None
    column_penalty: np.ndarray | None = None
    alpha_is_chosen: bool = False
    in_effect: float = 1.0
    marks: list = field(default_factory=list)
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY_KEYS})
    sketch_rng: Any = None

    def __post_init__(self):
        # Not that of the batches: which rows meet must not depend on what a strategy draws.
        if self.sketch_rng is None and self.rng is not None:
            self.sketch_rng = twin(self.rng, _OF_SKETCHES)

    def fresh(self, network, alpha):
        """Return the start of another fit with the same strategies and generator.

        It has learnt nothing yet, nor which columns matter.
        """
        history: dict = {key: [] for key in HISTORY_KEYS}
        return replace(
            self,
            network=network,
            alpha=alpha,
            in_effect=1.0,
            column_penalty=None,
            previous_step=None,
            history=history,
            marks=[],
        )

    def for_resume(self, *, momentum):
        """Return a copy without the history, the generator, the strategies and the metric."""
        step = self.previous_step if momentum else None
        kept = replace(self, previous_step=step, history={}, marks=[], rng=None, sketch_rng=None)
        return replace(kept, solver=None, sketch=None, metric=None)

    def subproblem(self, data, metric=None):
        """Linearise on a set of samples; the penalty shrinks with their share of the weight.

        With a metric the subproblem is for the present damping in it; without, for any.
        """
        # Python floats: a numpy scalar would turn float32 vectors into float64 ones.
        alpha = float(self.alpha * self.in_effect) / self.weight_unit * len(self.network.intercept)
        alpha, damping = min(alpha / self.total_weight, _LARGEST_RIDGE), self.ridge(1.0)
        dtype, coordinates = self.network.hidden.dtype, None
        if metric is not None and damping:
            coordinates = metric.coordinates(alpha, damping, dtype, self.column_penalty)
        elif self.column_penalty is not None:
            coordinates = column_coordinates(self.column_penalty, dtype)
        return data.subproblem(self.network, alpha * data.weight, self.loss_function, coordinates)

    def prepare(self, problem, previous=None):
        """Return what the solver makes of a subproblem and of its state of the step before.

        That is the error, if it raises one of linear algebra, which costs the step like one of
        ``solve``.
        """
        try:
            return self.solver.prepare(
                problem.jacobian,
                sketch=problem.sketch_of_rows(self.sketch),
                rng=self.sketch_rng,
                previous=None if isinstance(previous, np.linalg.LinAlgError) else previous,
            )
        except np.linalg.LinAlgError as error:
            return error

    def factors_of_alpha(self):
        """Return a copy of ``column_penalty``, with ones in the place of None."""
        if self.column_penalty is None:
            return np.ones(self.network.hidden.shape[1])
        return self.column_penalty.copy()

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

    def record_step(self, value, weight, result, *, mark, **entry):
        """Append a step with an objective of this value, and what its solver reported."""
        # A step that is not finite has not been solved for, by eigenvalues either.
        truncated = result.truncated and np.isfinite(result.step).all()
        told = {mark: True, "truncated": truncated, "not converged": not result.converged}
        marks = [name for name, is_so in told.items() if name and is_so]
        self.record(
            marks=marks,
            events=": ".join(filter(None, [", ".join(marks), str(result.message or "")])),
            objective=self.objective(value, weight),
            damping=self.damping,
            alpha=self.alpha * self.in_effect,
            cg_iterations=result.n_iter,
            cg_residual=result.residual_norm,
            **entry,
        )

    def record(self, *, marks=(), **entry):
        """Append one step to the history."""
        self.marks.append(set(marks))
        for key in HISTORY_KEYS:
            self.history[key].append(entry[key])


@dataclass
class Outcome:
    """What a fit gives back besides its :class:`Training`."""

    training: Training
    stop_reason: str
    loss_curve: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    #: Steps that were taken when each entry of the curves was noted.
    loss_steps: list = field(default_factory=list)
    #: Groups that the neurons were trained in.
    n_groups: int = 1


def twin(rng, *key):
    """Return a generator of the seed of another one and of a key, as if nothing had been drawn."""
    # Not a deep copy, which in numpy 1 draws the seeds of what it spawns from the system.
    seed = rng.bit_generator.seed_seq
    return np.random.default_rng(
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))
    )
