"""The cycles in which alpha="auto" trains: which are tried, which is kept, when they end."""

import numpy as np
import pytest

from sklearn_sketchgn import SketchGNRegressor, _cycles, _schedule
from sklearn_sketchgn._batch_phase import STEP_LENGTH
from sklearn_sketchgn._cycles import search_penalty
from sklearn_sketchgn._penalty import HIGHEST
from sklearn_sketchgn._plan import CYCLE_STEPS, SETTLING_STEPS

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


class Searching:
    """A search whose network is only the list of penalties it has been trained with.

    Ten rows judge, whose error depends on the last penalty by a given rule; of the mean it is 100.
    """

    groups, trainings = (), ()
    judge_weight, weight = 2.0, 20.0
    weighed: tuple | None = None

    def __init__(self, rule):
        self.rule, self.state = rule, ((), 1.0)

    @property
    def network(self):
        return self.state[0]

    @property
    def alpha(self):
        return self.state[1]

    @alpha.setter
    def alpha(self, alpha):
        self.state = (self.network, min(max(alpha, 1e-6), 1e4))

    def error(self):
        return self.rule(self.network[-1]) if self.network else 100.0

    def suit_the_columns(self):
        self.weighed = self.state

    def asks_for_more(self):
        return self.rule(1.01 * self.alpha) < self.rule(self.alpha)


def searched(monkeypatch, rule, n_cycles=10, stop_after=None):
    """Run the search on a recording of the cycles; return it and the penalties tried."""
    tried, state = [], Searching(rule)

    def run_groups(trainings, tables, *, n_steps, batch_size, after_epoch, last_length, search):
        assert (search is not None) == (not tried)
        assert last_length == pytest.approx(0.1 * STEP_LENGTH)
        tried.append(state.alpha)
        state.state = ((*state.network, state.alpha), state.alpha)
        return len(tried) == stop_after

    monkeypatch.setattr(_cycles, "run_groups", run_groups)
    stopped = search_penalty(
        state,
        batch_size=10,
        n_cycles=n_cycles,
        cycle_steps=5,
        after_epoch=None,
    )
    return state, tried, stopped


def test_smaller_penalties_are_tried_while_the_judges_gain(monkeypatch):
    training, tried, stopped = searched(monkeypatch, lambda alpha: 1 + abs(np.log(alpha / 0.06)))
    assert tried == [1, 1 / 4, 1 / 16, 1 / 64]
    assert training.alpha == 1 / 16
    # The cycle that did not pay is undone.
    assert training.network == (1, 1 / 4, 1 / 16)
    assert not stopped
    # Columns are weighed by the networks that are kept.
    assert training.weighed == training.state


def test_larger_penalties_are_tried_where_the_judges_ask_for_them(monkeypatch):
    training, tried, _ = searched(monkeypatch, lambda alpha: 1 + abs(np.log(alpha / 15)))
    assert tried == [1, 4, 16, 64]
    assert training.network == (1, 4, 16)


def test_a_gain_below_one_percent_ends_the_search(monkeypatch):
    training, tried, _ = searched(monkeypatch, lambda alpha: 1 + 0.005 * np.log(alpha))
    assert tried == [1, 1 / 4]
    assert training.alpha == 1


def test_no_more_cycles_than_allowed(monkeypatch):
    training, tried, _ = searched(monkeypatch, lambda alpha: alpha, n_cycles=3)
    assert tried == [1, 1 / 4, 1 / 16]
    assert training.alpha == 1 / 16


@pytest.mark.parametrize(("error", "learnt"), [(94.9, True), (95.1, False), (130, False)])
def test_who_is_not_better_than_the_mean_by_more_than_chance_has_learnt_nothing(
    monkeypatch, error, learnt
):
    # One of ten judges has a tenth of the error of the mean; half of that is chance.
    training, tried, _ = searched(monkeypatch, lambda alpha: error)
    assert tried == [1, 1 / 4]
    assert training.network == (1,)
    assert training.learnt == learnt
    assert (training.weighed is not None) == learnt


@pytest.mark.parametrize(("n_samples", "n_features"), [(280, 8), (30, 60), (20, 4)])
def test_pure_noise_is_predicted_by_its_mean(n_samples, n_features):
    # Chance finds something in a few of them.
    found = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((n_samples, n_features)), rng.standard_normal(n_samples)
        model = SketchGNRegressor(width=32, max_iter=400, random_state=0).fit(X, y)
        found += model.alpha_ < HIGHEST
        assert model.alpha_ < HIGHEST or np.ptp(model.predict(X)) < 0.01
    assert found <= 2


@pytest.mark.parametrize("error", [0.0, np.nan, np.inf])
def test_judges_that_cannot_judge_end_it_after_one_cycle(monkeypatch, error):
    training, tried, _ = searched(monkeypatch, lambda alpha: error)
    assert tried == [1]
    assert training.network == (1,)
    assert training.learnt == (error == 0)


def test_errors_that_are_not_finite_are_not_kept(monkeypatch):
    training, _, _ = searched(monkeypatch, lambda alpha: 1.0 if alpha == 1 else np.nan)
    assert training.network == (1,)


@pytest.mark.parametrize(
    "rule", [float, lambda alpha: 1 + abs(np.log(alpha))], ids=["less", "more"]
)
def test_who_watches_can_end_it(monkeypatch, rule):
    training, tried, stopped = searched(monkeypatch, rule, stop_after=2)
    assert stopped
    # What was trained last is what the watcher saw.
    assert training.network == (1, 1 / 4)
    assert len(tried) == 2


def test_a_smooth_table_is_trained_for_longer(rng):
    X = rng.uniform(-1, 1, (400, 2))
    model = SketchGNRegressor(width=32, random_state=0).fit(X, np.exp(X[:, 0]) * X[:, 1])
    # The fewest are two cycles, one with the search and one that is undone: here two more paid.
    assert model.n_iter_ > 3 * CYCLE_STEPS + SETTLING_STEPS + 10
    assert model.alpha_ < 0.1


def test_alpha_in_a_fit_is_that_of_the_cycle_kept(rng):
    X = rng.standard_normal((150, 3))
    y = np.sin(X[:, 0]) + X[:, 1] + 0.5 * rng.standard_normal(150)
    model = SketchGNRegressor(width=16, random_state=0).fit(X, y)
    alphas = np.array(model.history_["alpha"])
    ends = alphas[CYCLE_STEPS - 1 :: CYCLE_STEPS]
    assert model.alpha_ in ends
    assert (alphas[-SETTLING_STEPS:] == model.alpha_).all()


def test_noise_is_left_in_the_groups_that_it_was_looked_for_in(rng, monkeypatch):
    # One network of all neurons would take the batches of a group, whose size suits these.
    parts, original = [], _schedule.run_groups

    def counting(trainings, tables, **keywords):
        parts.append([training.network for training in trainings])
        return original(trainings, tables, **keywords)

    monkeypatch.setattr(_schedule, "run_groups", counting)
    X, y = rng.standard_normal((300, 5)), rng.standard_normal(300)
    model = SketchGNRegressor(width=64, max_iter=60, random_state=0).fit(X, y)
    assert model.alpha_ == 1e4
    ((first, *others),) = parts
    assert len(first.hidden) == 16
    assert len(others) == 3
    for network in (first, *others):  # at the start, where pairs of neurons cancel
        np.testing.assert_array_equal(network.hidden[:8], network.hidden[8:])
        np.testing.assert_array_equal(network.output[:8], -network.output[8:])
