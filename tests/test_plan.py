"""How the steps of a fit are divided."""

import numpy as np
import pytest

from sklearn_sketchgn._losses import Huber, SquaredError
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn._plan import (
    CYCLE_STEPS,
    MOST_CYCLES,
    MOST_SETTLING_STEPS,
    SETTLING_STEPS,
    count_groups,
    plan_steps,
)
from sklearn_sketchgn._settings import Settings
from sklearn_sketchgn.solvers import Direct


def planned(
    n_samples, *, max_iter=None, batch_size=256, width=64, n_outputs=1, loss=None, **options
):
    settings = Settings(
        width=width,
        train_output=True,
        n_members=1,
        n_jobs=None,
        alpha=None,
        damping=None,
        batch_size=batch_size,
        momentum=0.9,
        max_iter=max_iter,
        tol=1e-4,
        n_iter_no_change=10,
        solver=Direct(),
        sketch=None,
        loss_function=loss or SquaredError(),
    )
    network = initialise(width, 9, n_outputs, np.random.default_rng(0))
    return plan_steps(settings, n_samples, network, **{"searching": True, **options})


@pytest.mark.parametrize("n_samples", [100, 1000, 100_000])
@pytest.mark.parametrize("max_iter", [1, 2, 9, 10, 37, 1500, 9999])
def test_a_number_is_the_most_steps_of_all_phases(n_samples, max_iter):
    plan = planned(n_samples, max_iter=max_iter)
    assert plan.steps_in_batches + plan.all_steps == max_iter
    assert plan.search_steps == plan.n_cycles * plan.cycle_steps <= 0.6 * max_iter
    assert plan.all_steps * plan.all_cost <= max_iter * plan.batch_cost
    given = planned(n_samples, max_iter=max_iter, searching=False)
    assert given.batch_steps + given.all_steps == max_iter
    assert given.n_cycles == 0


def test_steps_on_all_rows_are_left_out_where_they_cost_more_than_the_batches():
    assert planned(256, max_iter=100).all_steps == 10
    assert 0 < planned(1500, max_iter=100).all_steps < 10
    assert planned(100_000, max_iter=100).all_steps == 0
    assert planned(256, max_iter=100, all_rows=False).all_steps == 0


def test_steps_on_all_rows_of_many_outputs_cost_what_their_elimination_does():
    many, few = planned(2000, n_outputs=40, width=32), planned(2000, n_outputs=1, width=32)
    side = 32 * 9
    assert many.all_cost == side**2 * (2000 + 32) + 2 * 2000 * side * 32 + side**3 / 3
    assert many.all_cost < 2 * few.all_cost
    assert planned(2000, n_outputs=40, width=32, loss=Huber()).all_cost > 100 * many.all_cost


def test_automatic_steps():
    plan = planned(1000)
    assert (plan.n_cycles, plan.cycle_steps) == (MOST_CYCLES, CYCLE_STEPS)
    # Whole epochs of four batches.
    assert plan.batch_steps == SETTLING_STEPS
    # Sixty epochs of 32 batches; shared by two groups where there are two.
    assert planned(8192).batch_steps == 60 * 32
    assert planned(8191).batch_steps == 30 * 32
    # A bound, in whole epochs of 79 batches.
    assert abs(planned(20_000).batch_steps - MOST_SETTLING_STEPS) < 79
    # One epoch of a large table is more than that.
    assert planned(1_000_000).batch_steps == np.ceil(1_000_000 / 256)
    assert planned(1_000_000).all_steps == 0


@pytest.mark.parametrize(
    ("n_samples", "steps"), [(100, 1500), (1000, 1500), (20_000, 19 * 79), (1_000_000, 3907)]
)
def test_automatic_steps_under_a_given_penalty_are_whole_epochs(n_samples, steps):
    plan = planned(n_samples, searching=False)
    assert plan.batch_steps == steps
    assert steps % plan.n_batches == 0
    assert plan.n_cycles == plan.cycle_steps == plan.search_steps == 0


def test_groups_are_added_until_two_thousand_rows_judge():
    sizes = (1, 300, 2730, 2731, 4095, 4096, 8191, 8192, 10**9)
    assert [count_groups(n, 256, True) for n in sizes] == [4, 4, 4, 3, 3, 2, 2, 1, 1]
    assert [count_groups(300, width, True) for width in (1, 31, 32, 63, 64)] == [1, 1, 2, 3, 4]
    assert count_groups(300, 256, False) == 1


def test_patience_begins_in_the_middle_of_the_last_fall():
    plan = planned(256).after_search(900)
    assert not plan.steps_are_short(900 + SETTLING_STEPS // 2 - 1)
    assert plan.steps_are_short(900 + SETTLING_STEPS // 2)
