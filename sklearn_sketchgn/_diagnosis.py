"""What is worth knowing of a fit: dead neurons and values far out, and how it ended."""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse

from . import _sparse
from ._encoding import MOST_COLUMNS, can_be_encoded
from ._forward import last_hidden, network_blocks
from ._tables import row_blocks

# Deviations from the mean beyond which a value is reported. Among n rows none is farther than
# sqrt(n), so where these are enough to tell, one that is nearly so far is reported, too: it alone
# makes four fifths of the variance.
_FAR, _OF_FARTHEST, _ENOUGH_ROWS = 100, 0.9, 50


def diagnose(X, scaling, coefs, intercepts, names=None, *, may_be_encoded=False):
    """Return the number of dead neurons, and sentences about what may hurt a fit.

    No warnings: an estimator that is fitted as well as the table allows has done nothing wrong.

    Parameters
    ----------
    X : ndarray, CSR array or matrix, or SelectedRows of shape (n_samples, n_features)
        Training inputs.
    scaling : Scaling
        Means and deviations by which they were standardised.
    coefs, intercepts : list of ndarray
        Weights and biases for raw inputs.
    names : array-like of str or None, default=None
        Names of the features.
    may_be_encoded : bool, default=False
        Whether ramps were to be taken if they pay.

    Returns
    -------
    tuple of (int, list of str)
        Neurons that no row activates, and the sentences.
    """
    n_dead, width = count_dead(X, coefs, intercepts), len(intercepts[-2])
    found = []
    if 2 * n_dead >= width:
        found.append(
            f"{n_dead} of {width} neurons are active on no training row; a smaller alpha or width "
            "may do as well or better"
        )
    if may_be_encoded and not can_be_encoded(X):
        why = (
            "X is sparse: pass X.toarray(), or set OneHotEncoder(sparse_output=False)"
            if issparse(X)
            else f"X has {X.shape[1]} columns, and may have {MOST_COLUMNS}"
        )
        found.append(f"encoding='auto' went without ramps, as {why}")
    farthest = largest_deviations(X, scaling)
    far = _FAR
    if X.shape[0] >= _ENOUGH_ROWS:
        far = min(far, _OF_FARTHEST * X.shape[0] ** 0.5)
    # A rare category is none of these: its unit is half of the distance of its two values.
    for column in np.flatnonzero(farthest > far):
        name = column if names is None else f"{column} ({names[column]!r})"
        found.append(
            f"column {name} has a value {farthest[column]:.0f} standard deviations from its mean, "
            "which hides the differences between the others; consider its logarithm, "
            "PowerTransformer or QuantileTransformer"
        )
    return n_dead, found


def count_dead(X, coefs, intercepts):
    """Return how many neurons of the last hidden layer are zero on all rows."""
    coefs, intercepts = coefs[:-1], intercepts[:-1]
    for block in network_blocks(X, coefs):
        idle = ~(last_hidden(X[block], coefs, intercepts) > 0).any(axis=0)
        # Those that are left: the others have been seen active.
        coefs = [*coefs[:-1], coefs[-1][:, idle]]
        intercepts = [*intercepts[:-1], intercepts[-1][idle]]
        if not idle.any():
            break
    return len(intercepts[-1])


def largest_deviations(X, scaling):
    """Return the largest distance from the mean of every column, in standard deviations."""
    if issparse(X):
        return _sparse.largest_deviations(X, scaling.x_mean, scaling.x_inverse)
    scaling, farthest = replace(scaling, ramps=None), np.zeros(X.shape[1])
    for block in row_blocks(*X.shape):
        part = X[block]
        rows = scaling.scaled_rows(part, np.ones(len(part)), np.float64, ones=0)
        np.maximum(farthest, np.abs(rows).max(axis=0), out=farthest)
    return farthest


def troubles(stop_reason, n_steps, events, tol):
    """Return what a user should know about how a fit ended, as clauses with what to turn.

    Parameters
    ----------
    stop_reason : str
        A key of ``STOP_REASONS``.
    n_steps : int
        Steps of the first member.
    events : list of str
        One entry a step, of all members.
    tol : float
        The tolerance that was asked for.
    """
    found = []
    if stop_reason in _TROUBLES:
        found.append(_TROUBLES[stop_reason].format(n=n_steps, tol=tol))
    # At an optimum no step helps, and a block of a stream may be a single row without any effect.
    expected = stop_reason in ("round-off", "block")
    if events and not expected and all(_NOT_TAKEN & _marks(event) for event in events):
        found.append(
            f"none of its {n_steps} steps could be taken: `solver` gave values that are not finite "
            'or raise the objective; try solver="direct" or a larger `damping`'
        )
    truncated = sum("truncated" in _marks(event) for event in events)
    if truncated:
        found.append(
            f"{truncated} of {len(events)} linear systems were singular to working "
            "precision and solved by eigenvalues; increase `alpha` or `damping`"
        )
    unfinished = sum("not converged" in _marks(event) for event in events)
    if unfinished:
        found.append(
            f"`solver` did not converge in {unfinished} of {len(events)} steps; increase "
            "`damping`, or what its iterations depend on: of solver=CG(...), `max_iter` or "
            "`oversampling`"
        )
    return found


def _marks(event):
    """Return the marks of a step's event, or of those of all groups, without what solvers say."""
    parts = [part.partition(": ")[0] for part in event.split("; ")]
    return {mark for part in parts for mark in part.split(", ")}


_NOT_TAKEN = {"step skipped", "rejected"}


_TROUBLES = {
    "interrupted": "it was interrupted, and the best network so far is kept",
    "memory": (
        "a step needed more memory than there was, and the best network so far is kept; "
        "lower `batch_size` or `width`, or set `max_iter` below 10"
    ),
    "diverged": "it diverged and ended before the step that did; increase `damping`",
    "worse": (
        "its steps raised the error on the training rows, so that the mean of the targets "
        "is predicted; increase `damping`, `batch_size` or `max_iter`"
    ),
    "no step helped": (
        "no step lowered the error on the held-out rows, so that the mean of the targets is "
        "predicted; if there is something to learn, look whether `X_val` and `y_val` have gone "
        "through the same steps as `X` and `y`"
    ),
    "max_iter": "max_iter={n} was reached before tol={tol:g}; increase one of them",
}
