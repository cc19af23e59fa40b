"""How many iterations conjugate gradient takes, and how long a factor is kept."""

import numpy as np
import pytest

from sklearn_sketchgn import CG, Direct, Gaussian
from sklearn_sketchgn._conjugate_gradient import conjugate_gradient
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn.sketches import Sketch
from sklearn_sketchgn.solvers._cg import _sketch_plan
from tests import cases, references
from tests.solvers.test_contract import every_sketch

WIDE = cases.Shape(120, 9, 1600, 1)
TALL = cases.Shape(3000, 5, 12, 1)

either_oversampling = pytest.mark.parametrize("oversampling", [4.0, 8.0])


def jacobian(table, shape, rng):
    rows, hidden, output = cases.network_arrays(table, shape, rng)
    return Jacobian(rows, hidden, output)


def iterations(J, ridge, rng, *, sketch, oversampling, tol=1e-6):
    state = CG(tol=tol, oversampling=oversampling).prepare(J, sketch=sketch, rng=rng)
    result = CG(tol=tol, oversampling=oversampling).solve(
        state, rng.standard_normal(J.shape[0]), ridge
    )
    assert result.converged
    # An exact factor takes one iteration whatever the sketch is.
    assert "exact" not in result.message
    return result.n_iter


@every_sketch
@either_oversampling
@pytest.mark.parametrize("shape", [WIDE, TALL], ids=str)
@pytest.mark.parametrize("table", [cases.ordinary_table, cases.heavy_rows_table])
def test_count_follows_from_the_sketch_size(sketch, oversampling, shape, table, rng):
    J = jacobian(table, shape, rng)
    ridge = 1e-9 * np.linalg.norm(J.rows) ** 2
    n_iter = iterations(J, ridge, rng, sketch=sketch, oversampling=oversampling)
    assert n_iter <= 1.3 * references.expected_iterations(oversampling, 1e-6)


@every_sketch
@either_oversampling
@pytest.mark.parametrize("table", [cases.collinear_table, cases.one_hot_table])
def test_count_stays_bounded_through_the_stable_rank(sketch, oversampling, table, rng):
    # One-hot rows repeat: without a ridge the matrix is singular.
    J = jacobian(table, cases.Shape(120, 9, 4000, 1), rng)
    ridge = 1e-6 * np.linalg.norm(J.rows) ** 2
    n_iter = iterations(J, ridge, rng, sketch=sketch, oversampling=oversampling)
    assert n_iter <= 2 * references.expected_iterations(oversampling, 1e-6)


def test_a_factor_applied_in_the_wrong_order_fails_the_count(monkeypatch, rng):
    def transposed(self, vector):
        lower = np.tril(self.factor) if self.lower else np.triu(self.factor).T
        return np.linalg.solve(lower, np.linalg.solve(lower.T, vector))

    monkeypatch.setattr("sklearn_sketchgn._preconditioner.Preconditioner.apply", transposed)
    J = jacobian(cases.heavy_rows_table, WIDE, rng)
    solver = CG(tol=1e-6)
    state = solver.prepare(J, sketch=Gaussian(), rng=rng)
    result = solver.solve(state, rng.standard_normal(120), 1e-9 * np.linalg.norm(J.rows) ** 2)
    assert result.n_iter > 2 * references.expected_iterations(4.0, 1e-6)


def moved(J, amount, rng):
    """Return the Jacobian after a step of a relative length."""
    hidden = J.hidden_weights + amount * rng.standard_normal(J.hidden_weights.shape)
    return Jacobian(J.rows, hidden, J.output_weights)


class Counting(Sketch):
    """Counts its draws in a list that clones share."""

    def __init__(self, draws):
        self.draws = draws

    def draw(self, sketch_size, n_rows, rng):
        self.draws.append(sketch_size)
        return Gaussian().draw(sketch_size, n_rows, rng)


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=str)
def test_a_factor_that_serves_is_kept(shape, rng):
    J = jacobian(cases.ordinary_table, shape, rng)
    rhs, ridge, draws = rng.standard_normal(J.shape[0]), 0.1 * len(J.rows), []
    solver = CG()
    state = solver.prepare(J, sketch=Counting(draws), rng=rng)
    solver.solve(state, rhs, ridge)
    for _ in range(3):
        J = moved(J, 1e-3, rng)
        state = solver.prepare(J, sketch=Counting(draws), rng=rng, previous=state)
        result = solver.solve(state, rhs, ridge)
        assert result.message == "kept factor"
    assert len(draws) == 1
    exact = Direct().solve(Direct().prepare(J), rhs, ridge)
    np.testing.assert_allclose(result.step, exact.step, atol=1e-8 * np.abs(exact.step).max())


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=str)
def test_a_stale_factor_is_refreshed(shape, rng):
    J = jacobian(cases.ordinary_table, shape, rng)
    rhs, ridge, draws = rng.standard_normal(J.shape[0]), 1e-6 * len(J.rows), []
    solver = CG()
    state = solver.prepare(J, sketch=Counting(draws), rng=rng)
    solver.solve(state, rhs, ridge)
    J = moved(J, 3.0, rng)
    state = solver.prepare(J, sketch=Counting(draws), rng=rng, previous=state)
    result = solver.solve(state, rhs, ridge)
    assert "refreshed factor" in result.message
    assert result.converged
    assert result.n_iter <= solver.refresh + 1.3 * references.expected_iterations(4.0, 1e-10)
    assert len(draws) == 2
    exact = Direct().solve(Direct().prepare(J), rhs, ridge)
    np.testing.assert_allclose(result.step, exact.step, atol=1e-8 * np.abs(exact.step).max())


def test_a_factor_of_another_size_is_not_kept(rng):
    first = jacobian(cases.ordinary_table, WIDE, rng)
    second = jacobian(cases.ordinary_table, cases.Shape(60, 9, 1600, 1), rng)
    solver = CG()
    state = solver.prepare(first, sketch=Gaussian(), rng=rng)
    solver.solve(state, np.ones(120), 1.0)
    state = solver.prepare(second, sketch=Gaussian(), rng=rng, previous=state)
    assert solver.solve(state, np.ones(60), 1.0).converged


def test_too_few_iterations_are_reported(rng):
    J = jacobian(cases.ordinary_table, WIDE, rng)
    solver = CG(max_iter=3)
    state = solver.prepare(J, sketch=Gaussian(), rng=rng)
    result = solver.solve(state, np.ones(120), 1e-6)
    assert not result.converged
    assert result.n_iter == 3
    assert result.message == ""
    assert np.isfinite(result.step).all()


def test_an_exact_matrix_replaces_a_sketch_that_would_not_be_smaller(rng):
    J = jacobian(cases.ordinary_table, cases.Shape(40, 5, 30, 1), rng)
    solver = CG()
    state = solver.prepare(J, sketch=Gaussian(), rng=rng)
    result = solver.solve(state, np.ones(40), 1e-3)
    assert result.message == "exact gram"
    assert result.n_iter <= 2


def test_oversampling_falls_where_the_sketch_would_not_fit(monkeypatch, rng):
    J = jacobian(cases.ordinary_table, TALL, rng)
    assert _sketch_plan(J, False, 4.0)[2] == 4 * J.shape[1]
    monkeypatch.setattr("sklearn_sketchgn.solvers._cg._SKETCH_BYTES", 8 * 3 * J.shape[1] ** 2)
    assert _sketch_plan(J, False, 4.0)[2] == 2 * J.shape[1]


@every_sketch
def test_a_sketch_whose_signs_cancel_two_equal_rows_is_not_blamed(sketch, rng):
    # S of one row: +-1 +-1 is zero for half of the draws of signs.
    J = Jacobian(np.ones((2, 1)), np.ones((1, 1)), np.ones((1, 1)), train_output=False)
    solver = CG(oversampling=1.0)
    for _ in range(20):
        state = solver.prepare(J, sketch=sketch, rng=rng)
        result = solver.solve(state, np.ones(2), 0.1)
        np.testing.assert_allclose(result.step, 2 / 2.1, rtol=1e-5)


def test_a_fresh_factor_goes_on_from_where_a_stale_one_got(rng, monkeypatch):
    starts, results = [], []

    def noting(*args, start=None, **kwargs):
        starts.append(start)
        results.append(conjugate_gradient(*args, start=start, **kwargs))
        return results[-1]

    J = jacobian(cases.ordinary_table, WIDE, rng)
    rhs, ridge, solver = rng.standard_normal(120), 1e-6 * len(J.rows), CG(refresh=5)
    before = solver.prepare(J, sketch=Gaussian(), rng=rng)
    solver.solve(before, rhs, ridge)
    state = solver.prepare(moved(J, 0.5, rng), sketch=Gaussian(), rng=rng, previous=before)
    monkeypatch.setattr("sklearn_sketchgn.solvers._cg.conjugate_gradient", noting)
    found = solver.solve(state, rhs, ridge)
    stale, fresh = results
    assert (stale.n_iter, found.n_iter) == (5, 5 + fresh.n_iter)
    assert starts[0] is None
    assert starts[1] is stale.x


def test_a_fresh_factor_is_not_given_up_after_the_iterations_of_a_kept_one(rng):
    J, draws = jacobian(cases.ordinary_table, WIDE, rng), []
    solver = CG(refresh=1)
    state = solver.prepare(J, sketch=Counting(draws), rng=rng)
    for _ in range(3):
        assert solver.solve(state, rng.standard_normal(120), 0.1).converged
    assert len(draws) == 1


def test_without_a_ridge_what_does_not_converge_is_solved_by_eigenvalues(rng):
    J = jacobian(cases.ordinary_table, WIDE, rng)
    rhs, solver = rng.standard_normal(J.shape[0]), CG(max_iter=1)
    found = solver.solve(solver.prepare(J, sketch=Gaussian(), rng=rng), rhs, 0.0)
    assert (found.message, found.truncated, found.converged) == ("cg failed", True, True)
    expected = Direct().solve(Direct().prepare(J), rhs, 0.0).step
    np.testing.assert_allclose(found.step, expected, atol=1e-6 * np.abs(expected).max())


def test_a_sketch_as_large_as_the_table_is_not_drawn(rng):
    J, draws, solver = jacobian(cases.ordinary_table, cases.Shape(84, 3, 5, 1), rng), [], CG()
    assert J.shape == (84, 21)
    state = solver.prepare(J, sketch=Counting(draws), rng=rng)
    assert solver.solve(state, rng.standard_normal(84), 1.0).message == "exact gram"
    assert draws == []
