"""One Gauss-Newton step against its dense definition."""

import numpy as np
import pytest

from sklearn_sketchgn import CG, Direct, Gaussian
from sklearn_sketchgn._network import Network
from sklearn_sketchgn._step import Subproblem
from sklearn_sketchgn._training_data import TrainingData
from tests import cases, references

SHAPES = [cases.Shape(20, 4, 15, 1), cases.Shape(20, 4, 15, 3), cases.Shape(90, 4, 5, 2)]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
output_trained_or_not = pytest.mark.parametrize("train_output", [True, False])


def setting(shape, rng, *, train_output=True, alpha=0.7):
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    network = Network(hidden, output, rng.standard_normal(shape.n_outputs), train_output)
    targets = rng.standard_normal((shape.n_samples, shape.n_outputs))
    data = TrainingData(rows, targets, np.ones(len(rows)))
    dense = references.jacobian(rows, hidden, output, train_output=train_output)
    values = references.forward(rows, hidden, output, network.intercept if train_output else None)
    residual = (values - targets).T.ravel()
    return network, data, Subproblem(network, rows, targets, alpha), dense, residual


@every_shape
@output_trained_or_not
def test_value_and_gradient(shape, train_output, rng):
    network, _, problem, dense, residual = setting(shape, rng, train_output=train_output)
    theta, mask = network.parameters(), network.penalised()
    expected = 0.5 * residual @ residual + 0.5 * 0.7 * (mask * theta) @ theta
    assert problem.value() == pytest.approx(expected, rel=1e-12)
    gradient = dense.T @ residual + 0.7 * mask * theta
    np.testing.assert_allclose(problem.gradient(), gradient, atol=1e-10)


@every_shape
@output_trained_or_not
@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("damping", [0.0, 0.5])
@pytest.mark.parametrize("with_drift", [True, False])
@pytest.mark.parametrize("solver", [Direct(), CG()], ids=repr)
def test_step_minimises_its_subproblem(
    shape, train_output, alpha, damping, with_drift, solver, rng
):
    network, _, problem, dense, residual = setting(
        shape, rng, train_output=train_output, alpha=alpha
    )
    drift = 0.1 * rng.standard_normal(network.n_parameters) if with_drift else None
    state = solver.prepare(problem.jacobian, sketch=Gaussian(), rng=rng)
    step, _ = problem.solve(solver, state, damping, drift)
    theta, mask, ridge = network.parameters(), network.penalised(), alpha + damping
    if ridge == 0:
        expected = -np.linalg.pinv(dense, rcond=1e-7) @ residual
    else:
        centre = -alpha * mask * theta / ridge
        if with_drift:
            centre += damping * drift / ridge
        right = -(residual + dense @ centre)
        expected = centre + references.damped_least_squares(dense, right, ridge)
    assert np.linalg.norm(step - expected) <= 1e-7 * np.linalg.norm(expected)


@output_trained_or_not
def test_step_is_stationary_where_all_parameters_are_penalised_or_damped(train_output, rng):
    network, _, problem, dense, residual = setting(SHAPES[0], rng, train_output=train_output)
    drift = rng.standard_normal(network.n_parameters)
    state = Direct().prepare(problem.jacobian)
    step, _ = problem.solve(Direct(), state, 0.5, drift)
    theta, mask = network.parameters(), network.penalised()
    # The gradient of the three terms; unpenalised parameters have one proximal term more.
    slope = dense.T @ (dense @ step + residual) + 0.7 * mask * (theta + step)
    slope += 0.5 * (step - drift) + 0.7 * (1 - mask) * step
    np.testing.assert_allclose(slope, 0, atol=1e-9)


@every_shape
@output_trained_or_not
def test_trial_and_predicted_decrease(shape, train_output, rng):
    network, data, problem, dense, residual = setting(shape, rng, train_output=train_output)
    step = 1e-3 * rng.standard_normal(network.n_parameters)
    moved, value = problem.trial(network, step, data)
    again = Subproblem(moved, data.rows, data.targets, 0.7)
    assert value == pytest.approx(again.value(), rel=1e-12)
    mask, theta = network.penalised(), network.parameters()
    linear = residual + dense @ step
    after = 0.5 * linear @ linear + 0.5 * 0.7 * mask @ (theta + step) ** 2
    assert problem.predicted_decrease(step) == pytest.approx(problem.value() - after, rel=1e-6)


def test_a_step_that_is_not_finite_has_no_value(rng):
    network, data, problem, _, _ = setting(SHAPES[0], rng)
    _, value = problem.trial(network, np.full(network.n_parameters, np.nan), data)
    assert np.isnan(value)


def test_float32_stays_float32(rng):
    network, data, _, _, _ = setting(SHAPES[0], rng)
    rows, targets = data.rows.astype(np.float32), data.targets.astype(np.float32)
    problem = Subproblem(network.astype(np.float32), rows, targets, 0.7)
    state = Direct().prepare(problem.jacobian)
    step, _ = problem.solve(Direct(), state, 0.5, np.ones(len(problem.theta), dtype=np.float32))
    assert step.dtype == problem.gradient().dtype == np.float32
