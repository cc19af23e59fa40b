"""The metric of the damping, and steps in it, against their dense definitions."""

import numpy as np
import pytest

from sklearn_sketchgn import CG, Direct, Gaussian, SketchGNRegressor, _metric
from sklearn_sketchgn._losses import Huber, Poisson, SquaredError
from sklearn_sketchgn._metric import DampingMetric, column_coordinates, damping_metric
from sklearn_sketchgn._network import Network, initialise, initialise_paper
from sklearn_sketchgn._step import Subproblem
from sklearn_sketchgn._training_data import TrainingData
from tests import cases, references

SHAPES = [cases.Shape(20, 4, 15, 1), cases.Shape(20, 4, 15, 3), cases.Shape(90, 4, 5, 2)]
ALPHA, DAMPING = 0.7, 0.5

#: What alpha counts for the columns of three features and for the column of ones.
COLUMNS = np.array([0.2, 3.0, 40.0, 1.0])

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_penalty = pytest.mark.parametrize("columns", [None, COLUMNS], ids=["alike", "weighed"])


def covariance(n_features, rng, rank=None):
    """A covariance matrix with ones on its diagonal."""
    rank = rank or n_features
    factors = rng.standard_normal((200, rank)) * np.logspace(0, -2, rank)
    table = factors @ rng.standard_normal((rank, n_features))
    return np.corrcoef(table.T)


def floored(matrix):
    """Return the metric of a covariance from its definition, with 1 for the column of ones."""
    n_features = len(matrix)
    metric = np.eye(n_features + 1)
    metric[:-1, :-1] = (matrix + 0.01 * np.eye(n_features)) / 1.01
    return metric


def shares(network, columns):
    """Return the diagonal of P from its definition."""
    columns = np.ones(network.hidden.shape[1]) if columns is None else columns
    hidden = np.tile(columns, len(network.hidden))
    rest = np.repeat([1.0, 0.0], [network.output.size, network.intercept.size])
    return np.concatenate([hidden, rest])


def on_parameters(metric, network):
    """Return it as a dense matrix for the vector of all parameters."""
    width, n_rest = len(network.hidden), network.output.size + network.intercept.size
    dense = np.eye(width * len(metric) + n_rest)
    dense[:-n_rest, :-n_rest] = np.kron(np.eye(width), metric)
    return dense


def proximal(penalty):
    """Return P as a dense matrix, with 1 for unpenalised parameters: one proximal term more."""
    return np.diag(np.where(penalty > 0, penalty, 1.0))


def setting(shape, rng):
    """Return a network, rows, targets, a metric, and the metric as a dense matrix."""
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    network = Network(hidden, output, rng.standard_normal(shape.n_outputs))
    targets = rng.standard_normal((shape.n_samples, shape.n_outputs))
    matrix = covariance(shape.n_features - 1, rng)
    return network, rows, targets, DampingMetric(matrix), on_parameters(floored(matrix), network)


def in_metric(network, rows, targets, metric, loss=None, columns=None):
    coordinates = metric.coordinates(ALPHA, DAMPING, rows.dtype, columns)
    return Subproblem(network, rows, targets, ALPHA, loss or SquaredError(), coordinates)


@every_shape
@pytest.mark.parametrize("with_drift", [True, False])
@pytest.mark.parametrize("solver", [Direct(), CG()], ids=repr)
@every_penalty
def test_step_minimises_its_subproblem(shape, with_drift, solver, columns, rng):
    network, rows, targets, metric, dense_metric = setting(shape, rng)
    problem = in_metric(network, rows, targets, metric, columns=columns)
    drift = 0.1 * rng.standard_normal(network.n_parameters) if with_drift else None
    state = solver.prepare(problem.jacobian, sketch=Gaussian(), rng=rng)
    step, _ = problem.solve(solver, state, DAMPING, drift)
    theta, penalty = network.parameters(), shares(network, columns)
    J = references.jacobian(rows, network.hidden, network.output)
    residual = Subproblem(network, rows, targets, ALPHA).residual
    matrix = J.T @ J + ALPHA * proximal(penalty) + DAMPING * dense_metric
    right = -J.T @ residual - ALPHA * penalty * theta
    if with_drift:
        right += DAMPING * dense_metric @ drift
    expected = np.linalg.solve(matrix, right)
    assert np.linalg.norm(step - expected) <= 1e-7 * np.linalg.norm(expected)


@every_shape
@every_penalty
def test_sensitivity_is_the_derivative_of_the_step(shape, columns, rng):
    network, rows, targets, metric, dense_metric = setting(shape, rng)
    problem = in_metric(network, rows, targets, metric, columns=columns)
    state = Direct().prepare(problem.jacobian)
    step, _ = problem.solve(Direct(), state, DAMPING)
    z, drift = (rng.standard_normal(network.n_parameters) for _ in range(2))
    found = problem.solve_sensitivity(Direct(), state, DAMPING, step, z, drift)
    theta, penalty = network.parameters(), shares(network, columns)
    J = references.jacobian(rows, network.hidden, network.output)
    matrix = J.T @ J + ALPHA * proximal(penalty) + DAMPING * dense_metric
    right = -J.T @ (J @ z) - ALPHA * penalty * (theta + step + z) + DAMPING * dense_metric @ drift
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), atol=1e-9)


@every_shape
@pytest.mark.parametrize("loss", [SquaredError(), Poisson(), Huber(threshold=0.5)])
def test_nothing_but_the_damping_depends_on_the_metric(shape, loss, rng):
    network, rows, targets, metric, _ = setting(shape, rng)
    targets = np.abs(targets)
    plain, other = (
        Subproblem(network, rows, targets, ALPHA, loss),
        in_metric(network, rows, targets, metric, loss),
    )
    step = rng.standard_normal(network.n_parameters)
    assert other.value() == pytest.approx(plain.value(), rel=1e-12)
    assert other.predicted_decrease(step) == pytest.approx(plain.predicted_decrease(step), rel=1e-9)
    np.testing.assert_allclose(other.residual, plain.residual, atol=1e-10)
    np.testing.assert_allclose(other.gradient(), plain.gradient(), atol=1e-9)


@every_shape
@pytest.mark.parametrize("damping", [0.0, 0.3, 20.0])
def test_columns_are_weighed_without_a_metric(shape, damping, rng):
    # Damped in the metric of the penalty, whatever the damping is.
    network, rows, targets, _, _ = setting(shape, rng)
    problem = Subproblem(
        network, rows, targets, ALPHA, SquaredError(), column_coordinates(COLUMNS, rows.dtype)
    )
    drift = 0.1 * rng.standard_normal(network.n_parameters)
    step, _ = problem.solve(Direct(), Direct().prepare(problem.jacobian), damping, drift)
    theta, penalty = network.parameters(), shares(network, COLUMNS)
    J = references.jacobian(rows, network.hidden, network.output)
    residual = Subproblem(network, rows, targets, ALPHA).residual
    matrix = J.T @ J + (ALPHA + damping) * proximal(penalty)
    right = -J.T @ residual - ALPHA * penalty * theta + damping * proximal(penalty) @ drift
    np.testing.assert_allclose(step, np.linalg.solve(matrix, right), atol=1e-9)


@every_shape
def test_values_and_slopes_under_a_penalty_by_columns(shape, rng):
    network, rows, targets, metric, _ = setting(shape, rng)
    weighed = in_metric(network, rows, targets, metric, columns=COLUMNS)
    alone = Subproblem(
        network, rows, targets, ALPHA, SquaredError(), column_coordinates(COLUMNS, rows.dtype)
    )
    plain = Subproblem(network, rows, targets, 0.0)
    theta, penalty = network.parameters(), shares(network, COLUMNS)
    step = rng.standard_normal(len(theta))
    data = TrainingData(rows, targets, np.ones(len(rows)))

    def size(parameters):
        return 0.5 * ALPHA * np.sum(penalty * parameters**2)

    for problem in (weighed, alone):
        assert problem.value() == pytest.approx(plain.value() + size(theta), rel=1e-12)
        expected = plain.gradient() + ALPHA * penalty * theta
        np.testing.assert_allclose(problem.gradient(), expected, atol=1e-9)
        expected = plain.predicted_decrease(step) + size(theta) - size(theta + step)
        assert problem.predicted_decrease(step) == pytest.approx(expected, rel=1e-9)
        expected = plain.trial(network, step, data)[1] + size(theta + step)
        moved, value = problem.trial(network, step, data)
        assert value == pytest.approx(expected, rel=1e-12)
        assert problem.flips(moved) == plain.flips(moved) > 0
        np.testing.assert_allclose(problem.image(step), plain.image(step), atol=1e-9)


def test_no_direction_is_damped_less_than_the_floor(rng):
    matrix = covariance(6, rng, rank=2)
    coordinates = DampingMetric(matrix).coordinates(0.0, 0.3, np.float64)
    np.testing.assert_allclose(coordinates.metric, floored(matrix), atol=1e-12)
    assert np.linalg.eigvalsh(coordinates.metric)[0] == pytest.approx(0.01 / 1.01)
    # Without a penalty, the metric is the identity in its coordinates.
    whitened = coordinates.outward @ coordinates.metric @ coordinates.outward
    np.testing.assert_allclose(whitened, np.eye(7), atol=1e-9)
    np.testing.assert_allclose(coordinates.outward @ coordinates.inward, np.eye(7), atol=1e-9)


def test_a_penalty_alone_leaves_the_weights_as_they_are(rng):
    coordinates = DampingMetric(covariance(4, rng)).coordinates(1e300, 1e-20, np.float64)
    np.testing.assert_allclose(coordinates.outward, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(coordinates.inward, np.eye(5), atol=1e-12)


def test_coordinates_follow_the_ratio_of_penalty_and_damping_and_the_dtype(rng):
    metric = DampingMetric(covariance(3, rng))
    first = metric.coordinates(0.5, 2.0, np.float64)
    assert metric.coordinates(0.25, 1.0, np.float64) is first
    single = metric.coordinates(0.25, 1.0, np.float32)
    assert single.outward.dtype == np.float32
    np.testing.assert_allclose(single.outward, first.outward, atol=1e-6)
    other = metric.coordinates(0.5, 1.0, np.float64)
    assert np.abs(other.outward - first.outward).max() > 0.01
    weighed = metric.coordinates(0.5, 1.0, np.float64, COLUMNS)
    assert np.abs(weighed.outward - other.outward).max() > 0.01
    assert metric.coordinates(0.5, 1.0, np.float64, COLUMNS) is weighed
    assert metric.coordinates(0.5, 1.0, np.float64).column_penalty is None


def test_a_table_is_read_once_for_all_metrics(rng):
    rows = np.column_stack([rng.standard_normal((50, 3)), np.ones(50)])
    data = TrainingData(rows, np.zeros((50, 1)), np.ones(50))
    network = initialise(4, 4, 1, rng)
    first = damping_metric(data, network)
    data.rows = None  # as if it were far away
    second = damping_metric(data, network)
    assert second is not first
    one, other = (m.coordinates(0.1, 0.2, np.float64) for m in (first, second))
    np.testing.assert_array_equal(one.metric, other.metric)


def test_the_covariance_of_a_table_counts_weights_and_not_the_column_of_ones(rng):
    n, weights = 60, rng.integers(1, 4, 60).astype(np.float64)
    table = rng.standard_normal((n, 3)) @ rng.standard_normal((3, 3))
    rows = np.sqrt(weights)[:, None] * np.column_stack([table, np.ones(n)])
    data = TrainingData(rows, rows[:, :1], weights)
    found = damping_metric(data, initialise(8, 4, 1, rng)).coordinates(0.0, 1.0, np.float64)
    repeated = np.repeat(table, weights.astype(int), axis=0)
    expected = floored(repeated.T @ repeated / len(repeated))
    np.testing.assert_allclose(found.metric, expected, atol=1e-12)


def test_the_papers_network_and_very_many_features_have_none(rng):
    data = TrainingData(rng.standard_normal((9, 4)), np.zeros((9, 1)), np.ones(9))
    assert damping_metric(data, initialise_paper(8, 4, 1, rng)) is None
    assert damping_metric(data, initialise(8, 4, 1, rng)) is not None
    for n_features, too_many in ((_metric.MOST_FEATURES, False), (_metric.MOST_FEATURES + 1, True)):
        wide = TrainingData(np.ones((2, n_features + 1)), np.zeros((2, 1)), np.ones(2))
        found = damping_metric(wide, initialise(8, n_features + 1, 1, rng))
        assert (found is None) == too_many


def test_a_difference_of_nearly_equal_columns_is_learnt(rng):
    # The plain norm damps it as if it varied as much as the columns do.
    common, difference = rng.standard_normal((2, 600))
    X = np.column_stack([common, common + 0.05 * difference])
    y = np.sin(2 * difference) + common
    train, test = slice(0, 400), slice(400, None)
    settings = {"width": 32, "alpha": 1e-3, "max_iter": 150, "random_state": 0}
    model = SketchGNRegressor(**settings).fit(X[train], y[train])
    assert model.score(X[test], y[test]) > 0.97
