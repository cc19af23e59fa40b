"""Predict and score block by block."""

from functools import reduce

import dask
import dask.array as da
import numpy as np

from .._moments import Moments, fit_moments
from .._regressor import SketchGNRegressor

# What prediction needs of a fitted estimator, besides its standard deviations.
_STATE = (
    "coefs_",
    "intercepts_",
    "input_bounds_",
    "target_bounds_",
    "n_outputs_",
    "out_activation_",
    "n_features_in_",
    "feature_names_in_",
    "_flat_target",
)


def lean_copy(estimator, *, with_std=False):
    """Return a regressor for prediction only, without the record of the fit."""
    names = (*_STATE, "_uncertainty") if with_std else _STATE
    lean = SketchGNRegressor()
    lean.__dict__.update({n: v for n, v in vars(estimator).items() if n in names})
    return lean


def predict(estimator, X, *, return_std):
    """Return the lazy predictions (mean, or mean and standard deviation) for a collection."""
    # One task that the others depend on: the weights are not sent with every block.
    model = dask.delayed(lean_copy(estimator, with_std=return_std), traverse=False)
    shape = () if estimator._flat_target else (estimator.n_outputs_,)
    outputs = [
        _map_blocks(X, model, shape, part)
        for part in (("mean", "std") if return_std else ("mean",))
    ]
    return tuple(outputs) if return_std else outputs[0]


def _map_blocks(X, model, shape, part):
    meta = np.empty((0, *shape))
    if not isinstance(X, da.Array):
        return X.map_partitions(predict_block, model, shape, part, meta=meta)
    where = {"drop_axis": 1} if not shape else {"chunks": (X.chunks[0], shape)}
    return X.map_blocks(predict_block, model, shape, part, meta=meta, dtype=meta.dtype, **where)


def predict_block(X, model, shape, part):
    """Return the predictions, or their standard deviations, for one block of rows."""
    if not len(X):
        return np.empty((0, *shape))
    predicted = model.predict(X, return_std=part == "std")
    return np.asarray(predicted[1] if part == "std" else predicted, dtype=np.float64)


def score(client, blocks, model):
    """Return R^2, averaged over outputs, on futures of :class:`RawBlock`."""
    # The blocks are plain arrays: names have been checked before.
    model.__dict__.pop("feature_names_in_", None)
    found = client.gather(client.map(_errors, blocks, model=model, pure=False))
    found = [entry for entry in found if entry is not None]
    if not found:
        raise ValueError("There is no row of positive weight in X: found 0 samples to score on.")
    moments = reduce(Moments.merged, [moments for moments, _ in found])
    unexplained = sum(errors for _, errors in found)
    total = moments.weight * moments.deviation**2
    # As in scikit-learn: 1 for a constant target that is met, 0 for one that is not.
    constant = np.where(unexplained > 0, 1.0, 0.0)
    share = np.divide(unexplained, total, where=total > 0, out=constant)
    return float(np.mean(1 - share))


def _errors(block, model):
    if not len(block.X):
        return None
    predicted = model.predict(block.X).reshape(block.y.shape)
    return fit_moments(block.y, block.weight), block.weight @ (predicted - block.y) ** 2
