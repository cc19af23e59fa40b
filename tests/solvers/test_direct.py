"""What is particular to the direct solver: the route it takes when Cholesky fails."""

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from sklearn_sketchgn import Direct
from sklearn_sketchgn.solvers._direct import _solve_truncated, solve_truncated
from tests import cases, references
from tests.solvers.test_contract import problem

every_shape = pytest.mark.parametrize("shape", cases.SHAPES, ids=str)


@every_shape
def test_a_truncated_solution_keeps_what_the_ridge_determines(shape, rng):
    # Directions below the cut are not lost: there the ridge alone decides.
    system = problem(cases.duplicated_table, shape, rng, antisymmetric=True)
    state = Direct().prepare(system.jacobian)
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
    def failing(*arguments, **keywords):
        raise LinAlgError("not positive definite")

    monkeypatch.setattr("sklearn_sketchgn.solvers._direct.cho_factor", failing)
    system = problem(cases.ordinary_table, shape, rng)
    ridge = 1e-3 * system.eigenvalues.max()
    result = Direct().solve(Direct().prepare(system.jacobian), system.rhs, ridge)
    assert result.message == "cholesky failed, truncated"
    expected = references.damped_least_squares(system.dense, system.rhs, ridge)
    assert np.linalg.norm(result.step - expected) <= 1e-10 * np.linalg.norm(expected)
