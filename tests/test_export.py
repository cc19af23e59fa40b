"""A fitted MLPRegressor with the same predictions."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted

from sklearn_sketchgn import SketchGNRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


@pytest.mark.parametrize(
    "parameters", [{}, {"n_members": 2}, {"train_output": False}, {"batch_size": 64}], ids=repr
)
@pytest.mark.parametrize("load", [load_diabetes, load_linnerud])
def test_predictions_are_equal(load, parameters):
    X, y = load(return_X_y=True)
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    model = SketchGNRegressor(**few, **parameters).fit(X, y)
    exported = model.to_mlp_regressor()
    assert type(exported) is MLPRegressor
    check_is_fitted(exported)
    np.testing.assert_allclose(exported.predict(X), model.predict(X), rtol=1e-12)
    assert exported.score(X, y) == pytest.approx(model.score(X, y))
    assert exported.hidden_layer_sizes == (model.coefs_[0].shape[1],)
    assert exported.loss_ == model.loss_
    assert exported.n_iter_ == model.n_iter_
    clone(exported)


def test_feature_names_are_exported():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = SketchGNRegressor(width=4, max_iter=5, alpha=1.0, random_state=0).fit(X, y)
    exported = model.to_mlp_regressor()
    np.testing.assert_array_equal(exported.feature_names_in_, X.columns)
    np.testing.assert_allclose(exported.predict(X), model.predict(X), rtol=1e-12)


def test_the_export_is_a_copy():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=4, max_iter=5, alpha=1.0, random_state=0).fit(X, y)
    before = model.predict(X)
    exported = model.to_mlp_regressor()
    exported.coefs_[0][...] = 0
    exported.intercepts_[1][...] = 0
    np.testing.assert_array_equal(model.predict(X), before)


def test_an_unfitted_estimator_has_nothing_to_export():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SketchGNRegressor().to_mlp_regressor()


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
