"""The output layer eliminated: the same solution, and when that is cheaper."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_sketchgn import Direct, SketchGNRegressor, _elimination
from sklearn_sketchgn._elimination import Elimination, eliminates
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn._losses import LOSSES
from sklearn_sketchgn._network import initialise
from sklearn_sketchgn.solvers import Auto, _direct
from sklearn_sketchgn.solvers._auto import operations
from tests import cases, references
from tests.solvers.test_contract import problem

SHAPES = [cases.Shape(150, 4, 5, 3), cases.Shape(40, 3, 7, 20), cases.Shape(30, 5, 4, 2)]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_table = pytest.mark.parametrize("table", cases.TABLES, ids=lambda table: table.__name__)


@every_table
@every_shape
def test_it_is_the_damped_least_squares_solution(shape, table, rng):
    system = problem(table, shape, rng)
    state = Elimination(system.jacobian)
    for share in (1e-6, 1e-6, 1e-2, 10.0):
        ridge = share * system.eigenvalues.max()
        rhs = rng.standard_normal(len(system.rhs))
        step = state.solve(system.jacobian.rmatvec(rhs), ridge)
        expected = references.damped_least_squares(system.dense, rhs, ridge)
        assert np.linalg.norm(step - expected) <= 1e-8 * np.linalg.norm(expected)


def test_the_column_of_ones_has_the_weights_of_the_rows(rng):
    rows, *weights = cases.network_arrays(cases.ordinary_table, SHAPES[0], rng)
    rows = rows * np.sqrt(rng.uniform(0.1, 3.0, size=(len(rows), 1)))
    jacobian, dense = Jacobian(rows, *weights), references.jacobian(rows, *weights)
    rhs = rng.standard_normal(len(dense))
    step = Elimination(jacobian).solve(jacobian.rmatvec(rhs), 0.1)
    expected = references.damped_least_squares(dense, rhs, 0.1)
    np.testing.assert_allclose(step, expected, atol=1e-9 * np.abs(expected).max())


@every_shape
def test_blocks_of_rows_are_summed(shape, rng, monkeypatch):
    system = problem(cases.ordinary_table, replace(shape, n_samples=300), rng)
    right = system.jacobian.rmatvec(system.rhs)
    whole = Elimination(system.jacobian).solve(right, 1.0)
    monkeypatch.setattr(_elimination, "BLOCK_ELEMENTS", 1)
    blocks, original = [], Jacobian.hidden_rows
    monkeypatch.setattr(
        Jacobian, "hidden_rows", lambda self, rows: blocks.append(rows) or original(self, rows)
    )
    np.testing.assert_allclose(
        Elimination(system.jacobian).solve(right, 1.0), whole, atol=1e-10 * np.abs(whole).max()
    )
    assert len(blocks) == 5


def test_in_float32(rng):
    shape = SHAPES[0]
    arrays = cases.network_arrays(cases.ordinary_table, shape, rng)
    dense = references.jacobian(*arrays, train_output=True)
    rhs = rng.standard_normal(len(dense))
    ridge = 1e-2 * np.linalg.norm(dense, 2) ** 2
    jacobian = Jacobian(*(array.astype(np.float32) for array in arrays))
    step = Elimination(jacobian).solve(jacobian.rmatvec(rhs.astype(np.float32)), ridge)
    assert step.dtype == np.float32
    expected = references.damped_least_squares(dense, rhs, ridge)
    assert np.linalg.norm(step - expected) <= 1e-4 * np.linalg.norm(expected)


def test_an_equal_ridge_is_not_factored_again(rng, monkeypatch):
    system = problem(cases.ordinary_table, SHAPES[0], rng)
    ridges, original = [], Elimination._factorise

    def counting(self, ridge):
        ridges.append(ridge)
        return original(self, ridge)

    monkeypatch.setattr(Elimination, "_factorise", counting)
    state = Direct().prepare(system.jacobian)
    for ridge in (1.0, 1.0, 2.0, 1.0):
        Direct().solve(state, system.rhs, ridge)
    assert ridges == [1.0, 2.0, 1.0]
    Direct().solve(state, system.rhs, 0.0)
    whole = state.whole
    Direct().solve(state, system.rhs, 0.0)
    assert state.whole is whole is not None


def test_where_it_fails_the_whole_matrix_is_factored(rng, monkeypatch):
    system = problem(cases.ordinary_table, SHAPES[0], rng)
    expected = references.damped_least_squares(system.dense, system.rhs, 1.0)
    for failing in (1, 2):
        calls = []

        def potrf(matrix, *, failing=failing, calls=calls, **keywords):
            calls.append(len(matrix))
            return matrix, int(len(calls) == failing)

        original = _elimination.get_lapack_funcs
        with monkeypatch.context() as patch:
            patch.setattr(
                _elimination,
                "get_lapack_funcs",
                lambda names, arrays, potrf=potrf, original=original: [
                    potrf if name == "potrf" else found
                    for name, found in zip(names, original(names, arrays), strict=True)
                ],
            )
            result = Direct().solve(Direct().prepare(system.jacobian), system.rhs, 1.0)
        assert len(calls) == failing
        assert np.linalg.norm(result.step - expected) <= 1e-8 * np.linalg.norm(expected)
    step = Elimination(system.jacobian).solve(np.full(len(expected), np.nan), 1.0)
    assert np.isnan(step).all()
    system.jacobian.rows[0, 0] = np.nan
    assert Elimination(system.jacobian).solve(expected, 1.0) is None


def test_without_a_ridge_the_step_is_of_minimum_norm(rng):
    system = problem(cases.duplicated_table, SHAPES[0], rng, antisymmetric=True)
    state = Direct().prepare(system.jacobian)
    assert isinstance(state, Elimination)
    step = Direct().solve(state, system.rhs, 0.0).step
    expected = np.linalg.lstsq(system.dense, system.rhs, rcond=1e-12)[0]
    assert np.linalg.norm(step - expected) <= 1e-6 * np.linalg.norm(expected)


def test_where_it_is_cheaper(rng):
    def jacobian(n, d, m, k, **parameters):
        arrays = cases.network_arrays(cases.ordinary_table, cases.Shape(n, d, m, k), rng)
        return Jacobian(*arrays, **parameters)

    assert eliminates(jacobian(64, 4, 16, 30))
    assert not eliminates(jacobian(64, 4, 16, 1))
    assert not eliminates(jacobian(20, 4, 16, 2))  # 40 x 40
    assert not eliminates(jacobian(64, 4, 16, 30, train_output=False))
    network = initialise(16, 4, 30, rng)
    rows = np.column_stack([rng.standard_normal((64, 3)), np.ones(64)])
    for name, loss in LOSSES.items():
        found = loss().linearise(network, rows, np.ones((64, 30)))[0]
        assert eliminates(found) == loss.outputs_alike == (name == "squared_error")


def test_auto_takes_it_for_cheap(rng):
    # 2000 x 12 targets and 348 parameters: a direct step costs less than iterations would.
    arrays = cases.network_arrays(cases.ordinary_table, cases.Shape(2000, 40, 24, 50), rng)
    jacobian = Jacobian(*(array.astype(np.float32) for array in arrays))
    counts = operations(jacobian)
    side = 24 * 40
    assert counts["form"] == side**2 * (2000 + 24) + 2 * 2000 * side * 24
    assert counts["direct factor"] == side**3 / 3
    assert counts["factor"] == (24 * 90 + 50) ** 3 / 3
    solver, state = Auto().prepare(jacobian, sketch=None, rng=None)
    assert isinstance(solver, Direct)
    assert isinstance(state, Elimination)


@pytest.mark.parametrize(
    "parameters",
    [{"train_output": False}, {"alpha": 0, "damping": 0}, {"solver": "cg"}, {"loss": "huber"}],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:SketchGNRegressor:sklearn.exceptions.ConvergenceWarning")
def test_batches_are_small_where_nothing_is_eliminated(parameters, rng):
    X, Y = rng.standard_normal((70, 3)), rng.standard_normal((70, 30))
    parameters = {"alpha": 1.0, "max_iter": 1, "width": 6, "random_state": 0, **parameters}
    model = SketchGNRegressor(**parameters).fit(X, Y)
    assert model.batch_size_ == 64


def test_a_fit_of_many_outputs_is_the_same(rng, monkeypatch):
    X = rng.standard_normal((200, 3))
    Y = np.sin(X @ rng.standard_normal((3, 30))) + 0.1 * rng.standard_normal((200, 30))
    model = SketchGNRegressor(width=12, max_iter=30, random_state=0).fit(X, Y)
    assert model.batch_size_ == 256
    monkeypatch.setattr(_direct, "eliminates", lambda jacobian: False)
    other = SketchGNRegressor(width=12, max_iter=30, batch_size=256, random_state=0).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-4, atol=1e-6)
    assert model.score(X, Y) > 0.5
