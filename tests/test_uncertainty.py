"""predict(X, return_std=True)."""

import pickle
import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_linnerud, make_friedman1

from sklearn_sketchgn import SketchGNRegressor, _calibration, _rehearsal, _uncertainty
from sklearn_sketchgn._network import Network
from sklearn_sketchgn._tangent_kernel import TangentKernel
from tests import references
from tests.cases import Shape, network_arrays, ordinary_table

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def quick(**parameters):
    few = {"width": 8, "max_iter": 60, "alpha": 0.1, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X, y


@pytest.fixture(scope="module")
def fitted(diabetes):
    return quick().fit(*diabetes)


# The kernel and the posterior against dense algebra -----------------------------------------------


@pytest.mark.parametrize("train_output", [True, False])
@pytest.mark.parametrize("block", [2**20, 100])
def test_kernel_is_that_of_the_jacobian(train_output, block, rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._tangent_kernel._BLOCK_ELEMENTS", block)
    rows, hidden, output = network_arrays(ordinary_table, Shape(24, 6, 64, 1), rng)
    kernel = TangentKernel.of(Network(hidden, output, np.zeros(1), train_output))
    J = references.jacobian(rows, hidden, output, train_output=train_output)
    np.testing.assert_allclose(kernel(rows[:10], rows[10:]), J[:10] @ J[10:].T, atol=1e-11)
    np.testing.assert_allclose(kernel.diagonal(rows), np.sum(J**2, axis=1), atol=1e-11)


@pytest.mark.parametrize("n_members", [1, 2])
def test_kernel_of_several_outputs_is_the_mean_and_members_keep_their_weights(n_members, rng):
    rows, hidden, output = network_arrays(ordinary_table, Shape(20, 4, 12, 3), rng)
    network = Network(hidden, output / n_members, np.zeros(3))
    blocks = [references.jacobian(rows, hidden, output[:, [j]]) for j in range(3)]
    expected = np.mean([J @ J.T for J in blocks], axis=0)
    kernel = TangentKernel.of(network, n_members)
    np.testing.assert_allclose(kernel(rows, rows), expected, atol=1e-11)


def dense_deviation(model, X, y, X_test, weight):
    """Return the standard deviation by the full Jacobian, without the correction g."""
    state = model._uncertainty
    network = state.scaling.unfold(model.coefs_, model.intercepts_, train_output=state.train_output)
    output = state.n_members * np.sqrt(np.mean(network.output**2, axis=1, keepdims=True))

    def scaled(X, weight):
        return state.scaling.scaled_rows(
            X, np.sqrt(weight), np.float64, ones=int(state.train_output)
        )

    def J(rows):
        return references.jacobian(rows, network.hidden, output, train_output=state.train_output)

    rows, unit, y = (
        scaled(X_test, np.ones(len(X_test))),
        state.scaling.y_scale,
        y.reshape(len(y), -1),
    )
    predicted, variance = network.evaluate(scaled(X, np.ones(len(X)))), 1.0
    curvature = np.ones_like(predicted)
    if model.loss == "poisson":
        unit = np.exp(state.scaling.y_mean)
        variance = model.predict(X_test).reshape(len(rows), -1) / unit
        curvature = np.exp(predicted)
    elif model.loss == "huber":
        threshold = model._resume[1][0].loss_function.threshold
        residual = np.abs(predicted - (y - state.scaling.y_mean) / unit)
        curvature = np.minimum(1, threshold / residual)
        assert curvature.min() < 0.9
    A = J(scaled(X, weight / weight.mean() * curvature.mean(axis=1)))
    precision = A.T @ A + state.ridge * np.eye(A.shape[1])
    B = J(rows)
    leverage = np.einsum("np,np->n", B, np.linalg.solve(precision, B.T).T)[:, None]
    return np.sqrt(state.noise * (variance + variance**2 * leverage)) * unit


@pytest.mark.parametrize(
    "parameters",
    [
        {"width": 40},
        {"width": 3},
        {"width": 30, "n_members": 2},
        {"width": 40, "train_output": False, "batch_size": None},
        {"width": 40, "batch_size": 64},
        {"width": 20, "loss": "poisson"},
        {"width": 20, "loss": "huber", "warm_start": True, "alpha": 3.0},
    ],
    ids=repr,
)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_against_the_full_jacobian(parameters, n_outputs, diabetes, rng):
    X, y = diabetes[0][:200], diabetes[1][:200]
    y = y if n_outputs == 1 else np.column_stack([y, np.log(y), X[:, 2] ** 2])
    if parameters.get("loss") == "huber":
        y = y.copy()
        y[::20] += 10 * y.std(axis=0)
    weight = rng.integers(1, 4, size=200).astype(float)
    X_test = X[::9] + 0.5 * X.std(axis=0) * rng.standard_normal(X[::9].shape)
    X_test[0] += 10 * X.std(axis=0)
    model = quick(max_iter=130, **parameters).fit(X, y, weight)
    mean, std = model.predict(X_test, return_std=True)
    assert std.shape == mean.shape
    state = model._uncertainty
    # Divide by exp(g / 2), which the next test looks at.
    object.__setattr__(state, "log_weights", 0 * state.log_weights)
    object.__setattr__(state, "log_range", 0 * state.log_range)
    _, plain = model.predict(X_test, return_std=True)
    expected = dense_deviation(model, X, y, X_test, weight)
    np.testing.assert_allclose(plain.reshape(expected.shape), expected, rtol=1e-4)
    assert 1 < expected.max() / expected.min()


def test_the_correction_stays_within_its_range(fitted, diabetes):
    X, _ = diabetes
    far = X.mean(axis=0) + 30 * (X - X.mean(axis=0))
    model = pickle.loads(pickle.dumps(fitted))
    state, stds = model._uncertainty, []
    assert (state.log_range[0] < state.log_range[1]).all()
    for log_weights in (100 * state.log_weights, 0 * state.log_weights):
        object.__setattr__(state, "log_weights", log_weights)
        stds.append(model.predict(far, return_std=True)[1])
    g = 2 * np.log(stds[0] / stds[1]) + np.clip(0, *state.log_range)
    low, high = state.log_range[:, 0]
    assert low - 1e-9 <= g.min() and g.max() <= high + 1e-9
    assert np.isclose(g, high).any() or np.isclose(g, low).any()


# Properties ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [{}, {"batch_size": None}, {"solver": "cg"}, {"loss": "poisson"}, {"loss": "huber"}],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repetitions(parameters, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.random((30, 4)), rng.random(30)
    weight = rng.integers(0, 8, size=30)
    repeated, repeated_y = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    order = rng.permutation(len(repeated))
    X_test = rng.random((20, 4))
    model = quick(**parameters)
    stds = [
        clone(model).fit(*data).predict(X_test, return_std=True)[1]
        for data in ((X, y, weight), (repeated[order], repeated_y[order]))
    ]
    np.testing.assert_allclose(*stds, rtol=1e-5)


@pytest.mark.parametrize("held_out", [False, True])
def test_the_unit_of_the_weights_does_not_matter(held_out, diabetes):
    X, y = diabetes[0][:200], diabetes[1][:200]
    weight = np.arange(200) % 3 + 1.0
    validation = (diabetes[0][200:260], diabetes[1][200:260]) if held_out else (None, None)
    model = quick(alpha="auto")

    def deviations(unit):
        weight_val = np.full(60, unit) if held_out else None
        model.fit(X, y, unit * weight, *validation, weight_val)
        return model.predict(X, return_std=True)[1]

    expected = deviations(1.0)
    for unit in (1 / 200, 3.9, 1e5):
        np.testing.assert_allclose(deviations(unit), expected, rtol=1e-5)


def test_counts_vary_by_the_rate_that_is_predicted(rng):
    X = rng.standard_normal((400, 1))
    model = quick(loss="poisson").fit(X, rng.poisson(np.exp(X[:, 0])))
    # Both are beyond the bounds, where predictions stay, and the network does not.
    for rows in ([[-8.0], [-20.0]], [[8.0], [20.0]]):
        mean, std = model.predict(rows, return_std=True)
        assert mean[0] == mean[1]
        assert (std > 0.5 * np.sqrt(mean)).all()
        assert 1 <= std[1] / std[0] < 10


def test_predictions_do_not_depend_on_it(fitted, diabetes, monkeypatch):
    X, y = diabetes
    mean, _ = fitted.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, fitted.predict(X))
    monkeypatch.setattr(
        "sklearn_sketchgn._fitting.fit_uncertainty", lambda *args, **kwargs: "it was not wanted"
    )
    np.testing.assert_array_equal(quick().fit(X, y).predict(X), mean)


def test_same_seed_same_bits(fitted, diabetes):
    X, y = diabetes
    again = quick().fit(X, y)
    np.testing.assert_array_equal(
        again.predict(X, return_std=True)[1], fitted.predict(X, return_std=True)[1]
    )


@pytest.mark.parametrize("factor", [1e-3, 250.0])
def test_scales_with_the_target(factor, fitted, diabetes):
    X, y = diabetes
    _, std = quick().fit(X, factor * y - 7).predict(X, return_std=True)
    np.testing.assert_allclose(std, factor * fitted.predict(X, return_std=True)[1], rtol=1e-4)


def test_units_of_the_inputs_do_not_matter(fitted, diabetes):
    X, y = diabetes
    other = X * np.logspace(-3, 3, X.shape[1]) + 5
    _, std = quick().fit(other, y).predict(other, return_std=True)
    np.testing.assert_allclose(std, fitted.predict(X, return_std=True)[1], rtol=1e-4)


def test_grows_away_from_the_rows(fitted, diabetes):
    X, _ = diabetes
    direction = X.std(axis=0) * np.random.default_rng(0).standard_normal(X.shape[1])
    far = X.mean(axis=0) + np.array([[0], [5], [50], [500]]) * direction
    _, std = fitted.predict(far, return_std=True)
    assert std[3] > 5 * std[2] > 10 * std[0]
    assert std[2] > std[1]


def test_covers_unseen_rows_and_finds_the_noisy_ones():
    X, y = make_friedman1(2000, noise=0.0, random_state=0)
    rng = np.random.default_rng(0)
    deviation = np.where(X[:, 5] > 0.5, 3.0, 0.5)  # the noise depends on an input of no other use
    y = y + deviation * rng.standard_normal(len(y))
    model = SketchGNRegressor(width=32, random_state=0).fit(X[:800], y[:800])
    mean, std = model.predict(X[800:], return_std=True)
    covered = np.abs(mean - y[800:]) <= 1.645 * std
    # A scale from 160 errors is off by some 8 %, which moves the coverage by 0.027: twice that, and
    # the 0.01 of 1200 rows.
    assert 0.83 < covered.mean() < 0.97
    noisy = deviation[800:] > 1
    assert std[noisy].mean() > 1.25 * std[~noisy].mean()


@pytest.mark.parametrize("dispersion", [1, 4])
def test_counts_are_covered_at_small_and_at_large_rates(dispersion):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2800, 4))
    rate = 10 * np.exp(np.sin(2 * X[:, 0]) + 0.5 * X[:, 1])
    # A Poisson distribution, and a negative binomial one, of variance dispersion * rate.
    gamma = rate if dispersion == 1 else rng.gamma(rate / (dispersion - 1), dispersion - 1)
    y = rng.poisson(gamma).astype(float)
    model = SketchGNRegressor(width=32, loss="poisson", random_state=0).fit(X[:800], y[:800])
    mean, std = model.predict(X[800:], return_std=True)
    covered = np.abs(mean - y[800:]) <= 1.645 * std
    # As below, and 0.01 for each half and 0.02 for counts that are not normal. A deviation that
    # does not grow with the rate covers 0.99 of one half and 0.8 of the other.
    large = mean > np.median(mean)
    assert 0.80 < covered[large].mean() < 0.985
    assert 0.80 < covered[~large].mean() < 0.985
    assert std[large].mean() > 1.5 * std[~large].mean()
    expected = np.sqrt(dispersion * rate[800:] + (mean - rate[800:]) ** 2)
    assert np.median(std / expected) == pytest.approx(1, abs=0.25)


def test_huber_covers_what_is_no_outlier():
    shares = []
    for draw in range(3):
        X, y = make_friedman1(2000, noise=1.0, random_state=draw)
        rng = np.random.default_rng(draw)
        wrong = rng.random(800) < 0.05
        y[:800][wrong] += 5000 * np.abs(rng.standard_normal(wrong.sum()))
        model = SketchGNRegressor(width=32, loss="huber", random_state=draw).fit(X[:800], y[:800])
        mean, std = model.predict(X[800:], return_std=True)
        shares.append(np.mean(np.abs(mean - y[800:]) <= 1.645 * std))
        assert np.sqrt(np.mean(std**2)) < 2
    # 160 errors, of which some are outliers, leave each draw uncertain by 0.04.
    assert 0.85 < np.mean(shares) < 0.95


def test_a_network_that_interpolates_knows_that_it_does_not_know():
    X, y = make_friedman1(150, noise=1.0, random_state=0)
    X_test, y_test = make_friedman1(500, noise=1.0, random_state=1)
    model = SketchGNRegressor(width=128, alpha=1e-4, max_iter=300, random_state=0).fit(X, y)
    seen = np.sqrt(np.mean((model.predict(X) - y) ** 2))
    mean, std = model.predict(X_test, return_std=True)
    unseen = np.sqrt(np.mean((mean - y_test) ** 2))
    assert seen < 0.1 * unseen  # residuals say nothing here
    # Too small, as docs/uncertainty.md says of a penalty that is too small; but of the right order.
    assert 0.4 * unseen < np.sqrt(np.mean(std**2)) < 1.5 * unseen


def test_validation_rows_are_used_instead_of_a_rehearsal(diabetes, monkeypatch):
    X, y = diabetes

    def refuse(*args, **kwargs):
        raise AssertionError("a rehearsal although there are validation rows")

    monkeypatch.setattr(_calibration, "rehearse", refuse)
    wide = quick().fit(
        X[:300], y[:300], X_val=X[300:], y_val=y[300:] + 500 * (-1) ** np.arange(142)
    )
    _, std = wide.predict(X, return_std=True)
    assert 400 < np.median(std) < 600
    _, std = quick(early_stopping=True).fit(X, y).predict(X, return_std=True)
    assert 30 < np.median(std) < 80


@pytest.mark.parametrize(("n_samples", "most"), [(277, 139), (250, 250), (600, 200)])
def test_a_rehearsal_takes_no_larger_batches_than_the_fit(n_samples, most, rng, monkeypatch):
    sizes = []
    original = _rehearsal.run_groups

    def note(trainings, *args, **kwargs):
        original(trainings, *args, **kwargs)
        sizes.extend(trainings[0].history["batch_size"])

    monkeypatch.setattr(_rehearsal, "run_groups", note)
    X = rng.standard_normal((n_samples, 3))
    quick().fit(X, X[:, 0])
    assert 0.6 * most < max(sizes) <= most


# Shapes, dtypes, limits ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e160, 1e200])
def test_rows_beyond_any_scale_are_not_known_at_all(size, fitted, diabetes):
    mean, std = fitted.predict(size * diabetes[0], return_std=True)
    assert np.isfinite(mean).all()
    assert not np.isnan(std).any()
    assert np.isinf(std).any()


def test_deviations_beyond_float32_are_float64(rng):
    X = rng.standard_normal((40, 3))
    model = quick(loss="poisson").fit(X, np.exp(X[:, 0]))
    mean, std = model.predict((300 * X).astype(np.float32), return_std=True)
    assert mean.dtype == std.dtype
    assert np.isfinite(std).all()


def test_several_outputs_have_their_own_deviations():
    X, y = load_linnerud(return_X_y=True)
    mean, std = quick().fit(X, y).predict(X, return_std=True)
    assert mean.shape == std.shape == y.shape
    assert (std > 0).all()
    assert len(np.unique(std[0])) == 3
    one_column = quick().fit(X, y[:, :1])
    assert one_column.predict(X, return_std=True)[1].shape == (len(X), 1)


def test_float32_in_float32_out(fitted, diabetes):
    X, _ = diabetes
    _, std = fitted.predict(X.astype(np.float32), return_std=True)
    assert std.dtype == np.float32
    np.testing.assert_allclose(std, fitted.predict(X, return_std=True)[1], rtol=1e-4)


def test_blocks_of_rows_change_nothing(fitted, diabetes, monkeypatch):
    X, _ = diabetes
    _, whole = fitted.predict(X, return_std=True)
    monkeypatch.setattr(_uncertainty, "BLOCK", 7)
    np.testing.assert_allclose(fitted.predict(X, return_std=True)[1], whole, rtol=1e-9)


@pytest.mark.parametrize("damping", ["auto", 0])
def test_no_penalty_and_repeated_rows(damping, diabetes):
    # J is rank-deficient: antisymmetric pairs at the start, and every row twice.
    X, y = np.repeat(diabetes[0][:60], 2, axis=0), np.repeat(diabetes[1][:60], 2)
    model = quick(alpha=0, damping=damping, max_iter=20, batch_size=None).fit(X, y)
    _, std = model.predict(X, return_std=True)
    assert np.isfinite(std).all() and (std > 0).all()


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"batch_size": 64}])
def test_constant_target(parameters, diabetes):
    X, _ = diabetes
    model = quick(**parameters).fit(X, np.full(len(X), 3.0))
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, 3)
    np.testing.assert_allclose(std, 0, atol=1e-6)


def test_constant_inputs(diabetes):
    _, y = diabetes
    X = np.ones((len(y), 2))
    _, std = quick(max_iter=10).fit(X, y).predict(X[:3], return_std=True)
    assert std == pytest.approx(y.std(), rel=0.3)


@pytest.mark.parametrize("n_samples", [1, 4])
def test_too_few_rows(n_samples, rng):
    model = quick(max_iter=5).fit(rng.standard_normal((n_samples, 2)), np.arange(n_samples))
    with pytest.raises(ValueError, match="no standard deviation, because .*fewer than five"):
        model.predict(np.zeros((1, 2)), return_std=True)
    assert model.predict(np.zeros((1, 2))).shape == (1,)


def test_a_stream_has_none_and_says_why(fitted, diabetes):
    model = clone(fitted).fit(*diabetes).partial_fit(*diabetes)
    with pytest.raises(ValueError, match="because partial_fit keeps no rows to estimate one from"):
        model.predict(diabetes[0], return_std=True)


@pytest.mark.parametrize("batch_size", ["auto", 8])
@pytest.mark.parametrize(("X_unit", "y_unit"), [(1e250, 1.0), (1.0, 1e250), (1e250, 1e250)])
def test_held_out_rows_beyond_any_scale(X_unit, y_unit, batch_size, rng):
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    model = quick(max_iter=5, batch_size=batch_size)
    model.fit(X, y, X_val=X_unit * X, y_val=y_unit * y)
    assert np.isfinite(model.predict(X)).all()
    if y_unit == 1:  # inputs count as at the bounds
        assert np.isfinite(model.predict(X, return_std=True)).all()
        return
    with pytest.raises(ValueError, match="its held-out rows or the errors there are beyond any"):
        model.predict(X, return_std=True)


def test_five_rows_are_enough(rng):
    X = rng.standard_normal((5, 2))
    _, std = quick(max_iter=5).fit(X, np.arange(5.0)).predict(X, return_std=True)
    assert np.isfinite(std).all()


def test_an_interrupt_keeps_the_model(diabetes, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_calibration, "rehearse", interrupt)
    model = quick(max_iter=5).fit(*diabetes)
    assert model.predict(diabetes[0]).shape == (len(diabetes[0]),)
    with pytest.raises(ValueError, match="because it was interrupted"):
        model.predict(diabetes[0], return_std=True)


def test_an_estimator_that_was_stored_without_it(fitted, diabetes):
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        restored.predict(diabetes[0], return_std=True)[1],
        fitted.predict(diabetes[0], return_std=True)[1],
    )
    del restored._uncertainty
    with pytest.raises(ValueError, match="stored without its standard deviation. Call `fit`"):
        restored.predict(diabetes[0], return_std=True)


# Bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_features", "width"), [(5, 2000), (600, 16)])
def test_pickle_and_memory_stay_small(n_features, width, rng):
    X = rng.standard_normal((3000, n_features)).astype(np.float32)
    y = X[:, 0] + 0.1 * rng.standard_normal(3000)
    model = quick(width=width, max_iter=12, damping=1.0).fit(X[:300], y[:300])
    assert len(pickle.dumps(model._uncertainty)) < 4 * 2**20
    tracemalloc.start()
    model.predict(X, return_std=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Two copies of the weights in float64, and blocks.
    assert peak < 64 * 2**20 + 16 * n_features * width


def test_work_does_not_grow_with_the_table(rng, monkeypatch):
    counted = []
    original = TangentKernel.__call__

    def count(self, first, second):
        counted.append(len(first) * len(second))
        return original(self, first, second)

    monkeypatch.setattr(TangentKernel, "__call__", count)
    X = rng.standard_normal((40_000, 3))
    quick(max_iter=9).fit(X, X[:, 0])
    few_steps = sum(counted)
    counted.clear()
    quick(width=2, max_iter=1200).fit(X, X[:, 0])
    assert few_steps < 256 * (256 + 256 + 2048) + 1
    assert sum(counted) < 256 * (256 + 4096 + 2048) + 1
