"""Train one network: resolve what is "auto", run the two phases, watch the validation loss."""

from math import ceil, inf

from ._all_rows_phase import run_all_rows
from ._batch_phase import run_groups
from ._cycles import choose_penalty, search_penalty
from ._groups import gather
from ._metric import damping_metric
from ._penalty import PenaltySearch
from ._penalty_in_effect import penalty_factor
from ._plan import auto_batch_size, plan_steps
from ._training import AUTO_DAMPING, Outcome, Training
from ._watch import Watch

# How many times the error of the mean is too far away to go on from.
_OUT_OF_REACH = 1e8


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
    training = _first_training(settings, data, network, scaling, rng, resume)
    searching = settings.alpha is None and resume is None and settings.batch_size is not None
    plan = plan_steps(settings, len(data), network, searching=searching, all_rows=data.held)
    if whole is not None:
        plan = whole.plan(plan, settings)
    search = PenaltySearch(training, data, plan.cycle_steps) if searching else None
    watch = Watch(settings, data, training, validation, plan, observers)
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
    reason = _judged(reason, watch, data, resume)
    n_groups = 1 if search is None else len(search.groups)
    return Outcome(training, reason, watch.losses, watch.validation_losses, watch.steps, n_groups)


def _judged(reason, watch, data, resume):
    """Keep the best network, or the first one where no better is known; return what ended the fit.

    ``reason`` is what ended its steps.
    """
    training, validation = watch.training, watch.validation
    useless = resume is None and watch.no_step_helped(data)
    got_worse = useless and watch.has_got_worse(data)
    training.network = watch.best_network()
    judged = validation is None and resume is None
    exact = judged and watch.first_is_exact(data)
    # What goes on may err more than the mean for now.
    times = _OUT_OF_REACH if watch.settings.to_be_continued else 1.0
    worse = judged and not exact and watch.has_got_worse(data, times)
    # Of a constant target the mean is all there is to learn, and nothing went wrong.
    if worse or (exact and not watch.settings.to_be_continued):
        training.network, training.previous_step = watch.first, None
        # The last loss is that of the network that is kept.
        watch.losses.append(watch.losses[0])
        watch.steps.append(watch.steps[-1])
    if reason in ("interrupted", "memory", "callback"):
        return reason
    if worse or got_worse:
        return "worse"
    return "no step helped" if useless else reason


def _run_phases(training, data, plan, watch, search, whole):
    """Search for alpha, train on batches, then on all rows; return which test ended it."""
    settings = watch.settings
    groups = [training] if search is None else search.trainings

    def after_epoch(loss):
        gather(training, groups)
        return watch.note(loss)

    if plan.n_cycles:
        if _search(training, plan, watch, search, after_epoch):
            return watch.why_stopped
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
    if plan.n_cycles and plan.n_batches > 1:
        # The judges saw what batches make of alpha, which steps on all rows would undo.
        training.in_effect = penalty_factor(training, rows)
    reason = run_all_rows(
        training, rows, n_steps=plan.all_steps, tol=settings.tol, after_step=watch.note
    )
    if reason == "early stopping":
        return watch.why_stopped
    # With batches a number of steps is the whole plan, and reaching it is no trouble.
    return "schedule" if reason == "max_iter" and settings.batch_size is not None else reason


def _search(training, plan, watch, search, after_epoch):
    """Search for alpha and set what the steps after it take over; return whether it was ended."""
    start, noise = search.state, watch.settings.damping is None
    stopped = search_penalty(
        search,
        batch_size=ceil(max(len(group.kept) for group in search.groups) / plan.n_batches),
        n_cycles=plan.n_cycles,
        cycle_steps=plan.cycle_steps,
        after_epoch=after_epoch,
        follow_noise=noise,
    )
    if stopped:
        return True
    training.alpha_is_chosen = search.learnt
    search.suit_the_mean()
    if noise:
        # The mean of several groups is less noisy than each, and all rows are not noisy.
        noisy = len(search.groups) == 1 and plan.n_batches > 1
        search.suit_the_noise(inf if noisy else AUTO_DAMPING)
    gather(training, search.trainings)
    if training.network.train_output and search.weight and not search.learnt:
        # The mean is then the best that can be told from the table.
        search.state, search.alpha = start, inf  # its bound
        gather(training, search.trainings)
    return False


def _memory_advice(settings, data, network):
    rows = min(len(data), settings.batch_size or len(data))
    instead = "pass" if settings.batch_size is None else "lower"
    return (
        f"There is not enough memory for a step of {network.n_parameters} parameters on {rows} "
        f"rows; lower `width`, or {instead} `batch_size`."
    )


def new_training(settings, data, network, scaling, rng):
    """Return the :class:`Training` of a network that has taken no step; see :func:`train`."""
    damping = AUTO_DAMPING if settings.damping is None else settings.damping
    return Training(
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


def _first_training(settings, data, network, scaling, rng, resume):
    training = new_training(settings, data, network, scaling, rng)
    if resume is not None:
        if settings.damping == resume.first_damping:
            training.damping, training.growth = resume.damping, resume.growth
        training.previous_step = resume.previous_step
        training.loss_function = resume.loss_function
    known = resume is not None and resume.alpha_is_chosen
    if settings.alpha is None and known:
        training.alpha, training.column_penalty = resume.alpha, resume.column_penalty
        training.alpha_is_chosen = True
    elif settings.alpha is None and (resume is not None or settings.batch_size is None):
        # What goes on, or has no batches, cannot be searched along.
        size = auto_batch_size(data.targets.shape[1])
        chosen = choose_penalty(training, data, batch_size=size)
        training.alpha, training.column_penalty, training.alpha_is_chosen = chosen
    return training
