"""What a fit reports besides its result."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes

from sklearn_sketchgn import SketchGNRegressor, _diagnosis, _tables
from tests import cases


def quick(**parameters):
    few = {"width": 8, "max_iter": 12, "alpha": 1.0, "random_state": 0}
    return SketchGNRegressor(**{**few, **parameters})


def few_neurons(n_features):
    """Weights and biases of a network without a dead neuron."""
    return [np.ones((n_features, 4)), np.ones((4, 1))], [np.ones(4), np.ones(1)]


def test_dead_neurons_are_counted(rng, monkeypatch):
    monkeypatch.setattr(_tables, "_ROWS", 7)
    X = rng.standard_normal((50, 3))
    coefs, intercepts = rng.standard_normal((3, 6)), np.zeros(6)
    largest = (X @ coefs).max(axis=0)
    # Never active, active on one row (the last block or not), never active by a hair.
    intercepts[[0, 1, 2]] = [-largest[0] - 1, -largest[1] + 1e-9, -largest[2]]
    assert _diagnosis.count_dead(X, [coefs, None], [intercepts, None]) == 2
    assert _diagnosis.count_dead(X[:1] * 0, [coefs, None], [np.full(6, -1.0), None]) == 6


def test_dead_neurons_of_a_fit(rng):
    X, y = load_diabetes(return_X_y=True)
    model = quick().fit(X, y)
    active = (X @ model.coefs_[0] + model.intercepts_[0] > 0).any(axis=0)
    assert model.n_dead_ == np.sum(~active)
    assert model.diagnosis_ == []


def test_many_dead_neurons_are_reported():
    X = np.linspace(-1, 1, 20)[:, None]
    scaling = cases.fit_scaling(X, X, np.ones(20))
    coefs, intercepts = (
        [np.zeros((1, 4)), np.ones((4, 1))],
        [np.array([-1.0, -1, 1, 1]), np.ones(1)],
    )
    n_dead, found = _diagnosis.diagnose(X, scaling, coefs, intercepts)
    assert n_dead == 2
    assert len(found) == 1
    assert found[0].startswith("2 of 4 neurons are active on no training row")


def test_a_network_without_an_active_neuron_predicts_all_rows_alike():
    X = np.linspace(-1, 1, 20)[:, None]
    scaling = cases.fit_scaling(X, X, np.ones(20))
    coefs, intercepts = [np.zeros((1, 4)), np.ones((4, 1))], [np.full(4, -1.0), np.ones(1)]
    n_dead, (found,) = _diagnosis.diagnose(X, scaling, coefs, intercepts)
    assert n_dead == 4
    assert found.startswith("no neuron is active on any training row, so that all are predicted")


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_a_value_far_out_is_reported_without_a_warning(how, rng, capsys):
    pandas = pytest.importorskip("pandas")
    X = rng.standard_normal((20000, 3))
    X[7, 1] = 1e4  # 141 deviations with itself included
    X[:, 2] = 0
    X[3, 2] = 1  # a rare category, as many deviations out
    y = X[:, 0]
    model = quick(verbose=1)
    getattr(model, how)(pandas.DataFrame(X, columns=["a", "b", "c"]), y)
    assert len(model.diagnosis_) == 1
    assert model.diagnosis_[0].startswith(
        "column 1 ('b') has a value 141 standard deviations from its mean"
    )
    assert model.diagnosis_[0] in capsys.readouterr().out
    nameless = getattr(quick(), how)(X, y)
    assert nameless.diagnosis_[0].startswith("column 1 has a value 141")


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("code", [-9999, 999_999, 1e20])
@pytest.mark.parametrize(("count", "told"), [(2, True), (8, True), (25, True), (40, False)])
def test_codes_for_missing_values_are_told_of(count, told, code, how, rng):
    X = 100 + 30 * rng.standard_normal((500, 3))
    y = X[:, 0] + rng.standard_normal(500)
    X[rng.permutation(500)[:count], 1] = code
    found = getattr(quick(), how)(X, y).diagnosis_
    start = f"column 1 has {count} values that are "
    assert [sentence.startswith(start) for sentence in found] == [True] * told


def test_codes_in_a_column_far_from_zero_are_told_of(rng):
    X = 1e4 + rng.standard_normal((500, 2))
    X[rng.permutation(500)[:20], 1] = -9999
    (found,) = quick().fit(X, X[:, 0]).diagnosis_
    assert found.startswith("column 1 has 20 values that are ")


def test_the_distance_of_codes_is_in_deviations_of_the_others(rng):
    half = rng.standard_normal((200, 1))
    half[:10] = 1e4
    X = np.concatenate([half, -half])
    scaling = cases.fit_scaling(X, X, np.ones(400))
    farthest = _diagnosis.largest_deviations(X, scaling)
    ((column, count, distance),) = _diagnosis.few_far_values(X, scaling, farthest)
    assert (column, count) == (0, 20)
    assert distance == pytest.approx(1e4 / np.sqrt(np.mean(half[10:] ** 2)), rel=1e-9)


def test_a_hundred_deviations_are_far_in_a_table_of_any_size(rng):
    X = rng.standard_normal((20_000, 2))
    X[7, 1] = 175
    scaling = cases.fit_scaling(X, X, np.ones(20_000))
    _, found = _diagnosis.diagnose(X, scaling, *few_neurons(2))
    assert [sentence[:30] for sentence in found] == ["column 1 has a value 110 stand"]


def test_few_values_of_a_column_that_is_mostly_one_are_no_codes(rng):
    X = rng.standard_normal((500, 2))
    X[:, 1] = 7.0
    X[:9, 1] = [1e6, 2e6, 3e6] * 3
    assert quick().fit(X, X[:, 0]).diagnosis_ == []
    tails = np.exp(2 * rng.standard_normal((500, 2)))
    assert quick().fit(tails, tails[:, 0]).diagnosis_ == []


def test_troubles_are_counted_and_come_with_advice():
    marks = [set(), {"truncated"}, {"not converged"}, {"rejected", "not converged"}]
    singular, unfinished = _diagnosis.troubles("schedule", len(marks), marks, 1e-4)
    assert singular.startswith("1 of 4 linear systems were singular")
    assert "`alpha` or `damping`" in singular
    assert unfinished.startswith("`solver` did not converge in 2 of 4 steps")
    assert _diagnosis.troubles("schedule", 2, [set(), {"step shortened"}], 1e-4) == []
    (reached,) = _diagnosis.troubles("max_iter", 7, 14 * [set()], 1e-3)
    assert reached.startswith("max_iter=7 was reached before tol=0.001")


def test_a_fit_without_a_step_is_reported():
    nothing = [{"step skipped"}, {"rejected", "not converged"}]
    (found,) = _diagnosis.troubles("schedule", 1, [{"step skipped"}], 1e-4)
    assert "none of its 1 steps" in found
    assert any("none of its 2" in clause for clause in _diagnosis.troubles("x", 2, nothing, 1e-4))
    assert _diagnosis.troubles("round-off", 1, [{"rejected"}], 1e-4) == []
    assert _diagnosis.troubles("schedule", 2, [{"step skipped"}, set()], 1e-4) == []
    assert _diagnosis.troubles("schedule", 0, [], 1e-4) == []


def test_units_do_not_matter(rng):
    X = rng.standard_normal((100, 3)) * [1e-9, 1, 1e9] + [0, 1e6, 0]
    assert quick().fit(X, X[:, 1]).diagnosis_ == []


def test_deviations_are_those_of_the_table(rng, monkeypatch):
    monkeypatch.setattr(_tables, "_ROWS", 7)
    X, weight = rng.standard_normal((50, 3)), rng.uniform(0.1, 3, size=50)
    scaling = cases.fit_scaling(X, X, weight)
    expected = np.abs((X - scaling.x_mean) * scaling.x_inverse).max(axis=0)
    np.testing.assert_allclose(_diagnosis.largest_deviations(X, scaling), expected)


@pytest.mark.parametrize("typed", [1e4, 999999])
def test_one_wrong_entry_of_a_few_hundred_is_named(typed, rng):
    X = rng.standard_normal((300, 3))
    ordinary = SketchGNRegressor(width=8, max_iter=5, alpha=1.0).fit(X, X[:, 0])
    assert ordinary.diagnosis_ == []
    X[7, 1] = typed
    model = SketchGNRegressor(width=8, max_iter=5, alpha=1.0).fit(X, X[:, 0])
    assert any(sentence.startswith("column 1 has a value 17 ") for sentence in model.diagnosis_)


@pytest.mark.parametrize("encoding", ["auto", None])
def test_auto_says_why_there_are_no_ramps(encoding, rng):
    X = rng.standard_normal((60, 3))
    found = quick(encoding=encoding).fit(sp.csr_array(X), X[:, 0]).diagnosis_
    assert len(found) == (encoding == "auto")
    assert all("went without ramps, as X is sparse: pass X.toarray()" in line for line in found)
    wide = quick(encoding=encoding).fit(rng.standard_normal((60, 940)), X[:, 0]).diagnosis_
    assert len(wide) == (encoding == "auto")
    assert all("as X has 940 columns, and may have 939" in line for line in wide)
