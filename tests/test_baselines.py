"""The methods that benchmarks/table1.py compares with, against dense formulas in float64."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests import references

N, M, D = 12, 30, 4


@pytest.fixture(scope="module")
def baselines():
    """The module of the benchmarks folder, which is no package."""
    path = Path(__file__).parents[1] / "benchmarks" / "baselines.py"
    if not path.exists():
        pytest.skip("benchmarks/ is not beside the tests")
    spec = importlib.util.spec_from_file_location("baselines", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def problem(rng):
    hidden = rng.standard_normal((M, D))
    output = rng.choice([-1.0, 1.0], size=M) / np.sqrt(M)
    rows = rng.standard_normal((N, D))
    return hidden, output, rows, rng.standard_normal(N)


def dense(hidden, output, rows, targets):
    """Return r and J."""
    W, a = hidden, output[:, None]
    r = references.forward(rows, W, a)[:, 0] - targets
    return r, references.jacobian(rows, W, a, train_output=False)


def moved(hidden, change):
    return hidden - change.reshape(hidden.shape)


def test_the_jacobian_and_the_gradient_are_those_of_the_formula(baselines, problem):
    r, J = dense(*problem)
    np.testing.assert_allclose(baselines.residual(*problem), r, rtol=1e-12)
    np.testing.assert_allclose(baselines.dense_jacobian(*problem[:3]), J, rtol=1e-12)
    np.testing.assert_allclose(baselines.gradient(*problem).ravel(), J.T @ r, rtol=1e-10)


def test_the_gradient_is_the_derivative_of_the_loss(baselines, problem, rng):
    hidden, *data = problem
    direction, length = rng.standard_normal(hidden.shape), 1e-6

    def loss(W):
        return 0.5 * np.sum(baselines.residual(W, *data) ** 2)

    difference = loss(hidden + length * direction) - loss(hidden - length * direction)
    slope = np.sum(baselines.gradient(*problem) * direction)
    assert difference / (2 * length) == pytest.approx(slope, rel=1e-6)


def test_gradient_descent_takes_steps_of_one_over_the_largest_curvature(baselines, problem):
    hidden, *data = problem
    r, J = dense(*problem)
    length = 1 / np.linalg.eigvalsh(J @ J.T)[-1]
    first, state = baselines.gradient_descent(*problem)
    np.testing.assert_allclose(first, moved(hidden, length * J.T @ r), rtol=1e-2, atol=1e-3)
    assert state == pytest.approx(length, rel=0.05)
    r, J = dense(first, *data)
    second, after = baselines.gradient_descent(first, *data, state)
    np.testing.assert_allclose(second, moved(first, state * J.T @ r), rtol=1e-10)
    assert after == state


def test_the_adaptive_step_shrinks_by_the_norms_of_the_residuals(baselines, problem):
    hidden, *data = problem
    r, J = dense(*problem)
    first, state = baselines.adaptive_gradient_descent(*problem)
    b_squared = 1 + N**-0.5
    np.testing.assert_allclose(
        first, moved(hidden, state["eta"] / b_squared**0.5 * J.T @ r), rtol=1e-10
    )
    r_second, J_second = dense(first, *data)
    second, _ = baselines.adaptive_gradient_descent(first, *data, state)
    b_squared += N**-0.5 * np.linalg.norm(r_second) / np.linalg.norm(r)
    expected = moved(first, state["eta"] / b_squared**0.5 * J_second.T @ r_second)
    np.testing.assert_allclose(second, expected, rtol=1e-10)


def test_gram_gauss_newton_solves_the_linearised_problem(baselines, problem):
    r, J = dense(*problem)
    expected = np.linalg.pinv(J) @ r
    found, _ = baselines.gram_gauss_newton(*problem)
    np.testing.assert_allclose(found, moved(problem[0], expected), rtol=1e-4, atol=1e-4)


def test_a_batch_epoch_is_a_chain_of_steps_on_parts_of_the_rows(baselines, problem):
    hidden, output, rows, targets = problem
    found, _ = baselines.batch_gram_gauss_newton(*problem, batch=5)
    order = np.random.default_rng(0).permutation(N)
    parts = [order[i::3] for i in range(3)]  # 12 rows in batches of at most 5
    assert sorted(np.concatenate(parts)) == list(range(N))
    for part in parts:
        J = np.stack([dense(hidden, output, rows, targets)[1][i] for i in part])
        r = dense(hidden, output, rows, targets)[0][part]
        hidden = moved(hidden, np.linalg.pinv(J) @ r)
    np.testing.assert_allclose(found, hidden, rtol=1e-4, atol=1e-4)


def test_the_natural_gradient_is_the_pseudo_inverse_of_the_fisher_matrix(baselines, problem):
    r, J = dense(*problem)
    fisher = J.T @ J
    expected = 0.5 * np.linalg.pinv(fisher, rcond=1e-10, hermitian=True) @ (J.T @ r)
    found, _ = baselines.natural_gradient_descent(*problem)
    np.testing.assert_allclose(found, moved(problem[0], expected), rtol=1e-7, atol=1e-8)


def test_every_baseline_of_the_table_lowers_the_loss(baselines, problem):
    hidden, *data = problem
    first = np.sum(baselines.residual(*problem) ** 2)
    for name, method in baselines.BASELINES.items():
        W, state = hidden, None
        for _ in range(10):
            W, state = method(W, *data, state)
        assert np.sum(baselines.residual(W, *data) ** 2) < 0.5 * first, name
