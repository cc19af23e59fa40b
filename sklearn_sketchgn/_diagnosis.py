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

# A few values beyond half of the largest distance are reported by the deviation of the others if
# they are at most this share of the rows, as codes for missing values are; in tables of so many
# numbers, as this is one more pass.
_FEW, _MOST_NUMBERS = 0.05, 2**26


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
    if n_dead == width:
        found.append(
            "no neuron is active on any training row, so that all are predicted alike: the inputs "
            "were found to tell nothing of the target, or alpha is too large"
        )
    elif 2 * n_dead >= width:
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
    named = [str(j) if names is None else f"{j} ({names[j]!r})" for j in range(X.shape[1])]
    for column in np.flatnonzero(farthest > far):
        found.append(
            f"column {named[column]} has a value {farthest[column]:.0f} standard deviations from "
            "its mean, which hides the differences between the others; consider its logarithm, "
            "PowerTransformer or QuantileTransformer"
        )
    for column, count, distance in few_far_values(X, scaling, farthest):
        if farthest[column] <= far:
            values = f"{count} values that are" if count > 1 else "a value that is"
            found.append(
                f"column {named[column]} has {values} {distance:.3g} standard deviations of the "
                "others away from these, whose differences are hidden by it; a code for a missing "
                "value is to be replaced by NaN, and imputed"
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
    farthest = np.zeros(X.shape[1])
    for _, deviations in _with_deviations(X, scaling):
        np.maximum(farthest, deviations.max(axis=0), out=farthest)
    return farthest


def _with_deviations(X, scaling):
    """Yield blocks of raw rows, and their distances from the means in standard deviations."""
    scaling = replace(scaling, ramps=None)
    for block in row_blocks(*X.shape):
        part = X[block]
        rows = scaling.scaled_rows(part, np.ones(len(part)), np.float64, ones=0)
        yield part, np.abs(rows, out=rows)


def few_far_values(X, scaling, farthest):
    """Return (column, number of values, distance) where a few values are far from all others.

    Several equal ones are never many deviations from the mean, as the deviation is theirs: the
    distance is in deviations of the others (a lower bound, by up to a tenth).
    """
    n_samples = X.shape[0]
    if issparse(X) or n_samples * X.shape[1] > _MOST_NUMBERS or n_samples < _ENOUGH_ROWS:
        return []
    count, mean, squares = (np.zeros(X.shape[1]) for _ in range(3))
    # In raw units: beside a code of 1e20 the others are all alike when they are standardised.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for others, is_far in _without_far(X, scaling, farthest):
            count += np.count_nonzero(is_far, axis=0)
            mean += others.sum(axis=0)
        mean /= n_samples - count
        for others, is_far in _without_far(X, scaling, farthest):
            others -= mean
            others[is_far] = 0.0
            squares += np.einsum("nd,nd->d", others, others)
        away = farthest / scaling.x_inverse - np.abs(scaling.x_mean - mean)
        distance = away / np.sqrt(squares / (n_samples - count))
    few = (count > 0) & (count <= _FEW * n_samples)
    # Where all others are equal, nothing is hidden; NaN is of sums that overflow.
    found = np.flatnonzero(few & np.isfinite(distance) & (distance > _FAR))
    return [(j, int(count[j]), distance[j]) for j in found]


def _without_far(X, scaling, farthest):
    """Yield raw rows with 0 for values beyond half of the farthest, and where these are."""
    for part, deviations in _with_deviations(X, scaling):
        is_far, others = deviations > 0.5 * farthest, np.array(part, dtype=np.float64)
        others[is_far] = 0.0
        yield others, is_far


def troubles(stop_reason, n_steps, marks, tol):
    """Return what a user should know about how a fit ended, as clauses with what to turn.

    Parameters
    ----------
    stop_reason : str
        A key of ``STOP_REASONS``.
    n_steps : int
        Steps of the first member.
    marks : list of set of str
        What became of each step, of all members.
    tol : float
        The tolerance that was asked for.
    """
    found = []
    if stop_reason in _TROUBLES:
        found.append(_TROUBLES[stop_reason].format(n=n_steps, tol=tol))
    # At an optimum no step helps, and a block of a stream may be a single row without any effect.
    expected = stop_reason in ("round-off", "block")
    if marks and not expected and all(_NOT_TAKEN & of_step for of_step in marks):
        found.append(
            f"none of its {n_steps} steps could be taken: `solver` gave values that are not finite "
            'or raise the objective; try solver="direct" or a larger `damping`'
        )
    truncated = sum("truncated" in of_step for of_step in marks)
    if truncated:
        found.append(
            f"{truncated} of {len(marks)} linear systems were singular to working "
            "precision and solved by eigenvalues; increase `alpha` or `damping`"
        )
    unfinished = sum("not converged" in of_step for of_step in marks)
    if unfinished:
        found.append(
            f"`solver` did not converge in {unfinished} of {len(marks)} steps; increase "
            "`damping`, or what its iterations depend on: of solver=CG(...), `max_iter` or "
            "`oversampling`"
        )
    return found


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
