"""Steps on all rows with adaptive damping: the phase that every fit ends with."""

import numpy as np

from ._blas import norm

# Nielsen's growth factor after 20 rejections in a row; the damping has then grown by 2^210, and a
# step that is still not finite or not downhill will not become so.
_LARGEST_GROWTH = 2.0**20


def run_all_rows(training, data, *, n_steps, tol, after_step=None):
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
    after_step : callable or None, default=None
        Called after every accepted step with the loss; True ends the phase.

    Returns
    -------
    str
        Which test ended the phase, a key of ``STOP_REASONS``.
    """
    weight = data.weight
    problem, prepared = training.subproblem(data), None
    first_gradient = norm(problem.gradient())
    value, accepted = problem.value(), True
    for _ in range(n_steps):
        if accepted or isinstance(prepared, np.linalg.LinAlgError):
            prepared = training.prepare(problem, prepared)
        step, result = problem.solve(training.solver, prepared, training.ridge(weight))
        trial, trial_value = problem.trial(training.network, step, data)
        predicted = problem.predicted_decrease(step)
        gain = (value - trial_value) / predicted if predicted > 0 else -1.0
        if not training.adapt_damping:
            accepted = bool(np.isfinite(trial_value))
        else:
            accepted = bool(np.isfinite(trial_value) and gain > 0)
        flips = problem.flips(trial) if accepted else 0.0
        before, value = value, trial_value if accepted else value
        training.record_step(
            value,
            weight,
            result,
            step_norm=norm(step) if accepted else 0.0,
            batch_size=len(data),
            flips=flips,
            mark="" if accepted else "rejected",
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
        if after_step and after_step(training.mean_loss(problem.squares(), weight)):
            return "early stopping"
        if norm(problem.gradient()) <= tol * first_gradient:
            return "gradient"
        if 0 <= before - value <= tol * before:
            return "decrease"
    return "max_iter"


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
