"""``X_val``, ``y_val`` and ``sample_weight_val`` behind a pipeline with metadata routing."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer

from sklearn_sketchgn import SketchGNRegressor


@pytest.fixture(scope="module")
def tables():
    X, y = load_diabetes(return_X_y=True)
    return (X[:300], y[:300], np.linspace(1, 2, 300)), (X[300:], y[300:], np.linspace(2, 1, 142))


def quick():
    return SketchGNRegressor(width=8, max_iter=60, alpha=1e-4, random_state=0)


def steps(model):
    # Unlike standardisation, no part of the network could make up for this one.
    return [("transform", QuantileTransformer(n_quantiles=50)), ("model", model)]


def test_validation_rows_are_transformed_by_the_steps_before(tables):
    (X, y, weight), (X_val, y_val, weight_val) = tables
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick().set_fit_request(
            sample_weight=True, X_val=True, y_val=True, sample_weight_val=True
        )
        pipeline = Pipeline(steps(model), transform_input=["X_val"])
        pipeline.fit(
            X, y, sample_weight=weight, X_val=X_val, y_val=y_val, sample_weight_val=weight_val
        )
    transform = pipeline[0]
    by_hand = quick().fit(
        transform.transform(X),
        y,
        weight,
        X_val=transform.transform(X_val),
        y_val=y_val,
        sample_weight_val=weight_val,
    )
    np.testing.assert_array_equal(by_hand.predict(transform.transform(X)), pipeline.predict(X))
    assert pipeline[-1].validation_loss_curve_ == by_hand.validation_loss_curve_
    error = (pipeline.predict(X_val) - y_val) ** 2
    best = np.average(error, weights=weight_val) / 2
    assert best == pytest.approx(min(by_hand.validation_loss_curve_), rel=1e-6)


def test_validation_rows_in_a_search(tables):
    (X, y, _), (X_val, y_val, _) = tables
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(steps(model), transform_input=["X_val"])
        search = GridSearchCV(pipeline, {"model__width": [4, 8]}, cv=2)
        # Rows of the user's own, of another number than X: not split with the folds.
        search.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(search.best_estimator_[-1].validation_loss_curve_) > 1


def test_the_validation_loss_is_half_the_mean_squared_error(tables):
    (X, y, _), (X_val, y_val, _) = tables
    model = quick().fit(X, 100 * y, X_val=X_val, y_val=100 * y_val)
    plain = quick().fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(
        model.validation_loss_curve_, 1e4 * np.array(plain.validation_loss_curve_), rtol=1e-2
    )
    # The initial network predicts the mean of the training targets.
    start = np.mean((y_val - y.mean()) ** 2) / 2
    assert plain.validation_loss_curve_[0] == pytest.approx(start, rel=1e-6)


def test_errors_of_validation_rows_name_them(rng):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    model = SketchGNRegressor(width=8, max_iter=5)
    with pytest.raises(
        ValueError, match="`X_val`, `y_val` or `sample_weight_val`: X has 2 features"
    ):
        model.fit(X, y, X_val=X[:, :2], y_val=y)
    with pytest.raises(ValueError, match="^`y_val`: .*y are out of the valid range"):
        model.set_params(loss="poisson").fit(X, y**2, X_val=X, y_val=y)


@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_only_proportions_of_validation_weights_count(unit, tables):
    (X, y, _), (X_val, y_val, weight) = tables
    plain = quick().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    model = quick().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=unit * weight)
    np.testing.assert_allclose(
        model.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-6
    )
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-6)
