"""alpha="auto": train in cycles, each under a penalty that rows unseen in training confirm.

The step lengths of a cycle fall from their full value to a tenth of it, so that the judges see a
network about as good as its penalty lets it become. The next cycle begins again with full steps.
"""

from math import isfinite

from ._batch_phase import STEP_LENGTH, run_groups
from ._network import initialise
from ._penalty import PenaltySearch
from ._plan import CYCLE_STEPS
from ._training import AUTO_DAMPING

# Between cycles alpha moves by this factor.
_FACTOR = 4.0

# A cycle must lower the judges' mean squared error by this share to be kept.
_WORTH = 0.01

# The judges must find the network better than the first one, which predicts the mean, by this many
# times the squared error of one of them. On pure noise they rarely do; with 280 rows and a signal
# of 5 % of the variance, half of the time (measured while building; 2 instead of 0.5 lost weak
# signals in tables of 20 to 60 rows).
_MORE_THAN_CHANCE = 0.5

# The share of its first length that the last step of a cycle has.
_LAST_SHARE = 0.1

# Neurons, and cycles, of a network that is trained for its penalty only.
_PROBE_WIDTH, _PROBE_CYCLES = 256, 3


def search_penalty(
    search, *, batch_size, n_cycles, cycle_steps, after_epoch=None, follow_noise=False
):
    """Train the groups in cycles, and go on to smaller penalties while the judges gain.

    In the first cycle the search moves alpha. Every later one starts from the best so far, with a
    quarter or four times of its alpha: in the direction that the judges ask for at the end of the
    first. So a smooth table is trained for as long as it improves, and a noisy one ends after two
    cycles. At the end of the search columns that have proved to matter less are penalised more.

    Parameters
    ----------
    search : PenaltySearch
        Holds the groups and their rows, and moves alpha in the first cycle. Updated in place: the
        networks and alpha become those at the end of the best cycle, and the penalty of columns
        what suits these networks.
    batch_size, n_cycles, cycle_steps : int
        Upper bounds of the rows of a batch and of the cycles, and the steps of one.
    after_epoch : callable or None, default=None
        See :func:`run_groups`.
    follow_noise : bool, default=False
        Whether the damping falls, from the second cycle on, where the judges see little error.

    Returns
    -------
    bool
        Whether ``after_epoch`` ended it. ``search.learnt`` tells whether the judges gained more
        over the first network than chance gives them.
    """

    def run(start, factor, *, follow=False):
        search.state = start
        search.alpha *= factor
        if follow_noise and not follow:
            search.suit_the_noise(AUTO_DAMPING)
        stopped = run_groups(
            search.trainings,
            [group.kept for group in search.groups],
            n_steps=cycle_steps,
            batch_size=batch_size,
            last_length=_LAST_SHARE * STEP_LENGTH,
            after_epoch=after_epoch,
            search=search if follow else None,
        )
        return stopped, search.error(), search.state

    first = search.error()
    stopped, least, best = run(search.state, 1.0, follow=True)
    n_left = n_cycles - 1 if isfinite(least) and least > 0 else 0
    factor = _FACTOR if search.asks_for_more() else 1 / _FACTOR
    while n_left and not stopped:
        n_left -= 1
        stopped, error, end = run(best, factor)
        if not error < (1 - _WORTH) * least:
            break
        least, best = error, end
    if not stopped:
        search.state = best
    one_judge = search.judge_weight / max(search.weight, search.judge_weight)
    learnt = least <= (1 - _MORE_THAN_CHANCE * one_judge) * first
    search.learnt = learnt and search.weight > 0
    if learnt and not stopped and first > 0:  # else nobody judges
        search.suit_the_columns()
    return stopped


def probe(training, data, *, batch_size, n_cycles, held_out=None):
    """Return the :class:`PenaltySearch` of another network of at most 256 neurons, after it ended.

    For fits that have no batches to search along, and to compare what the judges say of several.

    Parameters
    ----------
    training : Training
        The fit at its start: supplies the solver, sketch, generator, damping and momentum, and
        tells how many outputs there are and whether they are trained.
    data : TrainingData
        The training rows.
    batch_size, n_cycles : int
        Rows of a batch, and most cycles.
    held_out : tuple of (Places, Generator) or None
        See :class:`PenaltySearch`.
    """
    network = training.network
    width = min(len(network.hidden), _PROBE_WIDTH)
    rng = training.rng.spawn(1)[0]
    shape = (width, data.rows.shape[1], network.output.shape[1])
    start = initialise(*shape, rng, train_output=network.train_output)
    fresh = training.fresh(start.astype(data.rows.dtype), 0.0)
    fresh.rng = rng
    search = PenaltySearch(fresh, data, CYCLE_STEPS, held_out)
    search_penalty(
        search,
        batch_size=batch_size,
        n_cycles=n_cycles,
        cycle_steps=CYCLE_STEPS,
    )
    return search


def choose_penalty(training, data, *, batch_size):
    """Return what a :func:`probe` of up to three cycles found.

    Returns
    -------
    alpha : float
        In the units of the user's weights.
    column_penalty : ndarray of shape (n_features + 1,) or None
        What it is multiplied by for the hidden weights of every column of the rows; None is 1.
    learnt : bool
        Whether rows have chosen both, and not by chance.
    """
    search = probe(training, data, batch_size=batch_size, n_cycles=_PROBE_CYCLES)
    return search.alpha, search.trainings[0].column_penalty, search.learnt
