"""The two phases of training, and the paper's algorithm."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import CG, Direct, Gaussian, SketchGNRegressor
from sklearn_sketchgn._all_rows_phase import run_all_rows
from sklearn_sketchgn._batch_phase import run_batches, run_groups
from sklearn_sketchgn._metric import damping_metric
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn._plan import auto_batch_size
from sklearn_sketchgn._training import Training
from sklearn_sketchgn._training_data import TrainingData
from sklearn_sketchgn.solvers import Solver, SolveResult
from tests import cases

quiet = pytest.mark.filterwarnings("ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning")


def start(rng, *, n_samples=60, n_outputs=1, width=10, solver=None, **parameters):
    """Return a Training at its start and its rows."""
    X = rng.standard_normal((n_samples, 3))
    y = np.sin(2 * X[:, :1]) + rng.standard_normal((n_samples, n_outputs))
    weights = rng.uniform(0.5, 2.0, size=n_samples)
    scaling = cases.fit_scaling(X, y, weights)
    root = np.sqrt(weights)
    rows = scaling.scaled_rows(X, root, np.float64, ones=1)
    data = TrainingData(rows, scaling.scaled_targets(y, root, np.float64), weights)
    training = Training(
        network=initialise(width, 4, n_outputs, rng),
        solver=solver or Direct(),
        sketch=None,
        rng=rng,
        total_weight=float(weights.sum()),
        output_scale=scaling.y_scale,
        **{"alpha": 0.1, "damping": 0.04, "momentum": 0.9, **parameters},
    )
    return training, data


def objective(training, data):
    """The objective of the class docstring, term by term."""
    network, k = training.network, len(training.network.intercept)
    residual = network.evaluate(data.rows) - data.targets
    coefs = np.sum(network.hidden**2) + np.sum(network.output**2)
    total = np.sum(residual**2) + training.alpha * k * coefs
    return total / (2 * k * data.weights.sum())


def test_another_fit_begins_with_nothing_but_the_strategies(rng):
    training, data = start(rng)
    run_batches(training, data, n_steps=3, batch_size=20)
    training.in_effect, training.column_penalty = 3.0, np.ones(4)
    again = training.fresh(training.network, 0.2)
    assert (again.alpha, again.in_effect, again.column_penalty) == (0.2, 1.0, None)
    assert again.previous_step is None
    assert again.marks == [] and not any(again.history.values())
    assert (again.solver, again.rng) == (training.solver, training.rng)
    assert len(training.marks) == len(training.history["alpha"]) == 3


def test_what_a_sketch_draws_changes_no_batch():
    X, y = load_diabetes(return_X_y=True)

    def fitted(solver, sketch):
        few = {"width": 600, "batch_size": 100, "max_iter": 12, "alpha": 0.1, "random_state": 0}
        model = SketchGNRegressor(solver=solver, sketch=sketch, **few)
        return model.fit(X, y)

    expected = fitted("direct", "countsketch").predict(X)
    for sketch in cases.SKETCHES:
        model = fitted(CG(), sketch)
        assert "exact gram" not in model.history_["events"]  # it was drawn
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-3)


class Scripted(Solver):
    """Takes its steps from Direct, times a script of factors."""

    def __init__(self, factors):
        self.factors = factors

    def prepare(self, jacobian, *, sketch, rng, previous=None):
        return Direct().prepare(jacobian)

    def solve(self, state, rhs, ridge):
        result = Direct().solve(state, rhs, ridge)
        factor = self.factors.pop(0) if self.factors else 1.0
        if isinstance(factor, BaseException):
            raise factor
        return SolveResult(factor * result.step)


# All rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("solver", [Direct(), CG()], ids=repr)
def test_objective_never_rises_on_all_rows(n_outputs, solver, rng):
    training, data = start(rng, n_outputs=n_outputs, solver=solver, damping=1e-6)
    training.sketch = Gaussian()
    before = objective(training, data)
    losses = []
    run_all_rows(training, data, n_steps=30, tol=0.0, after_step=losses.append)
    values = [before, *training.history["objective"]]
    # The first is computed here, and may differ in its last digit.
    assert (np.diff(values) <= np.append(1e-14, np.zeros(len(values) - 2))).all()
    assert values[-1] < 0.7 * values[0]
    assert values[-1] == pytest.approx(objective(training, data), rel=1e-10)
    rejected = [event.startswith("rejected") for event in training.history["events"]]
    assert len(losses) == len(values) - 1 - sum(rejected)
    assert len({len(entries) for entries in training.history.values()}) == 1


def test_rejections_double_the_damping_ever_faster_and_acceptance_resets(rng):
    # A step against the descent direction is always rejected.
    training, data = start(rng, solver=Scripted([-1.0, -1.0, -1.0, 1.0, -1.0]), damping=1.0)
    run_all_rows(training, data, n_steps=6, tol=0.0, after_step=lambda loss: False)
    damping, events = training.history["damping"], training.history["events"]
    np.testing.assert_allclose(damping[:4], [1.0, 2.0, 8.0, 64.0])
    assert [event.startswith("rejected") for event in events[:5]] == [True] * 3 + [False, True]
    assert 64 / 3 <= damping[4] <= 2 * 64
    assert damping[5] == pytest.approx(2 * damping[4])


def test_a_step_that_is_not_finite_is_recovered_by_more_damping(rng):
    training, data = start(rng, solver=Scripted([np.nan, np.inf]), damping=1.0)
    before = objective(training, data)
    with np.errstate(all="ignore"):
        reason = run_all_rows(training, data, n_steps=8, tol=0.0, after_step=lambda loss: False)
    assert reason == "max_iter"
    assert objective(training, data) < before
    assert np.isfinite(training.network.parameters()).all()
    np.testing.assert_allclose(training.history["damping"][:3], [1.0, 2.0, 8.0])


def test_good_steps_lower_the_damping_by_nielsens_rule(rng):
    training, data = start(rng, damping=10.0)
    run_all_rows(training, data, n_steps=10, tol=0.0, after_step=lambda loss: False)
    damping = np.array(training.history["damping"])
    ratio = damping[1:] / damping[:-1]
    assert (ratio >= 1 / 3 - 1e-12).all()
    # Under so much damping the linearisation is nearly exact.
    np.testing.assert_allclose(ratio[:2], 1 / 3, rtol=1e-6)


def test_damping_that_does_not_adapt_takes_every_finite_step(rng):
    training, data = start(rng, solver=Scripted([-0.5]), damping=0.3, adapt_damping=False)
    before = objective(training, data)
    run_all_rows(training, data, n_steps=1, tol=0.0, after_step=lambda loss: False)
    assert objective(training, data) > before
    assert training.damping == 0.3


def test_step_on_all_rows_is_damped_per_unit_of_weight(rng):
    training, data = start(rng, damping=0.5)
    theta, problem = training.network.parameters(), training.subproblem(data)
    damping = 0.5 * float(data.weights.sum())
    full, _ = problem.solve(Direct(), Direct().prepare(problem.jacobian), damping)
    run_all_rows(training, data, n_steps=1, tol=0.0, after_step=lambda loss: False)
    np.testing.assert_allclose(training.network.parameters(), theta + full, atol=1e-12)


@pytest.mark.parametrize(
    ("tol", "n_steps", "reason"),
    [(0.5, 50, "decrease"), (0.0, 2, "max_iter"), (0.9999, 50, "gradient")],
)
def test_what_ends_the_phase(tol, n_steps, reason, rng):
    training, data = start(rng)
    ended = run_all_rows(training, data, n_steps=n_steps, tol=tol, after_step=lambda loss: False)
    assert ended in (reason, "decrease") if reason == "gradient" else ended == reason


def test_the_phase_ends_when_it_is_told_to(rng):
    training, data = start(rng)
    ended = run_all_rows(training, data, n_steps=9, tol=0.0, after_step=lambda loss: True)
    assert ended == "early stopping"
    assert len(training.history["objective"]) == 1


# Batches ------------------------------------------------------------------------------------------


class Recording(Direct):
    """Keeps the rows of every batch in a list that clones share."""

    def __init__(self, batches):
        self.batches = batches

    def prepare(self, jacobian, *, sketch=None, rng=None, previous=None):
        self.batches.append(jacobian.rows[:, 0].copy())
        return super().prepare(jacobian)


@pytest.mark.parametrize("batch_size", [7, 20, 25, 59])
def test_every_row_is_used_once_an_epoch_in_batches_of_equal_size(batch_size, rng):
    batches = []
    training, data = start(rng, solver=Recording(batches))
    n_batches = -(-60 // batch_size)
    epochs = []
    run_batches(
        training,
        data,
        n_steps=2 * n_batches,
        batch_size=batch_size,
        after_epoch=lambda loss: epochs.append(loss) or False,
    )
    assert len(batches) == 2 * n_batches
    for epoch in (batches[:n_batches], batches[n_batches:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.sort(data.rows[:, 0]))
        sizes = [len(batch) for batch in epoch]
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
    assert len(epochs) == 2
    assert not np.array_equal(batches[0], batches[n_batches])


def test_one_batch_keeps_the_order_of_the_rows(rng):
    batches = []
    training, data = start(rng, solver=Recording(batches))
    run_batches(training, data, n_steps=2, batch_size=60, after_epoch=lambda *_: False)
    np.testing.assert_array_equal(batches, [data.rows[:, 0]] * 2)


def test_first_step_is_a_share_of_the_minimising_step(rng):
    training, data = start(rng, damping=1.0)
    theta, problem = training.network.parameters(), training.subproblem(data)
    weight = float(data.weights.sum())
    full, _ = problem.solve(Direct(), Direct().prepare(problem.jacobian), 1.0 * weight)
    run_batches(training, data, n_steps=4, batch_size=60, after_epoch=lambda *_: False)
    np.testing.assert_allclose(training.history["step_norm"][0], 0.3 * np.linalg.norm(full))
    training, data = start(np.random.default_rng(0), damping=1.0)
    run_batches(training, data, n_steps=1, batch_size=60, after_epoch=lambda *_: False)
    np.testing.assert_allclose(training.network.parameters(), theta + 0.3 * full, atol=1e-12)
    np.testing.assert_allclose(training.previous_step, full, atol=1e-12)


def test_step_length_falls_linearly(rng):
    # Every solve gives the same tiny step, so that step_norm tells the length it was given.
    class EqualSteps(Direct):
        def solve(self, state, rhs, ridge):
            step = np.zeros(state.jacobian.shape[1])
            step[0] = 1e-9
            return SolveResult(step)

    training, data = start(rng, solver=EqualSteps(), alpha=0.0)
    run_batches(training, data, n_steps=4, batch_size=60, after_epoch=lambda *_: False)
    lengths = 1e9 * np.array(training.history["step_norm"])
    # Momentum adds 0.9 of the step before.
    steps = [1.0]
    for _ in range(3):
        steps.append(1.0 + 0.9 * steps[-1])
    np.testing.assert_allclose(lengths, 0.3 * np.array([1, 0.75, 0.5, 0.25]) * steps)


def test_second_step_is_drawn_to_the_first(rng):
    # Under overwhelming damping a step is momentum times the one before.
    training, data = start(rng, damping=1e9)
    run_batches(training, data, n_steps=2, batch_size=60, after_epoch=lambda *_: False)
    first, second = training.history["step_norm"]
    assert second / first == pytest.approx((0.15 * 1.9) / 0.3, rel=1e-3)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_penalty_of_a_batch_is_its_share_of_the_weight(n_outputs, rng):
    training, data = start(rng, n_outputs=n_outputs, alpha=0.7)
    shares = []
    for index in np.array_split(rng.permutation(60), 4):
        batch = data.take(index)
        shares.append(batch.weights.sum() / data.weights.sum())
        assert training.subproblem(batch).alpha == pytest.approx(0.7 * n_outputs * shares[-1])
    assert sum(shares) == pytest.approx(1)
    assert training.subproblem(data).alpha == pytest.approx(0.7 * n_outputs)


def test_the_penalty_of_columns_counts_in_every_subproblem(rng):
    training, data = start(rng, alpha=0.7)
    metric = damping_metric(data, training.network)
    n_columns = training.network.hidden.shape[1]
    training.column_penalty = np.append(np.linspace(0.1, 9.0, n_columns - 1), 1.0)
    hidden, output = training.network.hidden, training.network.output
    size = np.sum(training.column_penalty * hidden**2) + np.sum(output**2)
    batch = data.take(slice(0, 20))
    for damping in (0.0, training.damping):
        training.damping = damping
        for samples in (data, batch):
            for problem in (training.subproblem(samples), training.subproblem(samples, metric)):
                assert problem.size() == pytest.approx(size)


def test_steps_on_all_rows_lower_the_objective_with_the_penalty_of_columns(rng):
    training, data = start(rng, alpha=0.5)
    columns = np.append(np.linspace(0.1, 9.0, training.network.hidden.shape[1] - 1), 1.0)
    training.column_penalty = columns
    run_all_rows(training, data, n_steps=20, tol=0.0, after_step=lambda _: False)
    more = training.alpha * np.sum((columns - 1) * training.network.hidden**2)
    expected = objective(training, data) + more / (2 * data.weight)
    assert training.history["objective"][-1] == pytest.approx(expected, rel=1e-9)
    assert all(after <= before for before, after in pairwise(training.history["objective"]))


def test_a_batch_step_that_blows_up_is_shortened(rng):
    training, data = start(rng, solver=Scripted([1.0, 50.0, 1e6, 1.0]))
    run_batches(training, data, n_steps=4, batch_size=60, after_epoch=lambda *_: False)
    assert training.history["events"] == ["", "step shortened", "step skipped", ""]
    assert training.history["step_norm"][2] == 0.0
    before, after = training.history["objective"][1:3]
    assert after <= 1.5 * before


def test_no_batch_is_larger_than_asked_for(rng):
    # Tables of different lengths, as where groups of rows are held out.
    training, data = start(rng)
    other = replace(training.fresh(training.network, training.alpha), rng=rng)
    tables = [data, data.take(slice(0, 5))]
    run_groups([training, other], tables, n_steps=6, batch_size=20, after_epoch=lambda *_: False)
    assert training.history["batch_size"] == [20] * 6
    assert sorted(other.history["batch_size"]) == [1, 1, 2, 2, 2, 2]
    short = [data, data.take(slice(0, 2))]
    run_groups([training, other], short, n_steps=2, batch_size=20, after_epoch=lambda *_: False)
    assert other.history["batch_size"][-2:] == [1, 1]  # none is empty


def test_an_epoch_may_be_the_last(rng):
    training, data = start(rng)
    stopped = run_batches(training, data, n_steps=9, batch_size=20, after_epoch=lambda *_: True)
    assert stopped
    assert len(training.history["objective"]) == 3


def test_a_batch_step_that_is_not_finite_is_skipped(rng):
    training, data = start(rng, solver=Scripted([1.0, np.nan, 1.0]))
    with np.errstate(all="ignore"):
        run_batches(training, data, n_steps=3, batch_size=60, after_epoch=lambda *_: False)
    assert "skipped" in training.history["events"][1]
    assert training.history["step_norm"][1] == 0.0
    assert training.history["step_norm"][2] > 0.0
    assert np.isfinite(training.network.parameters()).all()


@pytest.mark.parametrize(("n_outputs", "expected"), [(1, 256), (2, 256), (3, 170), (50, 64)])
def test_automatic_batch_size(n_outputs, expected):
    assert auto_batch_size(n_outputs) == expected
    # Groups take half of it where the table does not fit in one batch.
    assert auto_batch_size(n_outputs, expected, n_groups=4) == expected
    assert auto_batch_size(n_outputs, expected + 1, n_groups=1) == expected
    assert auto_batch_size(n_outputs, expected + 1, n_groups=2) == max(64, expected // 2)


@pytest.mark.parametrize(
    ("n_outputs", "hidden", "expected"),
    [
        (20, (64, 9), 256),
        (20, (64, 31), 64),
        (60, (64, 31), 256),
        (5, (64, 9), 64),
        (2, (4, 2), 128),
    ],
)
def test_many_outputs_take_larger_batches_where_these_cost_no_more(n_outputs, hidden, expected):
    assert auto_batch_size(n_outputs, 1000, n_groups=4, hidden=hidden) == expected


# The estimator's fit ------------------------------------------------------------------------------


@quiet
def test_history_objective_is_the_documented_one(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    weight = rng.uniform(0.5, 2.0, size=40)
    model = SketchGNRegressor(
        width=6, alpha=0.7, batch_size=None, max_iter=5, tol=0.0, random_state=0
    ).fit(X, y, weight)
    scaling = cases.fit_scaling(X, y, weight)
    # Weights and biases in standardised units, recovered from the raw ones.
    hidden = model.coefs_[0] / scaling.x_inverse[:, None]
    bias = model.intercepts_[0] + scaling.x_mean @ model.coefs_[0]
    output = model.coefs_[1] / scaling.y_scale
    residual = (model.predict(X) - y) / scaling.y_scale
    coefs = np.sum(hidden**2) + np.sum(bias**2) + np.sum(output**2)
    total = weight @ np.sum(residual**2, axis=1) + 0.7 * 2 * coefs
    assert model.history_["objective"][-1] == pytest.approx(total / (2 * 2 * weight.sum()))


@quiet
def test_max_iter_counts_the_steps_of_both_phases():
    X, y = load_diabetes(return_X_y=True)
    for max_iter in (1, 9, 10, 25):
        model = SketchGNRegressor(width=4, alpha=1.0, max_iter=max_iter, random_state=0).fit(X, y)
        assert model.n_iter_ <= max_iter
        batch_steps = sum(np.isnan(model.history_["flips"]))
        assert batch_steps == max_iter - max_iter // 10


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_fit_that_gets_worse_predicts_the_mean_and_says_so(n_members, rng):
    X, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    model = SketchGNRegressor(
        width=4,
        alpha=0.0,
        damping=0.0,
        batch_size=1,
        max_iter=5,
        n_members=n_members,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="raised the error.*mean of the targets.*`damping`"):
        model.fit(X, y)
    np.testing.assert_allclose(model.predict(X), y.mean(), rtol=1e-12)
    assert "the mean of the targets" in model.stop_reason_
    assert model.loss_ == pytest.approx(0.5 * np.var(y))
    assert model.loss_ == model.loss_curve_[-1] == model.loss_curve_[0]
    assert model.loss_steps_[-1] == model.n_iter_


@quiet
def test_a_fit_to_be_continued_may_get_worse_but_not_out_of_reach(rng):
    """A network that is a little worse is gone on from; one that is 1e20 deviations away is not."""
    X, y = rng.standard_normal((16, 3)), rng.standard_normal(16)
    wild = {"width": 4, "alpha": 0.0, "damping": 0.0, "random_state": 0, "warm_start": True}
    model = SketchGNRegressor(**wild, batch_size=1, max_iter=5).fit(X, y)
    error = np.mean((model.predict(X) - y) ** 2)
    assert 1.001 * y.var() < error < 1e16 * y.var()

    weight = 10.0 ** rng.permutation(np.linspace(-200, 200, 16))
    wild |= {"alpha": 1.0, "batch_size": None, "solver": "cg", "max_iter": 1}
    model = SketchGNRegressor(**wild).fit(X[:, :1], y, weight)
    np.testing.assert_allclose(model.predict(X[:, :1]), y[weight.argmax()], rtol=1e-12)
    assert "the mean of the targets" in model.stop_reason_


def test_a_fit_that_did_not_converge_warns_once():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=8, alpha=1e-3, batch_size=None, max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=3.*tol=0.0001") as caught:
        model.fit(X, y)
    assert len(caught) == 1


@quiet
@pytest.mark.parametrize("step", [1, 2, 5, 8])
@pytest.mark.parametrize("batch_size", [100, None])
def test_an_interrupt_leaves_a_usable_estimator_or_an_unfitted_one(step, batch_size):
    X, y = load_diabetes(return_X_y=True)

    class Interrupted(Scripted):
        def __sklearn_clone__(self):
            return self

    solver = Interrupted([1.0] * (step - 1) + [KeyboardInterrupt("at a step")])
    model = SketchGNRegressor(
        width=4, alpha=1.0, solver=solver, batch_size=batch_size, max_iter=10, random_state=0
    )
    if step == 1:
        with pytest.raises(KeyboardInterrupt, match="at a step"):
            model.fit(X, y)
        assert vars(model).keys() == model.get_params(deep=False).keys()
        return
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert model.n_iter_ == step - 1
    assert np.isfinite(model.predict(X)).all()


@quiet
@pytest.mark.parametrize("solver", ["cg", "direct"])
@pytest.mark.parametrize("magnitude", [1e-30, 1e30])
@pytest.mark.parametrize("batch_size", [100, None])
def test_only_proportions_of_weights_count(solver, magnitude, batch_size):
    X, y = load_diabetes(return_X_y=True)
    weight = np.linspace(0.5, 2.0, len(y))
    common = {"width": 4, "max_iter": 8, "solver": solver, "batch_size": batch_size}
    plain = SketchGNRegressor(alpha=1.0, random_state=0, **common).fit(X, y, weight)
    scaled = SketchGNRegressor(alpha=magnitude, random_state=0, **common).fit(
        X, y, magnitude * weight
    )
    np.testing.assert_allclose(scaled.predict(X), plain.predict(X), rtol=2e-2)


@quiet
@pytest.mark.parametrize("solver", ["cg", "direct"])
@pytest.mark.parametrize("batch_size", [100, None])
@pytest.mark.parametrize("magnitude", [1e-290, 1e-30, 1e30, 1e290])
def test_magnitudes_of_inputs_and_targets_do_not_matter(solver, batch_size, magnitude):
    X, y = load_diabetes(return_X_y=True)
    common = {"width": 4, "max_iter": 8, "solver": solver, "batch_size": batch_size, "alpha": 1.0}
    plain = SketchGNRegressor(random_state=0, **common).fit(X, y).predict(X)
    inputs = SketchGNRegressor(random_state=0, **common).fit(magnitude * X, y)
    targets = SketchGNRegressor(random_state=0, **common).fit(X, magnitude * y)
    rtol = 1e-6 if batch_size is None else 2e-2
    np.testing.assert_allclose(inputs.predict(magnitude * X), plain, rtol=rtol)
    np.testing.assert_allclose(targets.predict(X) / magnitude, plain, rtol=rtol)


# The paper ----------------------------------------------------------------------------------------


def paper_table(n_samples, n_features, rng):
    X = rng.standard_normal((n_samples, n_features))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]


def contraction(n_samples, n_features, width, rng, *, sketch="countsketch"):
    """Return the geometric mean of ||r_{t+1}|| / ||r_t|| over 8 steps, or until 1e-8."""
    X, y = paper_table(n_samples, n_features, rng)
    model = SketchGNRegressor(
        width,
        batch_size=None,
        train_output=False,
        alpha=0,
        damping=0,
        solver="cg",
        sketch=sketch,
        max_iter=8,
        tol=0,
        random_state=0,
    ).fit(X, y)
    norms = np.sqrt(model.loss_curve_)
    assert np.isfinite(norms).all()
    until = int(np.argmax(norms <= 1e-8 * norms[0])) or len(norms) - 1
    return (norms[until] / norms[0]) ** (1 / until), model


@quiet
@pytest.mark.parametrize("sketch", ["countsketch", "srht", "gaussian"])
def test_paper_mode_contracts(sketch, rng):
    rate, model = contraction(200, 16, 800, rng, sketch=sketch)
    assert rate <= 0.6
    assert min(model.history_["cg_iterations"]) > 1  # sketched, not exact
    assert set(np.abs(model.coefs_[1]).ravel()) == {model.coefs_[1].max()}
    np.testing.assert_array_equal(model.intercepts_[0], 0)


@quiet
@pytest.mark.long
def test_paper_mode_contracts_at_full_size(rng):
    for n_features in (4, 8, 16, 32):
        rate, _ = contraction(1000, n_features, 4000, rng)
        print(f"d = {n_features}: {rate:.3f}")
        assert n_features != 16 or rate <= 0.6
