"""Losses: formulas, derivatives, scaling, and what a user gets from each."""

import numpy as np
import pytest
from sklearn.linear_model import HuberRegressor, PoissonRegressor
from sklearn.metrics import mean_poisson_deviance, root_mean_squared_error
from sklearn.utils import get_tags

from sklearn_sketchgn import CG, Direct, SketchGNRegressor
from sklearn_sketchgn._losses import LOSSES, Huber, bounded_exp
from sklearn_sketchgn._network import Network
from sklearn_sketchgn._robust_scale import robust_deviation, weighted_median
from sklearn_sketchgn._step import Subproblem
from sklearn_sketchgn._training_data import TrainingData
from tests import cases, references

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)

every_loss = pytest.mark.parametrize("name", cases.LOSSES)
CURVED = ["poisson", "huber"]


def quick(**parameters):
    few = {"width": 8, "max_iter": 60, "alpha": 0.1, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


def counts(rng, n_samples=200, skew=1.0, n_features=3):
    """Counts whose logarithm of the mean is neither linear nor small."""
    X = rng.standard_normal((n_samples, n_features))
    return X, rng.poisson(np.exp(skew * (np.sin(2 * X[:, 0]) + 0.5 * X[:, 1]))).astype(float)


def test_every_loss_is_in_the_cases():
    assert set(cases.LOSSES) == set(LOSSES)


# Formulas -----------------------------------------------------------------------------------------


@every_loss
def test_gradient_and_curvature_by_central_differences(name, rng):
    f, y = rng.uniform(-2, 2, (50, 2)), rng.uniform(0, 3, (50, 2))
    y[:10] = 0
    loss, step = LOSSES[name](), 1e-6
    value, gradient, curvature = loss.formulas(f, y)
    assert (value >= 0).all() and (curvature > 0).all()
    upper, lower = loss.formulas(f + step, y), loss.formulas(f - step, y)
    np.testing.assert_allclose(gradient, (upper[0] - lower[0]) / (2 * step), atol=1e-8)
    second = (upper[1] - lower[1]) / (2 * step)
    if name == "huber":
        # Reweighted least squares: at least the second derivative, so that the quadratic model
        # lies above the loss, and through the same gradient.
        assert (curvature >= second - 1e-8).all()
        np.testing.assert_allclose(curvature * (f - y), gradient, atol=1e-14)
    else:
        np.testing.assert_allclose(curvature, second, atol=1e-8)


def test_poisson_is_half_the_deviance(rng):
    f, y = rng.uniform(-2, 2, (50, 1)), rng.poisson(2.0, (50, 1)).astype(float)
    value, _, _ = LOSSES["poisson"]().formulas(f, y)
    assert value.mean() == pytest.approx(0.5 * mean_poisson_deviance(y, np.exp(f)), rel=1e-12)


def test_poisson_far_from_the_targets_is_finite():
    f, y = np.array([[-1e4], [1e4], [-1e4]]), np.array([[1e6], [0.0], [0.0]])
    for values in LOSSES["poisson"]().formulas(f, y):
        assert np.isfinite(values).all() and np.isfinite(np.sqrt(values**2)).all()


def subproblem(name, shape, rng, dtype=np.float64):
    """Return a subproblem with weights in its rows, and what it was made of."""
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    network = Network(hidden, 0.2 * output, rng.standard_normal(shape.n_outputs))
    weights = rng.uniform(0.5, 2.0, len(rows))
    y = rng.uniform(0, 3, (len(rows), shape.n_outputs))
    root = np.sqrt(weights)[:, None]
    data = TrainingData((root * rows).astype(dtype), (root * y).astype(dtype), weights)
    network = network.astype(dtype)
    problem = Subproblem(network, data.rows, data.targets, 0.7, LOSSES[name]())
    return problem, network, data, rows, y


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_objective_and_its_gradient_by_central_differences(name, n_outputs, rng):
    shape = cases.Shape(15, 4, 8, n_outputs)
    problem, network, data, rows, y = subproblem(name, shape, rng)
    loss, mask, theta = LOSSES[name](), network.penalised(), network.parameters()

    def objective(parameters):
        moved = network.with_parameters(parameters)
        f = references.forward(rows, moved.hidden, moved.output, moved.intercept)
        penalty = 0.5 * 0.7 * np.sum((mask * parameters) ** 2)
        return float(data.weights @ loss.formulas(f, y)[0].sum(axis=1)) + penalty

    assert problem.value() == pytest.approx(objective(theta), rel=1e-12)
    direction, step = rng.uniform(-1, 1, theta.shape), 1e-6
    activations = np.abs(rows @ network.hidden.T)
    assert activations.min() > 10 * step * np.abs(rows).sum(axis=1).max()
    slope = (objective(theta + step * direction) - objective(theta - step * direction)) / (2 * step)
    assert problem.gradient() @ direction == pytest.approx(slope, rel=1e-6)
    moved, value = problem.trial(network, step * direction, data)
    assert value == pytest.approx(objective(theta + step * direction), rel=1e-12)


@every_loss
@pytest.mark.parametrize("shape", [cases.Shape(12, 4, 30, 2), cases.Shape(90, 4, 4, 2)], ids=str)
@pytest.mark.parametrize("solver", [Direct(), CG()], ids=repr)
def test_step_is_the_damped_newton_step_of_the_curvature(name, shape, solver, rng):
    problem, network, data, rows, y = subproblem(name, shape, rng)
    sketch = cases.SKETCHES[1]
    state = solver.prepare(problem.jacobian, sketch=sketch, rng=rng)
    step, _ = problem.solve(solver, state, 0.5)
    dense = references.jacobian(rows, network.hidden, network.output)
    f = references.forward(rows, network.hidden, network.output, network.intercept)
    _, gradient, curvature = LOSSES[name]().formulas(f, y)
    weights = np.tile(data.weights, shape.n_outputs)
    matrix = dense.T @ ((weights * curvature.T.ravel())[:, None] * dense)
    matrix[np.diag_indices_from(matrix)] += 0.7 + 0.5
    penalty = 0.7 * network.penalised() * network.parameters()
    expected = -np.linalg.solve(matrix, dense.T @ (weights * gradient.T.ravel()) + penalty)
    # One damping for all parameters: the unpenalised ones have the proximal term too.
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-8)


@every_loss
def test_float32_stays_float32(name, rng):
    problem, network, _, _, _ = subproblem(name, cases.Shape(12, 4, 9, 2), rng, np.float32)
    state = Direct().prepare(problem.jacobian)
    step, _ = problem.solve(Direct(), state, 0.5)
    assert step.dtype == problem.gradient().dtype == problem.residual.dtype == np.float32


def test_squared_error_copies_nothing(rng):
    problem, *_ = subproblem("squared_error", cases.Shape(12, 4, 9, 2), rng)
    assert problem.root_loss is problem.residual
    assert type(problem.jacobian).__name__ == "Jacobian"


def test_outliers_among_the_judges_count_as_three_thresholds():
    # Two outputs with thresholds of their own, three rows with weights 1, 4 and 1.
    loss = Huber(np.array([0.5, 1.0]))
    rows = np.column_stack([np.zeros(3), [1.0, 2.0, 1.0]])
    residual = np.array([[0.1, 5.0, -9.0], [-2.0, -100.0, 4.0]])
    expected = [[0.1, 3.0, -1.5], [-2.0, -6.0, 3.0]]
    np.testing.assert_array_equal(loss.judged_residual(residual.ravel(), rows), np.ravel(expected))
    for name in ("squared_error", "poisson"):
        assert LOSSES[name]().judged_residual(residual, rows) is residual


def test_the_least_penalty_costs_what_an_outlier_saves():
    # Far out, on an input of unit norm: neurons of a^2 + |w|^2 = 2 r.
    threshold, n_outputs, r = np.array([0.5, 0.8]), 2, 1e6
    loss = Huber(threshold)
    saved = loss.formulas(np.zeros(2), np.full(2, r))[0].max()
    cost = 0.5 * loss.least_alpha(n_outputs) * n_outputs * 2 * r
    assert cost == pytest.approx(saved, rel=1e-5)


# Scaling of the targets ---------------------------------------------------------------------------


def test_weighted_median_and_deviation_of_repeated_rows(rng):
    table, weight = rng.standard_normal((30, 3)), rng.integers(1, 5, 30)
    repeated = np.repeat(table, weight, axis=0)
    for scale in (1.0, 0.1):
        found = weighted_median(table, scale * weight)
        np.testing.assert_allclose(found, np.median(repeated, axis=0), rtol=1e-15)
    expected = np.median(np.abs(repeated), axis=0) / 0.6744897501960817
    np.testing.assert_allclose(robust_deviation(table, weight.astype(float)), expected, rtol=1e-12)


@pytest.mark.parametrize("weight", [0.1, 0.7])
def test_half_of_the_weight_is_reached_whatever_the_rounding(weight):
    table = np.array([[0.0], [1.0], [2.0], [4.0], [8.0], [16.0]])
    assert weighted_median(table, np.full(6, weight)) == 3.0


def test_robust_deviation_where_most_targets_are_equal():
    table = np.array([[0.0], [0.0], [0.0], [1.0]])
    expected = np.sqrt(np.pi / 2) / 4
    assert robust_deviation(table, np.ones(4))[0] == pytest.approx(expected)


@every_loss
def test_scaled_targets_and_the_first_output(name, rng):
    y, weight = rng.gamma(1.0, size=(40, 2)), rng.uniform(0.5, 2, 40)
    loss = LOSSES[name]()
    scaling = loss.rescale_targets(cases.fit_scaling(y, y, weight), y, weight)
    scaled = loss.target_scaling(scaling).scaled_targets(y, np.ones(40), np.float64)
    if name == "poisson":
        np.testing.assert_allclose(np.average(scaled, axis=0, weights=weight), 1, rtol=1e-12)
        np.testing.assert_allclose(np.exp(scaling.y_mean), np.average(y, axis=0, weights=weight))
    elif name == "huber":
        np.testing.assert_allclose(weighted_median(scaled, weight), 0, atol=1e-12)
        np.testing.assert_allclose(robust_deviation(scaled, weight), 1, rtol=1e-12)
    else:
        np.testing.assert_allclose(np.average(scaled, axis=0, weights=weight), 0, atol=1e-12)


def test_bounded_exp():
    out = bounded_exp(np.array([-1e4, 0.0, 1e4]))
    np.testing.assert_array_equal(out, [0.0, 1.0, np.finfo(np.float64).max])


# Against linear models ----------------------------------------------------------------------------


def linear_inputs(rng, n_samples=250):
    """Two columns of signs: four corners, on which a few ReLUs are any function."""
    return rng.choice([-1.0, 1.0], size=(n_samples, 2))


def test_poisson_finds_the_fit_of_scikit_learn(rng):
    # The network can do more on four corners than the linear model; with rates that are exactly
    # log-linear both have the same optimum, of deviance 0.
    X = linear_inputs(rng)
    y = np.exp(0.3 + X @ [0.5, -0.7])
    linear = PoissonRegressor(alpha=0.0, tol=1e-10, max_iter=1000).fit(X, y)
    model = quick(loss="poisson", alpha=1e-9, batch_size=None, tol=1e-14, max_iter=200).fit(X, y)
    np.testing.assert_allclose(linear.predict(X), y, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), linear.predict(X), rtol=1e-4)
    assert model.loss_ == pytest.approx(0.5 * mean_poisson_deviance(y, model.predict(X)), abs=1e-9)


def test_poisson_fits_the_means_of_groups_as_a_saturated_glm_does(rng):
    # One column of signs: two groups, where the network and PoissonRegressor are both saturated
    # and predict the mean of each group, up to penalties of 1e-9.
    X = rng.choice([-1.0, 1.0], size=(200, 1))
    y = rng.poisson(np.exp(1 + X[:, 0])).astype(float)
    weight = rng.uniform(0.5, 2.0, 200)
    linear = PoissonRegressor(alpha=0.0, tol=1e-10, max_iter=1000).fit(X, y, weight)
    model = quick(loss="poisson", alpha=1e-9, batch_size=None, tol=1e-14, max_iter=200)
    model.fit(X, y, weight)
    np.testing.assert_allclose(model.predict(X), linear.predict(X), rtol=1e-5)


def test_huber_finds_the_linear_model_that_scikit_learn_finds(rng):
    # With 2000 rows, noise 0.1 and 5 % outliers both estimates are within a few times
    # 0.1 * sqrt(8 parameters / 2000) of the truth, plus the outliers' bias of at most
    # 0.05 / 0.95 thresholds; the network has more freedom, hence 0.05 in all.
    X = rng.uniform(-1, 1, (2000, 2))
    clean = 0.5 + X @ [1.0, -2.0]
    y = clean + 0.1 * rng.standard_normal(2000)
    y[rng.random(2000) < 0.05] += 100.0
    linear = HuberRegressor(alpha=1e-6).fit(X, y)
    model = SketchGNRegressor(width=8, loss="huber", random_state=0, max_iter=300).fit(X, y)
    assert root_mean_squared_error(clean, linear.predict(X)) < 0.02
    assert root_mean_squared_error(linear.predict(X), model.predict(X)) < 0.05


# What they are for --------------------------------------------------------------------------------


def test_poisson_beats_the_squared_error_on_skewed_counts(rng):
    X, y = counts(rng, 1200, skew=1.2)
    deviance = {}
    for loss in ("squared_error", "poisson"):
        model = SketchGNRegressor(width=32, loss=loss, max_iter=200, random_state=0)
        model.fit(X[:400], y[:400])
        # The squared error predicts negative rates, which have no deviance: a mild floor for both.
        predicted = np.maximum(model.predict(X[400:]), 0.01)
        deviance[loss] = mean_poisson_deviance(y[400:], predicted)
    assert deviance["poisson"] < 0.95 * deviance["squared_error"]


@pytest.mark.parametrize(("size", "alpha"), [(10.0, 0.3), (1000.0, "auto")])
def test_huber_beats_the_squared_error_with_gross_outliers(size, alpha, rng):
    X = rng.standard_normal((800, 4))
    y = np.sin(X[:, 0]) + X[:, 1] + 0.2 * rng.standard_normal(800)
    train = y[:240].copy()
    wrong = rng.random(240) < 0.05
    train[wrong] += size * np.abs(rng.standard_normal(wrong.sum()))
    error = {}
    for loss, target in (("squared_error", train), ("huber", train), ("clean", y[:240])):
        model = SketchGNRegressor(
            width=16,
            loss="squared_error" if loss == "clean" else loss,
            alpha=alpha,
            max_iter="auto" if alpha == "auto" else 200,
            random_state=0,
        )
        model.fit(X[:240], target)
        error[loss] = root_mean_squared_error(y[240:], model.predict(X[240:]))
    assert error["huber"] < 0.5 * error["squared_error"]
    assert error["huber"] < 1.6 * error["clean"]


# Invariances --------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, "auto"])
@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("seed", range(5))
def test_weights_are_repetitions(name, seed, alpha):
    rng = np.random.default_rng(seed)
    X, y = counts(rng, 30)
    weight = rng.integers(0, 4, 30)
    order = rng.permutation(weight.sum())
    repeated = np.repeat(X, weight, axis=0)[order], np.repeat(y, weight)[order]
    model = quick(loss=name, alpha=alpha)
    weighted = model.fit(X, y, weight).predict(X)
    np.testing.assert_allclose(weighted, model.fit(*repeated).predict(X), rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e3, 1e8])
@pytest.mark.parametrize("name", CURVED)
def test_the_unit_of_the_targets_is_the_unit_of_the_predictions(name, unit, rng):
    X, y = counts(rng)
    y += 0.25 * (name == "huber")
    plain, scaled = quick(loss=name).fit(X, y), quick(loss=name).fit(X, unit * y)
    np.testing.assert_allclose(scaled.predict(X), unit * plain.predict(X), rtol=1e-5)
    power = 1 if name == "poisson" else 2
    assert scaled.loss_ == pytest.approx(unit**power * plain.loss_, rel=1e-5)


def test_counts_and_rates_with_exposure_as_weights(rng):
    # Equal exposures: counts E, rates 1 with weight E. The weights scale the sum of the losses as
    # counts do, and the penalty is relative to it: E times the weight wants E times the penalty.
    X, y = counts(rng)
    as_counts = quick(loss="poisson", alpha=0.1).fit(X, 5.0 * y)
    as_rates = quick(loss="poisson", alpha=0.5).fit(X, y, np.full(len(y), 5.0))
    np.testing.assert_allclose(5.0 * as_rates.predict(X), as_counts.predict(X), rtol=1e-5)


@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("batch_size", ["auto", 64, None])
def test_the_loss_is_that_of_the_predictions(name, batch_size, rng):
    X, y = counts(rng)
    model = quick(loss=name, batch_size=batch_size, warm_start=True, max_iter=20)
    model.fit(X, np.column_stack([y, 3 * y]))
    assert model.n_outputs_ == 2
    predicted, target = model.predict(X), np.column_stack([y, 3 * y])
    if name == "poisson":
        expected = 0.5 * mean_poisson_deviance(target.ravel(), predicted.ravel())
    else:
        scaling, (training,) = model._resume
        units = (predicted - target) / scaling.y_scale
        loss = training.loss_function.formulas(units, np.zeros_like(units))[0]
        expected = np.mean(loss * scaling.y_scale**2)
    assert model.loss_ == pytest.approx(expected, rel=1e-4)


def test_poisson_starts_at_the_mean(rng):
    X, y = counts(rng)
    model = quick(loss="poisson").fit(X, y)
    assert model.loss_curve_[0] == pytest.approx(
        0.5 * mean_poisson_deviance(y, np.full(len(y), y.mean())), rel=1e-6
    )


# Errors and extremes ------------------------------------------------------------------------------


def test_negative_and_all_zero_counts(rng):
    X, y = counts(rng)
    with pytest.raises(ValueError, match=r"out of the valid range of loss='poisson'.*-1"):
        quick(loss="poisson").fit(X, y - 1)
    with pytest.raises(ValueError, match=r"requires non-negative y and sum\(y\) > 0"):
        quick(loss="poisson").fit(X, 0 * y)
    with pytest.raises(ValueError, match="every output"):
        quick(loss="poisson").fit(X, np.column_stack([y, 0 * y]))
    with pytest.raises(ValueError, match="valid range"):
        quick(loss="poisson").fit(X, y, X_val=X, y_val=y - 1)
    # A row of weight 0 is as good as absent.
    quick(loss="poisson").fit(X, np.where(np.arange(len(y)) == 0, -1, y), np.arange(len(y)) > 0)


@pytest.mark.parametrize("name", CURVED)
def test_missing_values_and_the_papers_network(name, rng):
    X, y = counts(rng)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        quick(loss=name).fit(X, np.where(y == y.max(), np.nan, y))
    with pytest.raises(ValueError, match="train_output=False .* needs loss='squared_error'"):
        quick(loss=name, train_output=False).fit(X, y)


def test_warm_start_refuses_another_loss(rng):
    X, y = counts(rng)
    model = quick(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="cannot continue the last fit.*loss"):
        model.set_params(loss="poisson").fit(X, y)


@pytest.mark.parametrize("name", CURVED)
def test_warm_start_keeps_the_loss_as_it_was(name, rng):
    X, y = counts(rng)
    common = {"loss": name, "batch_size": None, "damping": 0.1, "tol": 0.0}
    whole = quick(max_iter=4, **common).fit(X, y)
    stepwise = quick(max_iter=1, warm_start=True, **common)
    # The pilot that finds the threshold is shorter in proportion to max_iter, down to a fifth,
    # which both of these have.
    for _ in range(4):
        stepwise.fit(X, y)
    np.testing.assert_allclose(stepwise.predict(X), whole.predict(X), rtol=1e-6)


@pytest.mark.parametrize("batch_size", ["auto", 64])
def test_one_extreme_count_does_not_spoil_the_fit(batch_size, rng):
    X, y = counts(rng)
    y[7] = 1e8
    model = quick(loss="poisson", batch_size=batch_size, alpha="auto").fit(X, y)
    predicted = model.predict(X)
    assert np.isfinite(predicted).all() and (predicted >= 0).all()
    assert np.isfinite(model.loss_curve_).all()
    # Where no other row tells of it the penalty goes up, and the rate stays near the mean.
    mean = np.full(len(y), y.mean())
    rates = np.maximum(predicted, 1e-300)
    assert mean_poisson_deviance(y, rates) < 1.001 * mean_poisson_deviance(y, mean)


@pytest.mark.parametrize("name", CURVED)
def test_twenty_rows(name, rng):
    X, y = counts(rng, 20)
    model = SketchGNRegressor(width=16, loss=name, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert model.loss_ < model.loss_curve_[0]


def test_predictions_of_poisson_never_overflow(rng):
    X, y = counts(rng)
    model = quick(loss="poisson").fit(X, y)
    for dtype in (np.float32, np.float64):
        predicted = model.predict((1e6 * X).astype(dtype))
        assert predicted.dtype == dtype and np.isfinite(predicted).all()


def test_rates_beyond_float32_are_float64(rng):
    X, y = counts(rng)
    model = quick(loss="poisson").fit(X, 1e45 * y)
    predicted = model.predict(X.astype(np.float32))
    assert predicted.dtype == np.float64
    np.testing.assert_allclose(predicted, model.predict(X), rtol=1e-3)


def test_only_poisson_wants_positive_targets():
    wants = {name: get_tags(quick(loss=name)).target_tags.positive_only for name in cases.LOSSES}
    assert wants == {"squared_error": False, "poisson": True, "huber": False}


@pytest.mark.parametrize("name", CURVED)
def test_members_and_early_stopping(name, rng):
    X, y = counts(rng)
    model = quick(loss=name, n_members=2, early_stopping=True, n_iter_no_change=5).fit(X, y)
    assert model.coefs_[0].shape == (3, 16)
    assert len(model.validation_loss_curve_) == len(model.loss_curve_)
    # The average of the networks is one in f: for rates it is a geometric mean.
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    f = (hidden @ model.coefs_[1] + model.intercepts_[1]).ravel()
    expected = np.exp(f) if name == "poisson" else f
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)
