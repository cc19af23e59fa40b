"""Check what a user passes to ``fit``, and say what was got and what was expected."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import validate_data

from ._compat import check_sample_weight


def validate_training_data(estimator, X, y, sample_weight, *, reset=True):
    """Return (X, y of shape (n_samples, n_outputs), sample_weight, whether y was 1-D).

    Rows of weight zero are dropped, so that they are exactly as good as absent.
    """
    X, y = validate_data(
        estimator,
        X,
        y,
        reset=reset,
        dtype=(np.float64, np.float32),
        order=None,
        multi_output=True,
        y_numeric=True,
    )
    y = np.asarray(y, dtype=np.float64)
    flat = y.ndim == 1
    y = y.reshape(len(y), -1)
    weight = check_weights(sample_weight, X)
    used = weight > 0
    if not used.all():
        X, y, weight = X[used], y[used], weight[used]
    return X, y, weight, flat


def check_weights(sample_weight, X):
    """Return weights in float64; raise ValueError for negative or all-zero ones."""
    weight = check_sample_weight(sample_weight, X, dtype=np.float64)
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


def validate_validation_data(estimator, X_val, y_val, sample_weight_val, n_outputs):
    """Return (X_val, y_val, weights) checked against the training data, or None if not given."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("`sample_weight_val` was given without `X_val` and `y_val`.")
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"`X_val` and `y_val` must be given together; `{missing}` is None.")
    X_val, y_val, weight, _ = validate_training_data(
        estimator, X_val, y_val, sample_weight_val, reset=False
    )
    if y_val.shape[1] != n_outputs:
        raise ValueError(f"`y_val` has {y_val.shape[1]} outputs; expected {n_outputs} as in `y`.")
    return X_val, y_val, weight


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
