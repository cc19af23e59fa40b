"""alpha="auto": the sensitivity it follows, what the choice depends on, and what it does not."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from sklearn_sketchgn import SRHT, Direct, SketchGNRegressor
from sklearn_sketchgn._batch_phase import run_groups
from sklearn_sketchgn._groups import Group
from sklearn_sketchgn._losses import Huber, SquaredError
from sklearn_sketchgn._network import Network, initialise
from sklearn_sketchgn._penalty import HIGHEST, LOWEST, START, PenaltySearch
from sklearn_sketchgn._penalty_in_effect import penalty_factor
from sklearn_sketchgn._training import Training
from sklearn_sketchgn._training_data import TrainingData

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def chosen(X, y, weight=None, **parameters):
    """Return the penalty that a short fit of a narrow network ends with."""
    few = {"width": 16, "max_iter": 200, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters}).fit(X, y, weight).alpha_


def smooth_table(rng, noise, n_samples=150):
    X = rng.standard_normal((n_samples, 3))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + noise * rng.standard_normal(n_samples)


def standardised(rng, n_samples, n_features=3):
    rows = np.column_stack([rng.standard_normal((n_samples, n_features)), np.ones(n_samples)])
    targets = np.sin(rows[:, :1]) + 0.3 * rng.standard_normal((n_samples, 1))
    return TrainingData(rows, targets, np.ones(n_samples))


def start(data, network, alpha, rng):
    return Training(
        network=network,
        alpha=alpha,
        damping=0.04,
        momentum=0.9,
        solver=Direct(),
        sketch=SRHT(),
        rng=rng,
        total_weight=float(data.weights.sum()),
        output_scale=np.ones(1),
    )


def searching(data, rng, width=8):
    """Return a fit and its search, with alpha at 0.5."""
    training = start(data, initialise(width, 4, data.targets.shape[1], rng), 0.0, rng)
    search = PenaltySearch(training, data, 300)
    assert training.alpha == START * search.row_weight
    search.alpha = 0.5
    return training, search


class Following:
    """Follows a fit on all rows and leaves alpha alone."""

    interval = 1

    def __init__(self, training, data):
        self.groups = [Group(training, data, data)]

    def adjust(self):
        pass


def test_the_sensitivity_is_the_derivative_of_the_trained_parameters(rng):
    # A fixed output layer and no change of activations make J constant, where it is exact.
    data = standardised(rng, 40)
    data.rows[:, :-1] *= 0.1
    hidden = np.column_stack([0.1 * rng.standard_normal((8, 3)), np.full(8, 9.0)])
    network = Network(hidden, rng.choice([-0.3, 0.3], (8, 1)), np.zeros(1), train_output=False)

    def train(alpha, n_steps=30):
        training = start(data, network, alpha, np.random.default_rng(0))
        search = Following(training, data)
        run_groups(
            [training],
            [data],
            n_steps=n_steps,
            batch_size=40,
            after_epoch=lambda _: len(training.history["alpha"]) >= 0.6 * n_steps,
            search=search,
        )
        return training.network.parameters(), search.groups[0].sensitivity

    change = 1e-4
    difference = train(2.0 * np.exp(change))[0] - train(2.0 * np.exp(-change))[0]
    expected = difference / (2 * change)
    assert np.linalg.norm(expected) > 1e-3
    np.testing.assert_allclose(train(2.0)[1], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_alpha_moves_to_where_the_judges_would_be_served(n_outputs, sign, rng):
    # The judges' residual is made to be sign * J z plus a little: exp(-sign) alpha removes it.
    data = standardised(rng, 200)
    data.targets = np.repeat(data.targets, n_outputs, axis=1)
    training, search = searching(data, rng)
    group = search.groups[0]
    group.sensitivity = rng.standard_normal(training.network.n_parameters)
    problem = training.subproblem(group.judges)
    change = problem.jacobian.matvec(group.sensitivity)
    noise = 0.01 * np.linalg.norm(change) / len(change) ** 0.5 * rng.standard_normal(len(change))
    values = training.network.evaluate(group.judges.rows)
    group.judges.targets[:] = values - (sign * change + noise).reshape(n_outputs, -1).T
    assert search.asks_for_more() == (sign < 0)
    search.adjust()
    # Shrunk by the noise of fifty judges of each output, and by one number that says nothing.
    n_judges = 50 * n_outputs
    move = (1 - n_judges**-0.5) / (1 + 1 / n_judges)
    assert len(group.judges) == 50
    assert training.alpha == pytest.approx(0.5 * np.exp(-sign * move), rel=0.005)


def test_alpha_stays_above_the_least_of_the_loss(rng):
    data = standardised(rng, 200)
    data.weights[:] = 3.0
    training, search = searching(data, rng)
    for loss, least in ((SquaredError(), LOWEST), (Huber(0.2), 0.2)):
        training.loss_function = loss
        search.alpha = 0.0
        assert training.alpha == pytest.approx(3 * least)


def test_a_promise_too_small_is_ignored(rng):
    data = standardised(rng, 200)
    training, search = searching(data, rng)
    group = search.groups[0]
    group.sensitivity = rng.standard_normal(training.network.n_parameters)
    change = training.subproblem(group.judges).jacobian.matvec(group.sensitivity)
    across = rng.standard_normal(len(change))
    across -= (across @ change) / (change @ change) * change
    # A correlation of 0.1 is what fifty judges show by chance.
    across += 0.1 * np.linalg.norm(across) / np.linalg.norm(change) * change
    values = training.network.evaluate(group.judges.rows)
    group.judges.targets[:] = values - across[:, None]
    search.adjust()
    assert training.alpha == 0.5


def test_a_sensitivity_that_is_not_finite_starts_again(rng):
    data = standardised(rng, 50)
    training, search = searching(data, rng)
    group = search.groups[0]
    group.sensitivity = np.full(training.network.n_parameters, np.inf)
    with np.errstate(invalid="ignore"):
        search.adjust()
    assert training.alpha == 0.5
    assert group.sensitivity is None
    assert not search.asks_for_more()


def test_rows_are_held_out_at_first_and_join_later(rng):
    X, y = smooth_table(rng, 0.0, n_samples=200)
    model = SketchGNRegressor(width=8, max_iter=100, random_state=0).fit(X, y)
    sizes = model.history_["batch_size"]
    # 90 steps on batches, of which the search has three cycles of 18.
    n_batches, n_searching = 90, 54
    assert set(sizes[:n_searching]) == {150}
    assert set(sizes[n_searching:n_batches]) == {200}
    alphas = model.history_["alpha"]
    assert alphas[0] == START
    assert len(set(alphas[:18])) > 5
    assert len(set(alphas[n_searching:])) == 1


@pytest.mark.parametrize("solver", ["cg", "direct"])
def test_batches_of_one_row_are_never_empty(solver, rng):
    # Thirty batches an epoch, of fifteen rows while the others are held out.
    X, y = smooth_table(rng, 0.3, n_samples=30)
    model = SketchGNRegressor(width=4, batch_size=1, max_iter=100, solver=solver, random_state=0)
    sizes = model.fit(X, y).history_["batch_size"]
    assert set(sizes[:90]) == {1}
    assert np.isfinite(model.predict(X)).all()


def test_equal_rows_are_held_out_together(rng):
    # If copies of a judged row were trained on, memorising them would look like skill.
    rows = np.column_stack([rng.standard_normal((40, 3)), np.ones(40)])
    data = TrainingData(rows, rng.standard_normal((40, 1)), np.ones(40)).take(
        np.tile(np.arange(40), 3)
    )
    _, search = searching(data, rng)
    group = search.groups[0]
    assert len(group.judges) == len(group.kept) == 3 * 20
    judged = {tuple(row) for row in group.judges.rows}
    assert not judged & {tuple(row) for row in group.kept.rows}


def test_noise_raises_the_penalty(rng):
    clean, noisy = (chosen(*smooth_table(rng, noise)) for noise in (0.0, 3.0))
    assert LOWEST <= clean < noisy <= HIGHEST
    assert noisy > 10 * clean


def test_the_damping_is_a_share_of_the_judges_mean_squared_error(rng):
    data = standardised(rng, 200)
    data.rows[:] *= np.sqrt(3.0)
    data.weights[:] = 3.0
    training, search = searching(data, rng)
    judges = search.groups[0].judges
    judges.targets[:] = np.sqrt(3.0) * np.array([[0.1], [0.7]])[np.arange(len(judges)) % 2]
    search.suit_the_noise(np.inf)  # the first network predicts 0
    assert training.damping == pytest.approx(0.6 * (0.1**2 + 0.7**2) / 2)
    search.suit_the_noise(0.04)
    assert training.damping == 0.04
    # Worse than the mean; without error; unknown, where the damping stays as it is.
    for targets, damping in ((1e3, 0.6), (0.0, 0.001), (np.nan, 0.001)):
        judges.targets[:] = targets
        training.network.output[:] = 0
        search.suit_the_noise(np.inf)
        assert training.damping == damping


def test_rows_that_judge_several_groups_count_as_often(rng):
    training, search = searching(standardised(rng, 24), rng, width=64)
    assert search.weight == 24 < search.judged_weight
    for group in search.groups:
        group.judges.targets[:] = 0.5
    search.suit_the_noise(np.inf)  # the first networks predict 0
    assert search.trainings[0].damping == pytest.approx(0.6 * 0.25)
    assert search.mean_loss() == pytest.approx(0.25)


def test_copies_of_two_rows_are_two_rows():
    X, y, times = np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.array([3, 3])
    few = {"width": 6, "max_iter": 60, "random_state": 0}
    weighted = SketchGNRegressor(**few).fit(X, y, times)
    repeated = SketchGNRegressor(**few).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert weighted.alpha_ == pytest.approx(repeated.alpha_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)


def test_nobody_to_judge_leaves_the_damping_as_it_is(rng):
    data = standardised(rng, 2)
    training, search = searching(data, rng)
    assert not search.weight
    search.suit_the_noise(np.inf)
    assert training.damping == 0.04


def dampings(X, y, **changed):
    """Return the damping of every step on batches."""
    parameters = {"width": 16, "batch_size": 64, "max_iter": 200, "random_state": 0}
    model = SketchGNRegressor(**{**parameters, **changed}).fit(X, y)
    on_batches = np.isnan(model.history_["flips"])
    return np.array(model.history_["damping"])[on_batches]


def test_noise_raises_the_damping_of_a_single_network_after_the_search(rng):
    X, y = smooth_table(rng, 2.0, n_samples=400)
    one = dampings(X, y)
    n_searching = np.count_nonzero(one == 0.04)
    assert 0 < n_searching < len(one)
    assert set(one[:n_searching]) == {0.04}
    assert len(set(one[n_searching:])) == 1
    assert 0.24 < one[-1] <= 0.6
    for changed in ({"damping": 0.04}, {"width": 64}, {"batch_size": 400}, {"alpha": 1.0}):
        assert set(dampings(X, y, **changed)) == {0.04}


@pytest.mark.parametrize("changed", [{}, {"width": 64}, {"batch_size": 400}])
def test_the_damping_falls_with_the_error_from_cycle_to_cycle(changed, rng):
    X, _ = smooth_table(rng, 0.0, n_samples=400)
    y = X[:, 0] + 0.3 * np.abs(X[:, 1]) + 0.1 * rng.standard_normal(400)
    fall = dampings(X, y, max_iter=600, **changed)
    n_first = np.count_nonzero(fall == 0.04)
    assert 0 < n_first <= 0.2 * 600  # one of at most three cycles, which are 60 % of these steps
    assert set(fall[:n_first]) == {0.04}
    assert (fall[n_first:] < 0.02).all() and fall.min() > 0.001
    for chosen in ({"damping": 0.04}, {"alpha": 1.0}):
        assert set(dampings(X, y, max_iter=600, **changed, **chosen)) == {0.04}


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("solver", ["cg", "direct"])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repetitions(seed, solver, width):
    rng = np.random.default_rng(seed)
    X, y = smooth_table(rng, 0.3, n_samples=60)
    weight = rng.integers(1, 4, size=60)
    order = rng.permutation(weight.sum())
    repeated = np.repeat(X, weight, axis=0)[order], np.repeat(y, weight)[order]
    assert chosen(X, y, weight, solver=solver, width=width) == pytest.approx(
        chosen(*repeated, solver=solver, width=width), rel=1e-6
    )


def test_order_of_the_rows_does_not_matter_in_one_batch(rng):
    X, y = smooth_table(rng, 0.3)
    order = rng.permutation(len(y))
    assert chosen(X[order], y[order]) == pytest.approx(chosen(X, y), rel=1e-6)


def test_units_do_not_matter(rng):
    X, y = smooth_table(rng, 0.3)
    assert chosen(X, 1024 * y) == chosen(X, y)
    assert chosen(X / 1024, y) == chosen(X, y)


def test_same_seed_same_bits(rng):
    X, y = smooth_table(rng, 0.3)
    assert chosen(X, y) == chosen(X, y)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 6])
def test_tiny_tables_have_a_penalty(n_samples, rng):
    X, y = rng.standard_normal((n_samples, 3)), rng.standard_normal(n_samples)
    assert LOWEST <= chosen(X, y) <= HIGHEST


@pytest.mark.parametrize("n_samples", [60, 300])
def test_several_outputs(n_samples, rng):
    X = rng.standard_normal((n_samples, 3))
    y = np.column_stack([X[:, 0], np.abs(X[:, 1]), rng.standard_normal(n_samples)])
    assert LOWEST <= chosen(X, y) <= HIGHEST


@pytest.mark.parametrize("parameters", [{"batch_size": None}, {"train_output": False}], ids=repr)
def test_other_modes(parameters, rng):
    alpha = chosen(*smooth_table(rng, 0.3), **parameters, max_iter=20)
    assert LOWEST <= alpha <= HIGHEST
    assert alpha != START


def test_warm_start_keeps_the_penalty(rng):
    X, y = smooth_table(rng, 0.3)
    model = SketchGNRegressor(width=8, max_iter=100, random_state=0, warm_start=True).fit(X, y)
    first = model.alpha_
    assert set(model.fit(X, y).history_["alpha"]) == {first}


def test_fits_report_the_penalty_they_used():
    X, y = load_diabetes(return_X_y=True)
    model = SketchGNRegressor(width=4, max_iter=40, random_state=0).fit(X, y)
    alphas = np.array(model.history_["alpha"])
    in_batches = np.array(model.history_["batch_size"]) < len(y)
    assert alphas[in_batches][-1] == model.alpha_
    (on_all_rows,) = set(alphas[~in_batches])
    assert model.alpha_ <= on_all_rows <= 5 * model.alpha_
    given = SketchGNRegressor(width=4, max_iter=4, alpha=0.25, random_state=0).fit(X, y)
    assert set(given.history_["alpha"]) == {given.alpha_} == {0.25}


# What batches have in effect ---------------------------------------------------------------------


def trained(rng, batch_size, *, noise=1.0, alpha=3.0, n_steps=600):
    rows = np.column_stack([rng.standard_normal((400, 8)), np.ones(400)])
    targets = rows[:, :1] + noise * rng.standard_normal((400, 1))
    data = TrainingData(rows, targets, np.ones(400))
    training = start(data, initialise(32, 9, 1, rng), alpha, rng)
    run_groups(
        [training], [data], n_steps=n_steps, batch_size=batch_size, after_epoch=lambda _: False
    )
    return training, data


def test_steps_on_all_rows_have_their_own_penalty_in_effect(rng):
    assert penalty_factor(*trained(rng, 400)) == pytest.approx(1.0, abs=0.1)


def test_steps_on_batches_have_a_larger_one(rng):
    # Each batch of 40 rows is met by 321 parameters, most of which it does not speak of.
    training, data = trained(rng, 40)
    factor = penalty_factor(training, data)
    assert 1.5 < factor < 5

    # Under it the objective of all rows does not change when the network is scaled.
    training.alpha *= factor
    mask = training.network.penalised()

    def objective(scale):
        theta = training.network.parameters()
        theta += (scale - 1) * mask * theta
        moved = training.network.with_parameters(theta)
        return data.subproblem(moved, training.alpha, training.loss_function).value()

    slope = (objective(1 + 1e-4) - objective(1 - 1e-4)) / 2e-4
    size = training.alpha * np.sum((mask * training.network.parameters()) ** 2)
    assert abs(slope) < 1e-3 * size


def test_a_network_that_still_grows_is_no_measure(rng):
    training, data = trained(rng, 40, noise=0.0, alpha=1e-6, n_steps=20)
    assert penalty_factor(training, data) == 1
    shrinking = Training(**{**vars(training), "alpha": 1e5})
    assert penalty_factor(shrinking, data) == 1
    nothing = training.network.with_parameters(0 * training.network.parameters())
    assert penalty_factor(Training(**{**vars(training), "network": nothing}), data) == 1


def test_steps_on_all_rows_keep_to_what_batches_had_in_effect(rng):
    X = rng.standard_normal((400, 8))
    # All columns matter: the penalty of those that do not would shrink them as batches do.
    y = X.sum(axis=1) / 8**0.5 + rng.standard_normal(400)
    model = SketchGNRegressor(width=32, max_iter=400, random_state=0, warm_start=True).fit(X, y)
    alphas = np.array(model.history_["alpha"])
    on_all_rows = np.array(model.history_["batch_size"]) == 400
    assert on_all_rows.any()
    assert len(set(alphas[on_all_rows])) == 1
    assert alphas[on_all_rows][0] > 1.2 * model.alpha_
    assert alphas[~on_all_rows][-1] == model.alpha_
    # A penalty that was given is what is minimised, and so is one that goes on.
    for again in (SketchGNRegressor(width=32, max_iter=400, alpha=1.0, random_state=0), model):
        assert set(again.fit(X, y).history_["alpha"]) == {again.alpha_}


def test_groups_of_rows_judge_together(rng):
    data = standardised(rng, 120)
    data.groups = np.repeat(np.arange(24), 5)
    _, search = searching(data, rng, width=64)
    assert (search.row_weight, search.judge_weight) == (1.0, 5.0)
    assert len(search.groups) == 4
    judges = [np.unique(group.judges.groups) for group in search.groups]
    for group in search.groups:
        assert not np.intersect1d(group.kept.groups, group.judges.groups).size
    # All groups judge, each of them one part of the neurons.
    np.testing.assert_array_equal(np.sort(np.concatenate(judges)), np.arange(24))


@pytest.mark.parametrize("n_groups", [2, 10])
def test_few_groups_of_many_rows_judge(n_groups, rng):
    data = standardised(rng, 12_000)
    data.groups = rng.integers(0, n_groups, 12_000)
    _, search = searching(data, rng)
    ((kept, judges),) = [(group.kept, group.judges) for group in search.groups]
    held_out = np.unique(judges.groups)
    assert len(held_out) == {2: 1, 10: 3}[n_groups]
    assert len(judges) == 2048
    assert len(kept) == np.count_nonzero(~np.isin(data.groups, held_out))
    # What they count is the number of their groups.
    assert search.weight / search.judge_weight == pytest.approx(len(held_out), rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_a_group_of_most_rows_is_trained_on(seed, rng):
    data = standardised(rng, 400)
    data.groups = np.r_[np.zeros(300, dtype=int), 1 + np.arange(100) % 20]
    _, search = searching(data, np.random.default_rng(seed), width=64)
    for group in search.groups:
        assert len(group.kept) >= 300
        assert len(group.judges) >= 10
        assert not np.intersect1d(group.judges.groups, [0]).size


def test_repeated_measurements_do_not_judge_each_other(rng):
    # Three of each of a hundred specimens, which share an error but for a little.
    specimen = np.repeat(np.arange(100), 3)
    X = rng.uniform(-1, 1, (100, 4))[specimen]
    error = 0.3 * rng.standard_normal(100)[specimen] + 0.02 * rng.standard_normal(300)
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + error
    model = SketchGNRegressor(width=64, max_iter=600, random_state=0).fit(X, y)
    assert model.alpha_ > 0.05  # 0.17 to 0.54 in four draws, and below 1e-4 where they do
    X_new = rng.uniform(-1, 1, (1000, 4))
    expected = np.sin(3 * X_new[:, 0]) + X_new[:, 1] * X_new[:, 2]
    assert np.std(model.predict(X_new) - expected) < 0.32  # 0.23 to 0.26, and 0.37 to 0.46
