"""Check what a user passes to ``fit``, and say what was got and what was expected."""

from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ._compat import check_sample_weight
from ._sparse import canonical
from ._tables import Samples, by_value, is_mapped, row_blocks


def validate_inputs(estimator, X):
    """Return the inputs of a prediction: an array, or a CSR array or matrix."""
    _refuse_times(X, "X")
    with _quiet_sums():
        X = validate_data(estimator, X, reset=False, dtype=_accepted_dtypes(X), accept_sparse="csr")
    return canonical(X) if issparse(X) else X


def validate_training_data(estimator, X, y, sample_weight, groups=None, *, reset=True):
    """Return the :class:`Samples`, their y in two dimensions, and whether it was in one.

    Rows of weight zero are dropped, so that they are exactly as good as absent. X is an array or
    CSR with sorted indices; a memory-mapped array is not copied, and without its rows of weight
    zero is a SelectedRows.
    """
    _refuse_times(X, "X")
    with _quiet_sums():
        X, y = validate_data(
            estimator,
            X,
            y,
            reset=reset,
            dtype=_accepted_dtypes(X),
            accept_sparse="csr",
            order=None,
            multi_output=True,
            y_numeric=True,
        )
    X = canonical(X) if issparse(X) else X
    y = _float64_targets(y)
    flat = y.ndim == 1
    y = y.reshape(len(y), -1)
    weight = np.broadcast_to(1.0, len(y))
    if sample_weight is not None:
        weight = check_weights(sample_weight, X)
    if groups is not None:
        groups = check_labels(groups, len(y))
    samples = Samples(X, y, weight, groups)
    if not weight.all():
        samples = samples.selected(np.flatnonzero(weight))
    if groups is not None:
        samples = samples._replace(groups=numbered(samples.groups))
    return samples, flat


def check_labels(groups, n_samples):
    """Return the labels of groups in an array; raise ValueError unless each row has one."""
    labels = np.asarray(groups)
    # By what the container says first: in an array its missing values may look like others.
    missing: Any = False
    if isinstance(groups, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(groups)
    elif hasattr(groups, "isna") and getattr(groups, "nlevels", 1) == 1:
        missing = groups.isna()
    if labels.shape != (n_samples,):
        raise ValueError(
            f"`groups` has shape {labels.shape}; expected ({n_samples},), one label for each row."
        )
    missing = np.array(np.broadcast_to(missing, labels.shape), dtype=bool)
    # Of a list, too, the array may be one of strings, with "nan" among them.
    given = labels if hasattr(groups, "dtype") else np.asarray(groups, dtype=object)
    if given.dtype.kind in "OT":  # objects, and strings with a missing value of their own
        missing |= [_is_missing(label) for label in given.astype(object)]
    else:
        missing |= given != given  # as numbers and times that are none
    n_missing = int(np.count_nonzero(missing))
    if n_missing:
        raise ValueError(f"`groups` has {n_missing} missing labels; expected one for each row.")
    return labels


def _is_missing(label):
    if isinstance(label, tuple):  # of an index of several levels
        return any(map(_is_missing, label))
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA does not say
        return True


def numbered(labels, rows="rows of positive weight"):
    """Return one integer for each label; raise ValueError unless there are two or more groups."""
    try:
        distinct, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            "`groups` holds labels of several types, which cannot be compared; expected numbers "
            "only, or strings only."
        ) from error
    if len(distinct) < 2:
        raise ValueError(
            f"`groups` has one label only, {distinct[0]}, among the {rows}; "
            "expected two groups or more, as some are held out. Leave `groups` out."
        )
    return codes


def _float64_targets(y):
    if issparse(y):
        raise TypeError(
            f"Sparse y is not supported; got a {type(y).__name__} of shape {y.shape}, expected a "
            "dense array. Use y.toarray()."
        )
    _refuse_times(y, "y")
    with np.errstate(over="ignore"):  # of long doubles
        targets = np.asarray(y, dtype=np.float64)
    if not np.isfinite(targets).all():
        raise ValueError(
            "Input y contains NaN, infinity or a value too large for dtype('float64')."
        )
    return targets


def _refuse_times(values, name):
    """Raise ValueError for dates, which would be taken for numbers of nanoseconds, or of days."""
    # Those of a frame are many, of pandas and of polars.
    dtypes = getattr(values, "dtypes", None) if hasattr(values, "columns") else None
    for dtype in [getattr(values, "dtype", None)] if dtypes is None else [*dtypes]:
        if getattr(dtype, "kind", "") in ("m", "M") or getattr(dtype, "is_temporal", bool)():
            raise ValueError(
                f"{name} holds times: got dtype {dtype}; expected numbers, such as days since a "
                "date."
            )


def _accepted_dtypes(X):
    # Another dtype would be converted, and with it a memory-mapped array copied, all at once.
    if is_mapped(X) and X.dtype.kind in "biuf" and X.dtype.itemsize <= 8:
        return None
    return (np.float64, np.float32)


def check_rows_of_the_paper(X):
    """Raise ValueError for raw inputs whose squares leave the range of float32."""
    blocks = [slice(None)] if issparse(X) else row_blocks(*X.shape)
    size = max(float(np.max(np.abs(X[block]))) for block in blocks)
    if size > 1e12:
        raise ValueError(
            "train_output=False takes inputs as they are; expected rows of about unit norm, got "
            f"an entry of size {size:.3g}. Normalise the rows, for example by Normalizer()."
        )


def check_weights(sample_weight, X):
    """Return weights in float64; raise ValueError for negative or all-zero ones."""
    _refuse_times(sample_weight, "sample_weight")
    with np.errstate(over="ignore"):  # of long doubles
        weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    # scikit-learn does not look at a scalar, nor with assume_finite=True.
    if not np.isfinite(weight).all():
        raise ValueError("Input sample_weight contains NaN or infinity.")
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in data passed to `sample_weight`: the smallest is {weight.min()}; "
            "expected weights >= 0."
        )
    if not weight.any():
        raise ValueError(
            "`sample_weight` has only zeros: there is nothing to fit; expected at least one "
            "positive weight."
        )
    return weight


def validate_validation_data(estimator, X_val, y_val, sample_weight_val, n_outputs, loss_function):
    """Return the :class:`Samples` checked against the training data, or None if not given."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("`sample_weight_val` was given without `X_val` and `y_val`.")
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"`X_val` and `y_val` must be given together; `{missing}` is None.")
    # Errors call them X and y, as those that the estimator is trained on are called.
    with naming("`X_val`, `y_val` or `sample_weight_val`"):
        samples, _ = validate_training_data(estimator, X_val, y_val, sample_weight_val, reset=False)
    found = samples.y.shape[1]
    if found != n_outputs:
        raise ValueError(f"`y_val` has {found} outputs; expected {n_outputs} as in `y`.")
    with naming("`y_val`"):
        loss_function.check_targets(samples.y)
    return samples._replace(weight=normalised_weights(samples.weight)[0])


@contextmanager
def naming(arguments):
    """Say which arguments an error is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{arguments}: {error}") from error


def normalised_weights(weight, largest=None):
    """Return weights of at most 4 and the power of 4 that they were divided by.

    Only proportions of weights matter, apart from the penalty, and their squares and roots must not
    leave the range of float32. A power of 4 changes no bit of a weight nor of its root. Weights
    below 1e-20 of the largest, beyond the precision of any sum, are raised to it. ``largest`` is
    the largest weight of a table of which these are a part.
    """
    largest = float(weight.max()) if largest is None else largest
    unit = 2.0 ** (2 * ((int(np.frexp(largest)[1]) - 1) // 2))
    least = 1e-20 * (largest / unit)
    return by_value(lambda values: np.maximum(values / unit, least), weight), unit


def _quiet_sums():
    # scikit-learn looks for NaN by a sum first, which may overflow both ways.
    return np.errstate(over="ignore", invalid="ignore")


@contextmanager
def unchanged_on_error(estimator):
    """Give an estimator its former attributes back if anything is raised, an interrupt included."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
