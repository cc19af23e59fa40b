"""The attributes of an estimator that a fit sets, and the warning about how it ended."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._diagnosis import troubles
from ._members import combine
from ._training import STOP_REASONS


def set_attributes(model, settings, scaling, outcomes):
    """Set what the outcomes of the members tell, and return their folded networks.

    Raises
    ------
    ValueError
        If there are weights that are NaN.
    """
    first = outcomes[0]
    folded = [scaling.fold(outcome.training.network) for outcome in outcomes]
    if any(np.isnan(array).any() for member in folded for part in member for array in part):
        raise ValueError(
            "The fit gave weights that are NaN. Look for NaN or infinity in X and y, which are "
            "not looked for with assume_finite=True."
        )
    model.coefs_, model.intercepts_ = combine(folded)
    model._fitted_loss = first.training.loss_function.name
    model.history_ = first.training.history
    model.n_iter_ = len(model.history_["objective"])
    model.loss_curve_ = first.loss_curve
    model.validation_loss_curve_ = first.validation_loss_curve or None
    model.loss_steps_ = first.loss_steps
    model.loss_ = model.loss_curve_[-1]
    alphas = [outcome.training.alpha for outcome in outcomes]
    model.alpha_ = float(_geometric_mean(alphas))
    model.column_penalty_ = _geometric_mean(
        [outcome.training.factors_of_alpha()[: scaling.n_inputs] for outcome in outcomes]
    )
    model.damping_ = float(first.training.damping)
    model.batch_size_ = settings.batch_size
    model.solver_, model.sketch_ = settings.solver, settings.sketch
    model.stop_reason_ = STOP_REASONS[_reason_of_all(outcomes)]
    model.members_ = [
        {
            "history": outcome.training.history,
            "loss_curve": outcome.loss_curve,
            "validation_loss_curve": outcome.validation_loss_curve or None,
            "alpha": outcome.training.alpha,
        }
        for outcome in outcomes
    ]
    # Whatever warm_start is now: it may be set before the next fit, which then goes on without
    # the momentum, as this takes as much memory as the network.
    kept = [outcome.training.for_resume(momentum=model.warm_start) for outcome in outcomes]
    model._resume = (scaling, kept)
    return folded


def warn_of_troubles(model, outcomes):
    """Issue one warning for all that a user should know about how the fit ended."""
    reason = _reason_of_all(outcomes)
    # Rows that early stopping holds out are like the others: of noise the mean is the best.
    if reason == "no step helped" and model.early_stopping:
        reason = "schedule"
    marks = [found for outcome in outcomes for found in outcome.training.marks]
    found = troubles(reason, model.n_iter_, marks, model.tol)
    if found:
        message = f"{type(model).__name__}: about this fit: {'; '.join(found)}."
        # As of scikit-learn's estimators: how far up the user's line is depends on wrappers.
        warnings.warn(message, ConvergenceWarning, stacklevel=1)


def _reason_of_all(outcomes):
    """Return what ended the first member, or any other where that is worse news.

    That no step of one helped is no news where those of others did.
    """
    reasons = [outcome.stop_reason for outcome in outcomes]
    helped = [reason for reason in reasons if reason != "no step helped"] or reasons
    return next((r for r in ("interrupted", "memory", "diverged") if r in reasons), helped[0])


def _geometric_mean(values):
    if all(np.array_equal(value, values[0]) for value in values):
        return values[0]
    with np.errstate(divide="ignore"):  # of 0, which makes it 0
        return np.exp(np.mean(np.log(values), axis=0))
