"""Fits that go on from an earlier one."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_sketchgn import SketchGNRegressor, _warm_start
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn._moments import fit_moments

pytestmark = pytest.mark.filterwarnings(
    "ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning"
)


def test_a_column_that_varies_after_all_is_learnt_and_moves_nothing_at_first(wave):
    X, y = wave
    constant = np.column_stack([X, np.full(300, 5.0)])
    varying = np.column_stack([X, np.sign(X[:, 1])])
    model = SketchGNRegressor(16, max_iter=100, alpha=1e-6, warm_start=True, random_state=0)
    model.fit(constant, y)
    scaling, trainings = model._resume
    moments = fit_moments(varying, np.ones(300))
    moved, (training,) = _warm_start.with_late_columns(scaling, trainings, moments)
    coefs, intercepts = moved.fold(training.network)
    hidden = np.maximum(varying @ coefs[0] + intercepts[0], 0)
    found = (hidden @ coefs[1] + intercepts[1])[:, 0]
    np.testing.assert_allclose(found, model.predict(constant), atol=1e-5)
    target = y + 2 * varying[:, 2]
    assert model.fit(varying, target).score(varying, target) > 0.98
    assert np.abs(model.coefs_[0][2]).max() > 0


def test_a_column_of_two_values_that_varies_late_is_scaled_by_their_distance(wave):
    X, y = wave
    rare = np.arange(300) % 33 == 0
    model = SketchGNRegressor(8, max_iter=5, alpha=0.1, warm_start=True, random_state=0)
    model.fit(np.column_stack([X, np.zeros(300)]), y).fit(np.column_stack([X, rare]), y)
    scaling, _ = model._resume
    assert scaling.x_inverse[2] == 2


def test_momentum_ends_where_columns_or_targets_vary_late(wave):
    X, y = wave
    columns, targets = np.column_stack([X, np.zeros(300)]), np.column_stack([y, np.zeros(300)])
    model = SketchGNRegressor(8, max_iter=20, alpha=0.1, warm_start=True, random_state=0)
    scaling, trainings = model.fit(columns, targets)._resume
    assert trainings[0].previous_step is not None
    moments = fit_moments(np.column_stack([X, X[:, 1] ** 2]), np.ones(300))
    late = np.array([False, True])
    for _, (training,) in (
        _warm_start.with_late_columns(scaling, trainings, moments),
        _warm_start.with_late_targets(scaling, trainings, scaling, late),
    ):
        assert training.previous_step is None


def test_a_fit_to_constant_columns_is_nothing_to_go_on_from(wave):
    X, y = wave
    model = SketchGNRegressor(8, max_iter=60, alpha=0.1, warm_start=True, random_state=0)
    expected = clone(model).fit(X, y).predict(X)
    model.fit(np.full_like(X, 3.0), y)
    np.testing.assert_array_equal(model.fit(X, y).predict(X), expected)


def test_what_goes_on_stays_in_the_precision_of_its_batches(wave, monkeypatch):
    X, y = wave
    seen = set()
    rmatvec = Jacobian.rmatvec

    def watched(jacobian, vector):
        seen.add((jacobian.dtype, vector.dtype))
        return rmatvec(jacobian, vector)

    monkeypatch.setattr(Jacobian, "rmatvec", watched)
    model = SketchGNRegressor(16, max_iter=60, alpha=0.1, warm_start=True, random_state=0)
    model.fit(X, y)
    assert len(model.history_["batch_size"]) > 55 and model.history_["batch_size"][-1] == 300
    model.fit(X, y)
    assert seen == {(np.dtype(np.float32), np.dtype(np.float32))}


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_a_fit_to_a_single_row_is_nothing_to_go_on_from(first, wave):
    X, y = wave
    model = SketchGNRegressor(8, max_iter=100, alpha=0.1, warm_start=True, random_state=0)
    getattr(model, first)(X[:1], y[:1])
    assert model.fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("changed", "found"),
    [({"width": 9}, 8), ({"n_members": 2}, 1), ({"loss": "huber"}, "squared_error")],
)
def test_a_fit_goes_on_from_one_of_the_same_shape_only(changed, found, wave):
    X, y = wave
    model = SketchGNRegressor(max_iter=2, width=8, warm_start=True, random_state=0).fit(X, y)
    before = model.predict(X)
    model.set_params(**changed)
    with pytest.raises(ValueError, match=rf"cannot continue the last fit.*was \(.*{found}.*\) and"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("constants", [[7.0], [7.0, 8.0], [0.0]])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_fits_to_constant_targets_are_nothing_to_go_on_from(n_outputs, constants, wave):
    X, y = wave
    targets = np.column_stack([1e-6 * y, X[:, 1]])[:, :n_outputs]
    model = SketchGNRegressor(16, max_iter=400, warm_start=True, random_state=0)
    expected = clone(model).fit(X, targets)
    for constant in constants:
        model.fit(X, np.full_like(targets, constant))
    assert model.fit(X, targets).alpha_ == expected.alpha_
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_one_constant_target_of_several_costs_the_others_nothing(wave):
    X, y = wave
    targets = np.column_stack([y, np.zeros(300)])
    model = SketchGNRegressor(16, max_iter=200, alpha=0.01, warm_start=True, random_state=0)
    before = model.fit(X, targets).predict(X)[:, 0]
    targets[0, 1] = 1e-9
    after = model.set_params(max_iter=1).fit(X, targets).predict(X)[:, 0]
    assert np.mean((after - before) ** 2) < 0.01 * np.var(y)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_a_target_that_varies_late_gets_its_own_scale(unit, loss, wave):
    X, y = wave
    model = SketchGNRegressor(16, max_iter=400, loss=loss, warm_start=True, random_state=0)
    model.fit(X, np.column_stack([y, np.full(300, 3.0)]))
    targets = np.column_stack([y, 3.0 + unit * X[:, 1]])
    found = model.fit(X, targets).predict(X)
    assert np.all(np.var(found - targets, axis=0) < 0.02 * np.var(targets, axis=0))


def test_it_may_be_decided_after_the_first_fit(wave):
    X, y = wave
    first = SketchGNRegressor(16, max_iter=60, alpha=0.1, random_state=0)
    then = clone(first).fit(X, y).set_params(warm_start=True, max_iter=1).fit(X, y)
    assert then.score(X, y) > first.fit(X, y).score(X, y) - 0.05
    assert first.fit(X, y).n_iter_ == 60  # and is not what a fit does by itself
    # For this no more is kept than the network once again.
    assert first._resume[1][0].previous_step is None
    assert then._resume[1][0].previous_step is not None


@pytest.mark.parametrize("first", ["stream", "number", "noise"])
def test_a_penalty_that_no_rows_have_chosen_is_chosen_then(first, wave):
    X, y = wave
    model = SketchGNRegressor(16, max_iter=60, warm_start=True, random_state=0)
    if first == "stream":
        for start in (0, 20, 40):
            model.partial_fit(X[start : start + 20], y[start : start + 20])
        assert model.alpha_ == 0.3
    elif first == "noise":
        model.set_params(max_iter=400).fit(X, np.random.default_rng(0).standard_normal(300))
        assert model.alpha_ == 1e4
    else:
        model.set_params(alpha=0.3).fit(X, y).set_params(alpha="auto")
    alpha = model.fit(X, y).alpha_
    assert alpha < 0.2
    assert np.ptp(model.column_penalty_) > 0
    assert model.fit(X, y).alpha_ == alpha  # and once only


def test_columns_are_those_of_the_first_fit(wave):
    pandas = pytest.importorskip("pandas")
    X, y = wave
    frame = pandas.DataFrame(X, columns=["a", "b"])
    model = SketchGNRegressor(8, max_iter=5, warm_start=True, random_state=0).fit(frame, y)
    for other in (frame[["b", "a"]], frame.rename(columns={"a": "c"})):
        with pytest.raises(ValueError, match="The feature names should match"):
            model.fit(other, y)
    with pytest.raises(ValueError, match="X has 3 features, but SketchGNRegressor is expecting 2"):
        clone(model).fit(X, y).fit(np.column_stack([X, y]), y)
    model.set_params(warm_start=False).fit(frame.rename(columns={"a": "c"}), y)
    assert list(model.feature_names_in_) == ["c", "b"]


def test_a_pickle_that_a_fit_cannot_go_on_from_says_so(wave):
    X, y = wave
    model = SketchGNRegressor(8, max_iter=5, alpha=0.1, random_state=0).fit(X, y)
    for copy in (pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert not hasattr(copy, "_resume") and hasattr(model, "_resume")
        with pytest.raises(ValueError, match="pickled or copied with warm_start=False"):
            copy.set_params(warm_start=True).fit(X, y)
        assert copy.set_params(warm_start=False).fit(X, y).n_iter_ == 5
    again = pickle.loads(pickle.dumps(model.set_params(warm_start=True)))
    np.testing.assert_array_equal(again.fit(X, y).predict(X), model.fit(X, y).predict(X))
