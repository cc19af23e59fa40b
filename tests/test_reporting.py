"""The lines that ``verbose`` prints."""

import numpy as np
import pytest

from sklearn_sketchgn import SketchGNRegressor
from sklearn_sketchgn import _reporting as reporting
from sklearn_sketchgn._plan import Plan


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (4.23, "4.2s"), (187.0, "3m07s"), (8100.0, "2h15m"), (3599.9, "1h00m")],
)
def test_durations(seconds, text):
    assert reporting._duration(seconds) == text


def test_work_is_counted_by_its_cost():
    costs = {"n_batches": 4, "batch_cost": 1.0, "all_cost": 4.0}
    plan = Plan(n_cycles=0, cycle_steps=0, batch_steps=90, all_steps=10, **costs)
    assert plan.share_done(45) == pytest.approx(45 / 130)
    assert plan.share_done(95) == pytest.approx((90 + 20) / 130)
    assert plan.share_done(100) == 1
    assert reporting._remaining(plan, 65) == pytest.approx(1.0)
    assert plan.n_notes == 23 + 10


def test_a_search_that_ends_early_leaves_less_work():
    costs = {"n_batches": 4, "batch_cost": 1.0, "all_cost": 4.0}
    plan = Plan(n_cycles=5, cycle_steps=18, batch_steps=60, all_steps=10, search_steps=90, **costs)
    assert plan.n_notes == 5 * 5 + 15 + 10
    assert plan.share_done(54) == pytest.approx(54 / 190)
    assert plan.after_search(54).share_done(54) == pytest.approx(54 / 154)
    assert plan.after_search(54).share_done(124) == 1


@pytest.mark.parametrize("validation", [False, True])
def test_columns_line_up_and_show_the_state(validation, rng, capsys):
    X = rng.standard_normal((600, 3))
    y = X[:, 0] + rng.standard_normal(600)
    held_out = {"X_val": X[:50], "y_val": y[:50]} if validation else {}
    model = SketchGNRegressor(
        width=8, solver="cg", alpha=1.0, max_iter=20, n_members=2, random_state=0, verbose=1
    )
    model.fit(X, y, **held_out)
    lines = capsys.readouterr().out.splitlines()
    # Of the first member only.
    assert len(lines) == 1 + len(model.loss_curve_)
    assert lines[0].split() == [
        "step", "loss", "validation", "objective", "alpha", "damping", "cg", "left",
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1
    last = lines[-1].split()
    assert int(last[0]) == model.loss_steps_[-1]
    assert float(last[1]) == pytest.approx(model.loss_, rel=1e-4)
    if validation:
        assert float(last[2]) == pytest.approx(model.validation_loss_curve_[-1], rel=1e-4)
    assert float(last[2 + validation]) == pytest.approx(model.history_["objective"][-1], rel=1e-4)
    assert last[-1].endswith("s")
    # Nothing is known of the time left before the first step.
    assert len(lines[1].split()) == 4 + validation


def test_places_of_losses_on_an_axis_of_steps(rng):
    X, y = rng.standard_normal((600, 3)), rng.standard_normal(600)
    model = SketchGNRegressor(width=8, alpha=1.0, max_iter=20, random_state=0).fit(X, y)
    # Three batches an epoch and 18 steps on batches; then every step that was not rejected.
    accepted = [
        step + 1
        for step, event in enumerate(model.history_["events"])
        if step >= 18 and "rejected" not in event
    ]
    assert model.loss_steps_ == [0, 3, 6, 9, 12, 15, 18, *accepted]
    assert len(model.loss_curve_) == len(model.loss_steps_)
    model.partial_fit(X, y).partial_fit(X[:50], y[:50])
    assert model.loss_steps_[-2:] == [accepted[-1] + 3, accepted[-1] + 4]
    assert np.isfinite(model.loss_curve_).all()
