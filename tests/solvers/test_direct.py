"""What is particular to the direct solver: the route it takes when Cholesky fails."""

import numpy as np
import pytest

from sklearn_sketchgn import Direct
from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn.solvers import _direct
from sklearn_sketchgn.solvers._direct import _solve_truncated, form_exact, solve_truncated
from tests import cases, references
from tests.solvers.test_contract import problem

every_shape = pytest.mark.parametrize("shape", cases.SHAPES, ids=str)


@every_shape
def test_a_truncated_solution_keeps_what_the_ridge_determines(shape, rng):
    # Directions below the cut are not lost: there the ridge alone decides.
    system = problem(cases.duplicated_table, shape, rng, antisymmetric=True)
    state = form_exact(system.jacobian)
    ridge = 1e-3 * system.eigenvalues.max()
    right = rng.standard_normal(len(state.diagonal))
    solution = _solve_truncated(state, right, ridge)
    dense = system.dense @ system.dense.T if state.dual else system.dense.T @ system.dense
    expected = np.linalg.solve(dense + ridge * np.eye(len(dense)), right)
    np.testing.assert_allclose(solution, expected, atol=1e-10 * np.abs(expected).max())
    assert np.abs(right @ solution) > 0.1 * right @ right / ridge  # most of it below the cut


@every_shape
def test_a_ridge_below_round_off_gives_the_step_of_minimum_norm(shape, rng):
    system = problem(cases.duplicated_table, shape, rng, antisymmetric=True)
    step = solve_truncated(system.jacobian, system.rhs, 1e-300)
    np.testing.assert_array_equal(step, solve_truncated(system.jacobian, system.rhs, 0.0))


@every_shape
def test_a_failed_factorisation_is_recovered_and_reported(shape, monkeypatch, rng):
    def failing(matrix, **keywords):
        return matrix, 1

    monkeypatch.setattr(_direct, "get_lapack_funcs", lambda names, _: [failing] * len(names))
    monkeypatch.setattr(_direct, "eliminates", lambda jacobian: False)
    system = problem(cases.ordinary_table, shape, rng)
    ridge = 1e-3 * system.eigenvalues.max()
    result = Direct().solve(Direct().prepare(system.jacobian), system.rhs, ridge)
    assert (result.message, result.truncated) == ("cholesky failed", True)
    expected = references.damped_least_squares(system.dense, system.rhs, ridge)
    assert np.linalg.norm(result.step - expected) <= 1e-10 * np.linalg.norm(expected)


@pytest.mark.parametrize("copied_side", [0, 10_000], ids=["in place", "of a copy"])
@every_shape
def test_one_matrix_serves_every_ridge_and_right_hand_side(shape, copied_side, rng, monkeypatch):
    monkeypatch.setattr(_direct, "_COPIED_SIDE", copied_side)
    monkeypatch.setattr(_direct, "eliminates", lambda jacobian: False)
    system = problem(cases.ordinary_table, shape, rng)
    largest = system.eigenvalues.max()
    state = Direct().prepare(system.jacobian)
    for ridge in largest * np.array([1e-3, 1e-3, 1e-1, 1e-6, 1e-3]):
        rhs = rng.standard_normal(len(system.rhs))
        step = Direct().solve(state, rhs, ridge).step
        expected = references.damped_least_squares(system.dense, rhs, ridge)
        assert np.linalg.norm(step - expected) <= 1e-8 * np.linalg.norm(expected)


def test_an_equal_ridge_is_not_factored_again(rng, monkeypatch):
    system = problem(cases.ordinary_table, cases.SHAPES[0], rng)
    state = Direct().prepare(system.jacobian)
    ridges, factorise = [], _direct._factorise

    def counting(state, ridge):
        ridges.append(ridge)
        return factorise(state, ridge)

    monkeypatch.setattr(_direct, "_factorise", counting)
    for ridge in (1.0, 1.0, 2.0, 1.0):
        Direct().solve(state, system.rhs, ridge)
    assert ridges == [1.0, 2.0, 1.0]


def test_an_ill_conditioned_factor_serves_under_a_ridge(rng):
    rows, *weights = cases.network_arrays(cases.ordinary_table, cases.Shape(20, 6, 100, 1), rng)
    rows[0] *= 1e-9
    J, dense = Jacobian(rows, *weights), references.jacobian(rows, *weights)
    rhs, ridge = rng.standard_normal(20), 1e-18 * np.sum(dense**2)
    found = Direct().solve(Direct().prepare(J), rhs, ridge)
    assert (found.message, found.truncated) == ("ill-conditioned", False)
    expected = references.damped_least_squares(dense, rhs, ridge)
    np.testing.assert_allclose(found.step, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("lost", "truncated"), [(1.0, True), (0.01, False)])
def test_without_a_ridge_a_factor_must_keep_a_digit(lost, truncated, rng):
    rows, *weights = cases.network_arrays(cases.ordinary_table, cases.Shape(20, 6, 100, 1), rng)
    values = np.linalg.eigvalsh(Jacobian(rows[1:], *weights).gram())
    least = np.linalg.norm(Jacobian(rows[:1], *weights).gram())
    rows[0] *= np.sqrt(np.finfo(float).eps * values[-1] / (lost * least))
    J = Jacobian(rows, *weights)
    found = Direct().solve(Direct().prepare(J), rng.standard_normal(20), 0.0)
    assert found.truncated == truncated
