"""A fitted MLPRegressor with the same predictions, and the formats that it opens.

The tests of skops and ONNX need the extra ``export``, which `.ci/run` installs with the newest
versions; with the oldest they are skipped.
"""

import importlib

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted

from sklearn_sketchgn import CG, SKOPS_TRUSTED, SRHT, Gaussian, SketchGNRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_members": 2},
        {"train_output": False},
        {"batch_size": 64},
        {"encoding": "piecewise", "n_members": 2},
    ],
    ids=repr,
)
@pytest.mark.parametrize("load", [load_diabetes, load_linnerud])
def test_predictions_are_equal(load, parameters):
    X, y = load(return_X_y=True)
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    model = SketchGNRegressor(**few, **parameters).fit(X, y)
    exported = model.to_mlp_regressor()
    assert type(exported) is MLPRegressor
    check_is_fitted(exported)
    rtol = 1e-10 if "encoding" in parameters else 1e-12  # a sum over the knots of a column
    np.testing.assert_allclose(exported.predict(X), model.predict(X), rtol=rtol)
    assert exported.score(X, y) == pytest.approx(model.score(X, y))
    assert exported.hidden_layer_sizes == tuple(coef.shape[1] for coef in model.coefs_[:-1])
    assert exported.loss_ == model.loss_
    assert exported.n_iter_ == model.n_iter_
    clone(exported)


def test_feature_names_are_exported():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = SketchGNRegressor(width=4, max_iter=5, alpha=1.0, random_state=0).fit(X, y)
    exported = model.to_mlp_regressor()
    np.testing.assert_array_equal(exported.feature_names_in_, X.columns)
    assert not np.shares_memory(exported.feature_names_in_, model.feature_names_in_)
    np.testing.assert_allclose(exported.predict(X), model.predict(X), rtol=1e-12)


def test_the_export_is_a_copy():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=4, max_iter=5, alpha=1.0, random_state=0).fit(X, y)
    before = model.predict(X)
    exported = model.to_mlp_regressor()
    exported.coefs_[0][...] = 0
    exported.intercepts_[1][...] = 0
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_the_export_can_be_trained_on():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=8, max_iter=20, random_state=0).fit(X, y)
    before = model.to_mlp_regressor().loss_
    exported = model.to_mlp_regressor().set_params(random_state=0)
    assert exported.partial_fit(X, y).loss_ < 1.5 * before
    again = model.to_mlp_regressor().set_params(warm_start=True, max_iter=2, random_state=0)
    assert again.fit(X, y).loss_ < 1.5 * before


def test_rows_that_the_export_is_trained_on_are_counted_with_what_was_before():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=8, max_iter=20, alpha=1.0, random_state=0).fit(X, y)
    exported = model.to_mlp_regressor().set_params(random_state=0)
    before = exported.t_
    assert before == sum(model.history_["batch_size"])
    assert exported.partial_fit(X, y).t_ == before + len(y)
    stream = SketchGNRegressor(width=8, alpha=1.0, random_state=0)
    for block in np.array_split(np.arange(len(y)), 3):
        stream.partial_fit(X[block], y[block])
    assert stream.to_mlp_regressor().t_ == len(y)


def test_an_unfitted_estimator_has_nothing_to_export():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SketchGNRegressor().to_mlp_regressor()


# skops and ONNX -----------------------------------------------------------------------------------


def fitted(load, **parameters):
    X, y = load(return_X_y=True)
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters}).fit(X, y), X


@pytest.mark.parametrize("load", [load_diabetes, load_linnerud])
def test_the_export_loads_in_skops_without_a_trust_list(load):
    io = pytest.importorskip("skops.io")
    model, X = fitted(load)
    stored = io.dumps(model.to_mlp_regressor())
    assert io.get_untrusted_types(data=stored) == []
    np.testing.assert_array_equal(io.loads(stored).predict(X), model.to_mlp_regressor().predict(X))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"warm_start": True},
        {"sketch": SRHT(), "solver": CG(tol=1e-4)},
        {"sketch": Gaussian(), "solver": "direct", "n_members": 2},
        {"train_output": False},
        {"encoding": "piecewise"},
    ],
    ids=repr,
)
def test_our_own_class_loads_in_skops_with_the_list_we_give(parameters):
    io = pytest.importorskip("skops.io")
    model, X = fitted(load_diabetes, **parameters)
    stored = io.dumps(model)
    assert set(io.get_untrusted_types(data=stored)) <= set(SKOPS_TRUSTED)
    loaded = io.loads(stored, trusted=SKOPS_TRUSTED)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert repr(loaded) == repr(model)


def test_names_of_the_trust_list_exist():
    for name in SKOPS_TRUSTED:
        module, _, member = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), member), type)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"n_members": 2}, {"train_output": False}, {"encoding": "piecewise"}],
    ids=repr,
)
@pytest.mark.parametrize("load", [load_diabetes, load_linnerud])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converter's own imports
def test_onnx_predicts_the_same_within_float32(load, parameters):
    skl2onnx = pytest.importorskip("skl2onnx", exc_type=ModuleNotFoundError)
    onnxruntime = pytest.importorskip("onnxruntime", exc_type=ModuleNotFoundError)
    model, X = fitted(load, **parameters)
    X = X.astype(np.float32)
    onnx = skl2onnx.to_onnx(model.to_mlp_regressor(), X[:1])
    session = onnxruntime.InferenceSession(
        onnx.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (predicted,) = session.run(None, {session.get_inputs()[0].name: X})
    expected = model.predict(X.astype(np.float64)).reshape(predicted.shape)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_poisson_is_exported_with_its_exponential():
    X, y = load_diabetes(return_X_y=True)
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    model = SketchGNRegressor(**few, loss="poisson").fit(X, y)
    if "loss" not in MLPRegressor().get_params():
        with pytest.raises(ValueError, match="from scikit-learn 1.7 on"):
            model.to_mlp_regressor()
        return
    exported = model.to_mlp_regressor()
    assert exported.loss == "poisson"
    np.testing.assert_allclose(exported.predict(X), model.predict(X), rtol=1e-12)
