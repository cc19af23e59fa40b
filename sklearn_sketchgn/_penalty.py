"""alpha="auto": adjust the penalty while the network trains, by rows that it has not seen.

Forward-mode differentiation of the training itself: beside the parameters theta runs their
sensitivity z = d theta / d log(alpha), what they would have become under a slightly larger
penalty. It obeys the recursion of the steps, differentiated, and costs one more solve with the
factor that a step has anyway. On held-out rows, z says in which direction to move alpha.
"""

from math import ceil, exp, log

import numpy as np

#: Where alpha starts, for rows of weight 1: high enough that the search comes down from a network
#: that is too smooth, which also trains better than a small penalty from the start.
START = 1.0

#: alpha stays between these, for rows of weight 1.
LOWEST, HIGHEST = 1e-6, 1e4

# Rows that judge: this share of all, but not more than so many, and at least so many or half.
_HELD_OUT, _JUDGES, _FEWEST_JUDGES = 0.2, 2048, 40

# The largest change of log(alpha) at once.
_LARGEST_MOVE = log(10.0)

# Another penalty has to promise at least this correlation of the held-out residual with its
# change, that is a squared error lower by 0.5 %. Without it alpha falls to its bound wherever the
# penalty does not matter early, and cannot return when it does (kin8nm: 0.075, with it 0.072).
_LEAST_CORRELATION = 0.07

# Adjustments of alpha in one cycle.
_ADJUSTMENTS = 16

# Rows in one block of temporaries, and most numbers in it (32 MB) where rows are wide.
_ROWS, _NUMBERS = 2**16, 2**22

# Rows beyond which they are not sorted to find equal ones: the places of so many take 32 MB.
_SORTED_ROWS = 2**20

# Fractions of multiples of the golden ratio fill [0, 1) evenly from any start.
_GOLDEN = 0.5 * (5**0.5 - 1)


class PenaltySearch:
    """The search for alpha along one batch phase.

    Equal rows are always held out together, so that integer weights have the effect of repeated
    rows while the table fits in one batch.

    Parameters
    ----------
    data : TrainingData
        All training rows.
    rng : numpy.random.Generator
        Which rows judge.
    cycle_steps : int
        Steps during which alpha is adjusted sixteen times.

    Attributes
    ----------
    kept, judges : TrainingData
        The rows to train on meanwhile (of a large table they are only for batches), and those
        that judge.
    row_weight : float
        Mean weight of a distinct row: the same for weights and for repeated rows.
    interval : int
        Steps between two adjustments.
    """

    def __init__(self, data, rng, cycle_steps):
        self.interval = max(1, ceil(cycle_steps / _ADJUSTMENTS))
        place, n_distinct = even_places(data, rng)
        self.row_weight = data.weight / n_distinct
        share = min(max(_HELD_OUT, _FEWEST_JUDGES / n_distinct), 0.5)
        held_out = place < min(share, _JUDGES / len(data))
        if held_out.all() or np.count_nonzero(~held_out) < 2:
            held_out[:] = False
        self.kept, self.judges = data.kept(~held_out), data.part(held_out)
        self._sensitivity = self._step_sensitivity = None

    def start(self, training):
        """Set alpha to where the search begins, in the units of the user's weights."""
        training.alpha = START * self.row_weight * training.weight_unit

    def bounded(self, training, alpha):
        """Return alpha within its bounds, all in the units of the user's weights."""
        unit = self.row_weight * training.weight_unit
        least = training.loss_function.least_alpha(len(training.network.intercept))
        return min(max(alpha, max(LOWEST, least) * unit), HIGHEST * unit)

    def follow(self, training, problem, state, damping, step, length):
        """Differentiate one step of the batch phase.

        Parameters
        ----------
        training : Training
            The fit, as it was when the step was solved for.
        problem, state, damping
            The batch's subproblem, the solver's state for it, and mu.
        step : ndarray
            Its minimiser.
        length : float
            How much of it was taken; 0 for a step that was shortened, which ends the momentum.
        """
        if not length:
            self._step_sensitivity = None
            return
        if self._sensitivity is None:
            self._sensitivity = np.zeros_like(problem.theta)
        drift = self._step_sensitivity
        if drift is not None:
            drift = training.momentum * drift
        self._step_sensitivity = problem.solve_sensitivity(
            training.solver, state, damping, step, self._sensitivity, drift
        )
        self._sensitivity += step.dtype.type(length) * self._step_sensitivity

    def error(self, training):
        """Return the judges' sum of squared errors; 0 where no row judges."""
        return sum(
            self._judge(training, training.subproblem(judges), judges)[1]
            for judges in self.judges.blocks()
            if len(judges)
        )

    @staticmethod
    def _judge(training, problem, judges):
        residual = problem.residual.astype(np.float64)
        judged = training.loss_function.judged_residual(residual, judges.rows)
        return residual, float(judged @ judged)

    def adjust(self, training):
        """Move alpha by one Newton step on the squared error of the judges, in log(alpha).

        To first order their residual under exp(t) alpha is r + t J z; t minimises its square plus
        t^2 times their mean squared error, the information of one row that alpha is right.
        """
        if self._sensitivity is None or not len(self.judges):
            return
        size = effect = slope = 0.0
        for judges in self.judges.blocks():
            problem = training.subproblem(judges)
            residual, judged = self._judge(training, problem, judges)
            change = problem.jacobian.matvec(self._sensitivity).astype(np.float64)
            size += judged
            effect += float(change @ change)
            slope += float(residual @ change)
        if not np.isfinite(slope + effect + size):
            self._sensitivity = self._step_sensitivity = None
            return
        weight = self.judges.weight * len(training.network.intercept)
        one_row = self.row_weight / weight
        least = max(_LEAST_CORRELATION, one_row**0.5) * (size * effect) ** 0.5
        slope = max(0.0, slope - least) + min(0.0, slope + least)
        curvature = effect + size * one_row
        if slope and curvature > 0:
            move = min(max(-slope / curvature, -_LARGEST_MOVE), _LARGEST_MOVE)
            training.alpha = self.bounded(training, training.alpha * exp(move))


def even_places(data, rng):
    """Return a number in [0, 1) for every row, equal for equal rows, and how many differ.

    Rows are ordered along a random direction; the g-th distinct value gets the fraction of
    g times the golden ratio, so that every interval of places is a stratified sample. Of more
    than a million rows each gets a random place, and counts as different from the others.
    """
    if len(data) > _SORTED_ROWS:
        return rng.random(len(data), dtype=np.float32), len(data)
    n_features = data.rows.shape[1]
    direction = rng.standard_normal(n_features + data.targets.shape[1])
    score = np.empty(len(data))
    size = min(_ROWS, max(64, _NUMBERS // n_features))
    for begin in range(0, len(data), size):
        block = data.take(slice(begin, begin + size))
        score[begin : begin + size] = (
            block.rows.astype(np.float64) @ direction[:n_features]
            + block.targets.astype(np.float64) @ direction[n_features:]
        ) / np.sqrt(block.weights)
    order = np.argsort(score, kind="stable")
    spread = 1e-9 * (1.0 + np.abs(score).max())
    distinct = np.concatenate([[0], np.cumsum(np.diff(score[order]) > spread)])
    place = np.empty(len(score))
    place[order] = ((distinct + 1) * _GOLDEN) % 1.0
    return place, int(distinct[-1]) + 1
