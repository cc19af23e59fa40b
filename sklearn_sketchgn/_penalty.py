"""alpha="auto": adjust the penalty while the network trains, by rows that it has not seen.

The neurons are trained in groups, each without a quarter of the rows, which judge it, so that all
rows of a small table judge one penalty. Forward-mode differentiation of the training itself says
in which direction to move it, see ``_groups.py``.
"""

from math import ceil, exp, inf, isnan, log, nan

import numpy as np

from ._folds import are_different, even_places
from ._groups import Group, mean_network, split
from ._plan import HELD_OUT, JUDGES, count_groups
from ._relevance import column_penalty
from ._tables import subset

#: Where alpha starts, for rows of weight 1: high enough that the search comes down from a network
#: that is too smooth, which also trains better than a small penalty from the start.
START = 1.0

#: alpha stays between these, for rows of weight 1.
LOWEST, HIGHEST = 1e-6, 1e4

# Rows that judge all groups together, at least, where these are not half of the rows of each.
_FEWEST_JUDGES = 40

# With groups of the user's, the share of the weight that is left to train on, at least: a half, but
# for the rounding of two sums.
_LEAST_LEFT = 0.5 - 1e-9

# The mean of several groups overfits less than each of them, by what they differ in: the penalty
# that suits it is lower than what their judges ask for. So much falls log(alpha) where differences
# are all of the judges' error (measured while building; docs/design_notes.md).
_FALL = 4.0

# Damping per unit of weight and of the judges' mean squared error, and its least value (measured
# while building; docs/design_notes.md).
_DAMPING_OF_NOISE, _LEAST_DAMPING = 0.6, 0.001

# The largest change of log(alpha) at once.
_LARGEST_MOVE = log(10.0)

# Another penalty has to promise at least this correlation of the held-out residual with its
# change, that is a squared error lower by 0.5 %. Without it alpha falls to its bound wherever the
# penalty does not matter early, and cannot return when it does (kin8nm: 0.075, with it 0.072).
_LEAST_CORRELATION = 0.07

# Adjustments of alpha in one cycle, at most.
_ADJUSTMENTS = 16


class PenaltySearch:
    """The search for alpha along one batch phase.

    Equal rows are always held out together, so that integer weights have the effect of repeated
    rows while the table fits in one batch.

    Parameters
    ----------
    training : Training
        The fit at its start; its alpha is set to where the search begins.
    data : TrainingData
        All training rows.
    cycle_steps : int
        Steps during which alpha is adjusted up to sixteen times.
    held_out : tuple of (Places, Generator) or None
        By which rows are held out, and the judges of large groups are drawn; None draws all anew.

    Attributes
    ----------
    groups : list of Group
        Disjoint parts of the network's neurons, and the rows that each is trained on and judged by.
    row_weight : float
        Mean weight of a distinct row: the same for weights and for repeated rows.
    judge_weight : float
        Mean weight of what judges for itself: a distinct row, or all rows of a group of the user's.
    weight : float
        Sum of the weights of the rows that judge, each counted once.
    judged_weight : float
        The same with every row counted as often as it judges: groups may share some.
    interval : int
        Steps between two adjustments.
    learnt : bool
        Whether the judges have gained more than chance gives them; False before the search.
    """

    def __init__(self, training, data, cycle_steps, held_out=None):
        self._data, self.learnt = data, False
        self.interval = max(1, ceil(cycle_steps / _ADJUSTMENTS))
        places, rng = held_out or (even_places(data, training.rng, cells=True), training.rng)
        place, n_distinct, n_apart = places
        self.row_weight = data.weight / n_distinct
        self.judge_weight = data.weight / n_apart
        training.alpha = START * self.row_weight * training.weight_unit
        network = training.network
        n_groups = count_groups(len(data), len(network.hidden), network.train_output)
        parts = split(training, n_groups)
        share = min(max(HELD_OUT, _FEWEST_JUDGES / (len(parts) * n_distinct)), 0.5)
        share = min(share, JUDGES / len(data)) if data.groups is None else share
        self.groups, n_held_out = [], 0
        for i, part in enumerate(parts):
            start, grouped = i / len(parts), data.groups is not None
            judged = _held_out(place, data.weights, start, share, grouped=grouped)
            judges = np.flatnonzero(judged)
            n_held_out += len(judges)
            if data.groups is not None:
                judges = judges[subset(len(judges), JUDGES, rng)]
            self.groups.append(Group(part, data.kept(~judged), data.part(judges)))
        self.judged_weight = sum(group.judges.weight for group in self.groups)
        self.weight = min(self.judged_weight, data.weight)
        if n_held_out:
            # Of the rows of a group only some may judge, and they still count as one.
            self.judge_weight *= sum(len(group.judges) for group in self.groups) / n_held_out

    @property
    def trainings(self):
        """The fits of the groups; the whole fit itself where there is one group."""
        return [group.training for group in self.groups]

    @property
    def alpha(self):
        """The penalty of all groups, in the units of the user's weights."""
        return self.groups[0].training.alpha

    @alpha.setter
    def alpha(self, alpha):
        training = self.groups[0].training
        unit = self.row_weight * training.weight_unit
        least = training.loss_function.least_alpha(len(training.network.intercept))
        for group in self.groups:
            group.training.alpha = min(max(alpha, max(LOWEST, least) * unit), HIGHEST * unit)

    @property
    def state(self):
        """Networks, penalties and last steps of the groups, to come back to."""
        return [(t.network, t.alpha, t.previous_step) for t in self.trainings]

    @state.setter
    def state(self, state):
        for training, values in zip(self.trainings, state, strict=True):
            training.network, training.alpha, training.previous_step = values

    def suit_the_mean(self):
        """Lower alpha to what suits the mean of the groups."""
        self.alpha *= exp(-_FALL * self.share_of_differences())

    def share_of_differences(self):
        """Return the variance of the groups about their expectation, over the judges' error.

        What one group has in common with the others, noise in the targets above all, does not
        fall when they are averaged. A group differs from the mean of G - 1 others by the variance
        of G / (G - 1) of them.
        """
        n_groups = len(self.groups)
        if n_groups == 1:
            return 0.0
        error = self.error()
        if not 0 < error < inf:
            return 0.0
        networks = [training.network for training in self.trainings]
        difference = sum(
            group.difference(mean_network(networks[:i] + networks[i + 1 :]))
            for i, group in enumerate(self.groups)
        )
        share = (1 - 1 / n_groups) * difference / error
        return share if share < 1 else 1.0  # 1 if it is NaN, as where another group overflows

    def suit_the_columns(self):
        """Penalise the weights of columns that have proved to matter less than those of others.

        The rows of the paper's network are raw, and so are the sizes of its weights.
        """
        if not self.groups[0].training.network.train_output:
            return
        networks = [training.network for training in self.trainings]
        penalty = column_penalty(networks, self._data.varying_columns()[:-1])
        for training in self.trainings:
            training.column_penalty = penalty

    def suit_the_noise(self, most):
        """Set the damping to what the judges' error calls for, up to ``most`` per unit of weight.

        A batch's gradient is as noisy as the squared error that is left is large.
        """
        error = self.error()
        if not self.weight or isnan(error):
            return
        n_outputs = len(self.groups[0].training.network.intercept)
        # An error above 1 is none of noise: the network is worse than the mean of the targets.
        noise = min(error / (self.judged_weight * n_outputs), 1.0)
        for training in self.trainings:
            training.damping = min(max(_LEAST_DAMPING, _DAMPING_OF_NOISE * noise), most)

    def error(self):
        """Return the judges' sum of squared errors; 0 where no row judges."""
        return sum(group.error() for group in self.groups)

    def mean_loss(self):
        """Return the judges' mean loss, twice, by its true value; NaN where no row judges."""
        if not self.weight:
            return nan
        losses = (
            block.squared_loss(group.training.network, group.training.loss_function)
            for group in self.groups
            for block in group.judges.blocks()
        )
        return sum(losses) / self.judged_weight

    def adjust(self):
        """Move alpha by one Newton step on the squared error of the judges, in log(alpha).

        To first order their residual under exp(t) alpha is r + t J z; t minimises its square plus
        t^2 times their mean squared error, the information of one of them that alpha is right.
        """
        effects = self._effects()
        if effects is None:
            return
        size, effect, slope = effects
        if not np.isfinite(slope + effect + size):
            for group in self.groups:
                group.forget()
            return
        n_outputs = len(self.groups[0].training.network.intercept)
        one_judge = self.judge_weight / (self.weight * n_outputs)
        least = max(_LEAST_CORRELATION, one_judge**0.5) * (size * effect) ** 0.5
        slope = max(0.0, slope - least) + min(0.0, slope + least)
        curvature = effect + size * one_judge
        if slope and curvature > 0:
            move = min(max(-slope / curvature, -_LARGEST_MOVE), _LARGEST_MOVE)
            self.alpha *= exp(move)

    def asks_for_more(self):
        """Return whether the judges would err less under a larger alpha, to first order."""
        effects = self._effects()
        return effects is not None and effects[2] < 0

    def _effects(self):
        """Return ||r||^2, ||J z||^2 and r'J z of all judges, or None where nothing is known."""
        if not self.weight or any(group.sensitivity is None for group in self.groups):
            return None
        effects = [group.effect_of_alpha() for group in self.groups]
        return [float(sum(parts)) for parts in zip(*effects, strict=True)]


def _held_out(place, weights, start, share, *, grouped):
    """Return the mask of the rows whose places lie in an interval; none if too few would be left.

    A group may be as large as half of the table. Where one is in the interval another is tried.
    Neither test counts rows: repeated ones are to have the effect of weights.
    """
    for shift in (0.0, 0.25, 0.5, 0.75) if grouped else (0.0,):
        held_out = (place - start - shift) % 1.0 < share
        if grouped:
            enough = weights[~held_out].sum() >= _LEAST_LEFT * weights.sum()
        else:
            enough = are_different(place[~held_out])
        if enough and held_out.any():
            return held_out
    return np.zeros(len(place), dtype=bool)
