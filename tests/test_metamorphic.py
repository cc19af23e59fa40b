"""Changes of the input whose effect on the output is known."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_friedman1
from threadpoolctl import threadpool_limits

from sklearn_sketchgn import SketchGNRegressor
from sklearn_sketchgn._network import Network, initialise
from sklearn_sketchgn._scaling import Scaling

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)

# Everything on all rows, in float64: by the schedule of batches, and by adaptive steps.
ONE_BATCH = [{"batch_size": 500}, {"batch_size": None}]
either_phase = pytest.mark.parametrize("parameters", ONE_BATCH, ids=repr)


def quick(**parameters):
    few = {"width": 8, "max_iter": 12, "alpha": "auto", "solver": "direct", "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, scaled=False)


@either_phase
def test_the_order_of_the_rows_does_not_matter_on_all_rows(parameters, diabetes, rng):
    # No more rows than one batch of the pilot that chooses alpha.
    X, y = diabetes[0][:250], diabetes[1][:250]
    weight, order = rng.uniform(0.5, 2.0, size=len(y)), rng.permutation(len(y))
    expected = quick(**parameters).fit(X, y, weight).predict(X)
    permuted = quick(**parameters).fit(X[order], y[order], weight[order])
    np.testing.assert_allclose(permuted.predict(X), expected, rtol=1e-7)


@pytest.mark.parametrize("parameters", [*ONE_BATCH, {"batch_size": 100}], ids=repr)
def test_units_of_powers_of_two_change_no_bit(parameters, diabetes):
    X, y = diabetes
    unit = 2.0 ** np.arange(-20, 20, 4)
    expected = quick(**parameters).fit(X, y).predict(X)
    columns = quick(**parameters).fit(X * unit, y).predict(X * unit)
    target = quick(**parameters).fit(X, 1024 * y).predict(X)
    # The weights of the scaled inputs are exact, their products with them as well.
    np.testing.assert_array_equal(columns, expected)
    np.testing.assert_array_equal(target, 1024 * expected)


@either_phase
def test_a_constant_added_to_columns_or_target_is_removed(parameters, diabetes):
    X, y = diabetes
    shift = np.linspace(-100, 1000, X.shape[1])
    expected = quick(**parameters).fit(X, y).predict(X)
    columns = quick(**parameters).fit(X + shift, y).predict(X + shift)
    np.testing.assert_allclose(columns, expected, rtol=1e-6)
    target = quick(**parameters).fit(X, y + 1e4).predict(X)
    np.testing.assert_allclose(target - 1e4, expected, rtol=1e-6)


@either_phase
def test_columns_may_be_permuted_with_the_initial_weights(parameters, diabetes, monkeypatch, rng):
    X, y = diabetes
    order = rng.permutation(X.shape[1])
    model = quick(**{**parameters, "alpha": 1.0})
    expected = clone(model).fit(X, y).predict(X)

    def permuted(width, n_features, n_outputs, generator, *, train_output):
        network = initialise(width, n_features, n_outputs, generator)
        hidden = network.hidden[:, [*order, n_features - 1]]
        return Network(hidden, network.output, network.intercept)

    monkeypatch.setattr("sklearn_sketchgn._fitting.initialise", permuted)
    found = clone(model).fit(X[:, order], y).predict(X[:, order])
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@either_phase
def test_a_column_of_zeros_changes_nothing_but_the_start(parameters, diabetes, monkeypatch):
    X, y = diabetes
    model = quick(**{**parameters, "alpha": 1.0})
    expected = clone(model).fit(X, y).predict(X)

    def widened(width, n_features, n_outputs, generator, *, train_output):
        network = initialise(width, n_features - 1, n_outputs, generator)
        hidden = np.insert(network.hidden, 3, 0.0, axis=1)
        return Network(hidden, network.output, network.intercept)

    monkeypatch.setattr("sklearn_sketchgn._fitting.initialise", widened)
    constant = np.insert(X, 3, 7.0, axis=1)
    np.testing.assert_allclose(clone(model).fit(constant, y).predict(constant), expected, rtol=1e-7)


def test_float32_batches_err_no_more_than_float64_ones(monkeypatch):
    X, y = make_friedman1(1500, noise=0.5, random_state=0)
    model = quick(width=32, alpha=0.1, max_iter=200, batch_size=100)

    def error():
        return np.sqrt(np.mean((model.fit(X[:600], y[:600]).predict(X[600:]) - y[600:]) ** 2))

    single = error()
    arrays = Scaling.arrays
    monkeypatch.setattr(
        Scaling,
        "arrays",
        lambda self, X, y, weight, dtype, ones: arrays(self, X, y, weight, np.float64, ones=ones),
    )
    assert error() == pytest.approx(single, rel=0.02)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_the_number_of_blas_threads_changes_round_off_only(solver):
    X, y = make_friedman1(300, noise=0.5, random_state=0)
    model = SketchGNRegressor(
        32, alpha=1.0, batch_size=None, tol=1e-4, solver=solver, random_state=0
    )
    predicted = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            predicted.append(model.fit(X, y).predict(X))
    np.testing.assert_allclose(*predicted, rtol=1e-6, atol=1e-6 * np.abs(y).max())
