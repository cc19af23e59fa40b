"""How many steps of which kind a fit takes, and what they cost."""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ._elimination import dual_operations
from ._elimination import operations as eliminated_operations

#: Steps of the batch phase under a given penalty.
BATCH_STEPS = 1500

#: Where alpha is searched for: the steps of a cycle of the search, and the most cycles
#: if ``max_iter`` is "auto".
CYCLE_STEPS, MOST_CYCLES = 300, 10

#: Then steps on batches of all rows: so many epochs, shared among the groups, but at least and at
#: most so many steps.
SETTLING_EPOCHS, SETTLING_STEPS, MOST_SETTLING_STEPS = 60, 600, 2400

#: Groups are added until so many rows judge the penalty, each by this share of the rows: at most so
#: many groups, of at least so many neurons.
JUDGES, HELD_OUT = 2048, 0.25
_MOST_GROUPS, _FEWEST_NEURONS = 4, 16

# Rows of a batch, at least and at most.
_FEWEST_ROWS, _MOST_ROWS = 64, 256

#: Steps on all rows after batches, and without them.
FINAL_STEPS, ADAPTIVE_STEPS = 10, 200

# With a numeric ``max_iter``: the share of the steps on batches that the search may take, in at
# least so many cycles.
_SEARCH_SHARE, _FEWEST_CYCLES = 0.6, 3


@dataclass
class Plan:
    """The most steps that a fit may take, and their costs in arbitrary units.

    Attributes
    ----------
    n_cycles, cycle_steps : int
        Cycles of the search for alpha, on batches of the rows that do not judge; 0 cycles where
        alpha is given.
    batch_steps, all_steps : int
        Steps on batches of all rows, and on all rows at once.
    n_batches : int
        Batches of an epoch.
    batch_cost, all_cost : float
        Cost of one step.
    search_steps : int
        Steps of all cycles, at most, and after the search as many as it took.
    """

    n_cycles: int
    cycle_steps: int
    batch_steps: int
    all_steps: int
    n_batches: int
    batch_cost: float
    all_cost: float
    search_steps: int = 0

    @property
    def steps_in_batches(self):
        """Steps of the search and of the batch phase."""
        return self.search_steps + self.batch_steps

    @property
    def n_notes(self):
        """Epochs and steps on all rows: how often observers are called after the first time."""
        searching = self.n_cycles * ceil(self.cycle_steps / self.n_batches)
        return searching + ceil(self.batch_steps / self.n_batches) + self.all_steps

    def steps_are_short(self, steps):
        """Return whether, after so many, patience makes sense: the loss rises with long steps."""
        return steps >= self.search_steps + self.batch_steps / 2

    def after_search(self, steps):
        """Return the plan when the search has ended after so many steps."""
        return replace(self, search_steps=steps)

    def share_done(self, steps):
        """Return the fraction of the work that so many steps are."""
        batches = min(steps, self.steps_in_batches)
        done = batches * self.batch_cost + (steps - batches) * self.all_cost
        whole = self.steps_in_batches * self.batch_cost + self.all_steps * self.all_cost
        return done / whole


def auto_batch_size(n_outputs, n_samples=0, n_groups=1, hidden=None):
    """Return the rows of a batch: 256 for one or two outputs, fewer for more (at least 64).

    Several groups take half as many, as the mean of their steps is less noisy than each of them;
    but a table that fits in one batch stays in one. Where the output layer can be eliminated,
    ``hidden`` is the shape of the hidden layer (of a group), and many outputs take 256 rows if
    they cost no more so.
    """
    size = int(np.clip(512 // n_outputs, _FEWEST_ROWS, _MOST_ROWS))
    in_groups = max(_FEWEST_ROWS, size // 2) if n_groups > 1 else size
    if size < _MOST_ROWS and hidden is not None:
        width, n_features = hidden
        eliminated = sum(eliminated_operations(_MOST_ROWS, n_features, width))
        if eliminated <= dual_operations(n_outputs * in_groups, width):
            return _MOST_ROWS
    return in_groups if n_samples > size else size


def count_groups(n_samples, width, train_output):
    """Return in how many groups of neurons a network is trained while alpha is searched for."""
    if not train_output:
        return 1
    wanted = ceil(JUDGES / (HELD_OUT * n_samples))
    return max(1, min(wanted, _MOST_GROUPS, width // _FEWEST_NEURONS))


def plan_steps(settings, n_samples, network, *, searching, all_rows=True):
    """Return the :class:`Plan` of a fit.

    Without ``all_rows``, because they are too many to hold, the phase on all rows is left out.

    The phase on all rows has at most ``FINAL_STEPS`` steps, or a tenth of a numeric ``max_iter``,
    and fewer or none where they would cost more than half of the steps on batches, or more than
    these with a number: on large tables it changes the error little (benchmarks/accuracy.py:
    kin8nm, power and protein by less than 2 %).
    """
    n_batches = ceil(n_samples / (settings.batch_size or n_samples))
    alike = settings.loss_function.outputs_alike
    batch_cost = _operations(ceil(n_samples / n_batches), network, alike)
    all_cost = _operations(n_samples, network, alike)
    n_cycles, cycle_steps, batch_steps = 0, 0, 0
    if settings.batch_size is None:
        all_steps = settings.max_iter or ADAPTIVE_STEPS
    elif settings.max_iter is None:
        if searching:
            n_cycles, cycle_steps = MOST_CYCLES, CYCLE_STEPS
            n_groups = count_groups(n_samples, len(network.hidden), network.train_output)
            steps = SETTLING_EPOCHS * n_batches // n_groups
            batch_steps = min(max(steps, SETTLING_STEPS), MOST_SETTLING_STEPS)
        else:
            batch_steps = BATCH_STEPS
        batch_steps = max(1, round(batch_steps / n_batches)) * n_batches
        all_steps = int(min(FINAL_STEPS, 0.5 * BATCH_STEPS * batch_cost / all_cost)) * all_rows
    else:
        all_steps = settings.max_iter // 10 if all_rows else 0
        all_steps = int(min(all_steps, settings.max_iter * batch_cost / all_cost))
        batch_steps = settings.max_iter - all_steps
        if searching:
            n_cycles, cycle_steps = _cycles(batch_steps)
            batch_steps -= n_cycles * cycle_steps
    search_steps = n_cycles * cycle_steps
    return Plan(
        n_cycles,
        cycle_steps,
        batch_steps,
        all_steps,
        n_batches,
        batch_cost,
        all_cost,
        search_steps,
    )


def _cycles(batch_steps):
    """Return the most cycles of a search, and the steps of one, among so many steps."""
    most = int(_SEARCH_SHARE * batch_steps)
    steps = min(CYCLE_STEPS, most // _FEWEST_CYCLES)
    return (most // steps, steps) if steps else (0, 0)


def _operations(n_samples, network, alike):
    """Return the multiplications of a direct step on so many rows, to an order of magnitude."""
    width, n_features = network.hidden.shape
    n_outputs = network.output.shape[1]
    n_rows = n_samples * n_outputs
    if n_rows <= network.n_parameters:
        cost = n_rows**2 * (2 * width + n_features + n_rows / 3)
    else:
        cost = network.n_parameters**2 * (n_rows + network.n_parameters / 3)
    if n_outputs == 1 or not (alike and network.train_output):
        return cost
    return min(cost, sum(eliminated_operations(n_samples, n_features, width)))
