"""Groups of neurons: how a network is divided, who judges whom, and the mean of them."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_sketchgn import SRHT, Direct, SketchGNRegressor
from sklearn_sketchgn._batch_phase import run_groups
from sklearn_sketchgn._groups import gather, separate, split
from sklearn_sketchgn._network import Network, initialise, initialise_paper
from sklearn_sketchgn._penalty import PenaltySearch
from sklearn_sketchgn._training import HISTORY_KEYS, Training
from sklearn_sketchgn._training_data import TrainingData


def table(rng, n_samples, n_outputs=1):
    rows = np.column_stack([rng.standard_normal((n_samples, 3)), np.ones(n_samples)])
    return TrainingData(rows, rng.standard_normal((n_samples, n_outputs)), np.ones(n_samples))


def fit_at_start(rng, width, n_outputs=1, make=initialise):
    return Training(
        network=make(width, 4, n_outputs, rng),
        alpha=0.5,
        damping=0.04,
        momentum=0.9,
        solver=Direct(),
        sketch=SRHT(),
        rng=rng,
        total_weight=1.0,
        output_scale=np.ones(n_outputs),
    )


def disturbed(parts, rng):
    """Give every group weights and a last step of its own."""
    for part in parts:
        shape = part.network
        part.network = Network(
            *(rng.standard_normal(a.shape) for a in (shape.hidden, shape.output, shape.intercept))
        )
        part.previous_step = rng.standard_normal(shape.n_parameters)


@pytest.mark.parametrize(("width", "n_groups"), [(64, 4), (65, 4), (70, 3), (34, 2)])
def test_groups_share_the_neurons_and_start_like_networks_of_their_width(width, n_groups, rng):
    whole = fit_at_start(rng, width, n_outputs=2)
    parts = split(whole, n_groups)
    widths = [len(part.network.hidden) for part in parts]
    assert sum(widths) == width
    assert max(widths) - min(widths) <= 3
    rows = rng.standard_normal((9, 4))
    drawn = {tuple(np.round(w / np.linalg.norm(w), 9)) for w in whole.network.hidden}
    for part in parts:
        hidden, output = part.network.hidden, part.network.output
        assert np.abs(part.network.evaluate(rows)).max() < 1e-15
        size = 0.3 * len(hidden) ** -0.25
        np.testing.assert_allclose(np.linalg.norm(hidden, axis=1), size)
        paired = np.abs(output[output[:, 0] != 0])
        np.testing.assert_allclose(paired, size)
        assert {tuple(np.round(w / np.linalg.norm(w), 9)) for w in hidden} <= drawn
        assert part.alpha == 0.5
        assert part.rng is not whole.rng


def test_a_single_group_is_the_fit_itself(rng):
    whole = fit_at_start(rng, 8)
    assert split(whole, 1) == [whole]
    network = whole.network
    gather(whole, [whole])
    assert whole.network is network


@pytest.mark.parametrize("width", [32, 35])
def test_the_mean_of_the_groups_is_one_network_of_the_same_penalty(width, rng):
    whole = fit_at_start(rng, width, n_outputs=2)
    parts = split(whole, 3)
    disturbed(parts, rng)
    rows = np.column_stack([rng.standard_normal((20, 3)), np.ones(20)])
    gather(whole, parts)
    each = [part.network.evaluate(rows) for part in parts]
    np.testing.assert_allclose(whole.network.evaluate(rows), np.mean(each, axis=0), atol=1e-12)
    squares = [np.sum(p.network.hidden**2) + np.sum(p.network.output**2) for p in parts]
    size = np.sum(whole.network.hidden**2) + np.sum(whole.network.output**2)
    assert size == pytest.approx(np.mean(squares))


@pytest.mark.parametrize("width", [32, 35])
@pytest.mark.parametrize("n_groups", [1, 3])
def test_the_groups_of_a_mean_can_be_separated_again(width, n_groups, rng):
    whole = fit_at_start(rng, width, n_outputs=2)
    parts = split(whole, n_groups)
    disturbed(parts, rng)
    gather(whole, parts)
    found = separate(whole.network, n_groups)
    for network, part in zip(found, parts, strict=True):
        np.testing.assert_allclose(network.hidden, part.network.hidden, rtol=1e-12)
        np.testing.assert_allclose(network.output, part.network.output, rtol=1e-12)
        np.testing.assert_array_equal(network.intercept, whole.network.intercept)


def test_the_last_step_of_the_mean_moves_it_as_those_of_the_groups_do(rng):
    whole = fit_at_start(rng, 32)
    parts = split(whole, 2)
    disturbed(parts, rng)
    gather(whole, parts)
    before, step = whole.network.parameters(), whole.previous_step
    for part in parts:
        moved = part.network.parameters() + part.previous_step
        part.network = part.network.with_parameters(moved)
    gather(whole, parts)
    np.testing.assert_allclose(whole.network.parameters(), before + step, atol=1e-12)
    parts[1].previous_step = None
    gather(whole, parts)
    assert whole.previous_step is None


def test_the_fit_goes_on_with_the_penalty_and_the_damping_of_the_groups(rng):
    whole = fit_at_start(rng, 32)
    parts = split(whole, 2)
    for part in parts:
        part.alpha, part.damping = 0.25, 0.003
    gather(whole, parts)
    assert (whole.alpha, whole.damping) == (0.25, 0.003)


def test_the_history_tells_of_all_groups(rng):
    whole = fit_at_start(rng, 32)
    parts = split(whole, 2)
    entry = {key: 1.0 for key in HISTORY_KEYS} | {"flips": np.nan}
    parts[0].record(**entry | {"objective": 3.0, "step_norm": 3.0, "events": ""})
    parts[1].record(
        **entry | {"cg_iterations": 7, "cg_residual": 3.0, "step_norm": 4.0, "events": "words"},
        marks=["truncated"],
    )
    for event in ("step skipped", "step skipped"):
        for part in parts:
            part.record(**entry | {"events": event}, marks=[event])
    gather(whole, parts)
    gather(whole, parts)
    history = whole.history
    assert history["objective"] == [2.0, 1.0, 1.0]
    assert history["cg_iterations"] == [7, 1.0, 1.0]
    assert history["cg_residual"] == [3.0, 1.0, 1.0]
    assert history["step_norm"][0] == pytest.approx((25 / 2) ** 0.5)
    assert history["events"] == ["words", "step skipped", "step skipped"]
    assert whole.marks == [{"truncated"}, {"step skipped"}, {"step skipped"}]
    assert {len(values) for values in history.values()} == {3}


def test_groups_take_their_steps_in_turn_on_rows_of_their_own(rng):
    parts = split(fit_at_start(rng, 32), 2)
    tables = [table(rng, 30), table(rng, 32)]
    starts = [part.network.hidden.copy() for part in parts]
    losses = []
    stopped = run_groups(
        parts, tables, n_steps=5, batch_size=16, after_epoch=lambda loss: losses.append(loss)
    )
    assert not stopped
    assert len(losses) == 3
    for part, data, first in zip(parts, tables, starts, strict=True):
        assert part.history["batch_size"] == [len(data) // 2] * 5
        assert np.abs(part.network.hidden - first).max() > 1e-3


@pytest.mark.parametrize("n_samples", [20, 90, 400])
def test_every_row_of_a_small_table_judges_a_group_that_has_not_seen_it(n_samples, rng):
    data = table(rng, n_samples)
    search = PenaltySearch(fit_at_start(rng, 64), data, 300)
    assert len(search.groups) == 4
    judged = []
    for group in search.groups:
        kept, judges = ({tuple(row) for row in part.rows} for part in (group.kept, group.judges))
        assert not kept & judges
        assert len(kept) + len(judges) == n_samples
        assert len(kept) >= 0.4 * n_samples
        judged += judges
    assert len(set(judged)) == n_samples
    assert search.weight == pytest.approx(n_samples)
    if n_samples > 40:
        assert len(judged) == n_samples


@pytest.mark.parametrize(
    ("n_samples", "width", "make", "n_groups"),
    [
        (300, 256, initialise, 4),
        (3000, 256, initialise, 3),
        (6000, 256, initialise, 2),
        (9000, 256, initialise, 1),
        (300, 40, initialise, 2),
        (300, 31, initialise, 1),
        (300, 256, initialise_paper, 1),
    ],
)
def test_groups_are_added_until_two_thousand_rows_judge(n_samples, width, make, n_groups, rng):
    search = PenaltySearch(fit_at_start(rng, width, make=make), table(rng, n_samples), 300)
    assert len(search.groups) == n_groups
    assert search.weight <= 4 * 2048


def test_the_penalty_of_all_groups_is_one(rng):
    search = PenaltySearch(fit_at_start(rng, 64), table(rng, 80), 300)
    search.alpha = 0.25
    assert [training.alpha for training in search.trainings] == [0.25] * 4
    state = search.state
    search.alpha = 0.5
    search.state = state
    assert search.alpha == 0.25


def constant(training, value):
    """Return a network of the fit's shape that predicts one value."""
    network = training.network
    return replace(
        network, output=np.zeros_like(network.output), intercept=np.full(1, value, dtype=float)
    )


def test_the_mean_takes_a_lower_penalty_the_more_the_groups_differ(rng):
    data = table(rng, 80)
    data.targets[:] = 3.0
    search = PenaltySearch(fit_at_start(rng, 64), data, 300)
    for values in ([1.0, -1.0, 1.0, -1.0], [1.5, 2.0, 2.5, 3.5], [2.0, 2.0, 2.0, 2.0]):
        for training, value in zip(search.trainings, values, strict=True):
            training.network = constant(training, value)
        share = np.var(values, ddof=1) / np.mean(np.square(np.subtract(values, 3.0)))
        search.alpha = 0.25
        assert search.share_of_differences() == pytest.approx(share)
        search.suit_the_mean()
        expected = 0.25 * np.exp(-4 * share)
        assert [training.alpha for training in search.trainings] == pytest.approx([expected] * 4)
    data.targets[:] = 0.0
    search = PenaltySearch(fit_at_start(rng, 64), data, 300)
    for size, share in ((1.0, 1), (0.0, 0)):  # all of the error, and none where there is none
        for training, sign in zip(search.trainings, [1.0, -1.0, 1.0, -1.0], strict=True):
            training.network = constant(training, sign * size)
        assert search.share_of_differences() == share
    network = search.trainings[0].network
    search.trainings[0].network = replace(network, intercept=np.array([1e200]))
    assert search.share_of_differences() == 0  # nothing to compare with an error beyond float64
    search.trainings[1].network = replace(network, hidden=np.full_like(network.hidden, np.nan))
    search.groups[1].judges = search.groups[1].judges.take(slice(0, 0))
    search.trainings[0].network = constant(search.trainings[0], 1.0)
    assert search.share_of_differences() == 1


def test_one_group_keeps_its_penalty(rng):
    one = PenaltySearch(fit_at_start(rng, 8), table(rng, 80), 300)
    before = one.alpha
    one.suit_the_mean()
    assert one.alpha == before


def test_a_fit_in_groups_has_one_penalty_and_one_history(rng):
    X = rng.standard_normal((120, 3))
    y = np.sin(X[:, 0]) + X[:, 1] + 0.3 * rng.standard_normal(120)
    model = SketchGNRegressor(width=48, max_iter=100, random_state=0).fit(X, y)
    assert model.coefs_[0].shape == (3, 48)
    sizes, alphas = model.history_["batch_size"], model.history_["alpha"]
    assert len(sizes) == model.n_iter_ <= 100
    assert {87 <= size <= 93 for size in sizes[:18]} == {True}
    assert sizes[-1] == 120
    assert alphas[-1] == model.alpha_
    assert min(alphas[:54]) * np.exp(-4) <= model.alpha_ <= max(alphas)


@pytest.mark.parametrize("n_steps", [1, 5, 6, 60, 180])
def test_an_interrupt_within_the_groups_leaves_a_fit_or_none(n_steps, rng, monkeypatch):
    X = rng.standard_normal((120, 3))
    y = X[:, 0] + X[:, 1] ** 2
    calls = []

    class Interrupting(Direct):
        def prepare(self, *args, **kwargs):
            calls.append(1)
            if len(calls) > n_steps:
                raise KeyboardInterrupt("now")
            return super().prepare(*args, **kwargs)

    model = SketchGNRegressor(width=32, max_iter=100, solver=Interrupting(), random_state=0)
    if n_steps < 2:
        with pytest.raises(KeyboardInterrupt, match="now"):
            model.fit(X, y)
        assert not hasattr(model, "coefs_")
        return
    with pytest.warns(match="interrupted"):
        model.fit(X, y)
    assert len(model.history_["objective"]) == model.n_iter_ <= n_steps // 2 + 10
    assert np.isfinite(model.predict(X)).all()
