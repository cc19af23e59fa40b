"""Preconditioned conjugate gradient as a method of linear algebra, without sketches."""

import numpy as np
import pytest

from sklearn_sketchgn._conjugate_gradient import conjugate_gradient

either_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def identity(vector):
    return vector


def positive_definite(size, condition, rng):
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    return basis * np.logspace(0, -np.log10(condition), size) @ basis.T


@either_dtype
def test_solves_to_the_tolerance(dtype, rng):
    A = positive_definite(40, 100.0, rng).astype(dtype)
    b = rng.standard_normal(40).astype(dtype)
    result = conjugate_gradient(lambda v: A @ v, b, identity, tol=1e-5, max_iter=200)
    assert result.converged
    assert result.x.dtype == dtype
    assert np.linalg.norm(A @ result.x - b) <= 1.1e-5 * np.linalg.norm(b)
    assert result.residual_norm <= 1e-5


def test_ends_in_as_many_iterations_as_there_are_eigenvalues(rng):
    basis = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    A = basis * np.repeat([1.0, 3.0, 10.0], 10) @ basis.T
    b = rng.standard_normal(30)
    result = conjugate_gradient(lambda v: A @ v, b, identity, tol=1e-10, max_iter=100)
    assert result.n_iter == 3


def test_stays_within_the_bound_of_its_condition_number(rng):
    # ||e_k||_A <= 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^k ||e_0||_A
    A = positive_definite(200, 1e4, rng)
    x = rng.standard_normal(200)
    start = np.sqrt(x @ A @ x)
    for n_iter in (50, 100, 200):
        result = conjugate_gradient(lambda v: A @ v, A @ x, identity, tol=1e-14, max_iter=n_iter)
        error = np.sqrt((result.x - x) @ A @ (result.x - x))
        assert error <= 2 * (99 / 101) ** n_iter * start


def test_the_inverse_as_preconditioner_takes_one_iteration(rng):
    A = positive_definite(50, 1e8, rng)
    b = rng.standard_normal(50)
    result = conjugate_gradient(
        lambda v: A @ v, b, lambda v: np.linalg.solve(A, v), tol=1e-6, max_iter=10
    )
    assert result.converged
    assert result.n_iter <= 2


def test_goes_on_from_a_start(rng):
    A = positive_definite(40, 100.0, rng)
    b = rng.standard_normal(40)
    first = conjugate_gradient(lambda v: A @ v, b, identity, tol=1e-10, max_iter=10)
    start = first.x.copy()
    second = conjugate_gradient(
        lambda v: A @ v, b, identity, tol=1e-10, max_iter=200, start=first.x
    )
    assert not first.converged
    assert second.converged
    np.testing.assert_array_equal(first.x, start)
    np.testing.assert_allclose(A @ second.x, b, atol=1e-8)
    third = conjugate_gradient(lambda v: A @ v, b, identity, tol=1e-8, max_iter=200, start=second.x)
    assert third.n_iter == 0
    assert third.converged


def test_zero_right_hand_side():
    result = conjugate_gradient(identity, np.zeros(5), identity, tol=1e-6, max_iter=10)
    assert result.converged
    assert result.n_iter == 0
    np.testing.assert_array_equal(result.x, np.zeros(5))


@either_dtype
def test_tolerance_below_round_off_is_floored(dtype, rng):
    A = positive_definite(30, 10.0, rng).astype(dtype)
    b = rng.standard_normal(30).astype(dtype)
    result = conjugate_gradient(lambda v: A @ v, b, identity, tol=0.0, max_iter=1000)
    assert result.converged
    assert result.n_iter < 60


def test_says_when_the_iterations_ran_out(rng):
    A = positive_definite(100, 1e8, rng)
    result = conjugate_gradient(
        lambda v: A @ v, rng.standard_normal(100), identity, tol=1e-10, max_iter=5
    )
    assert not result.converged
    assert result.n_iter == 5
    assert result.residual_norm > 1e-10


@pytest.mark.parametrize(
    ("product", "precondition"),
    [
        (lambda v: -v, identity),
        (lambda v: v * np.nan, identity),
        (identity, lambda v: v * np.nan),
        (identity, lambda v: -v),
        (lambda v: v * np.inf, identity),
        (lambda v: 0 * v, identity),
    ],
    ids=["indefinite", "nan", "nan preconditioner", "negative preconditioner", "inf", "singular"],
)
def test_breakdown_is_reported_and_never_nan(product, precondition):
    result = conjugate_gradient(product, np.ones(4), precondition, tol=1e-6, max_iter=10)
    assert not result.converged
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.residual_norm)


def test_breakdown_on_the_way_keeps_the_last_good_iterate(rng):
    A = positive_definite(40, 100.0, rng)
    b = rng.standard_normal(40)
    calls = []

    def product(vector):
        calls.append(0)
        return A @ vector * (np.nan if len(calls) > 5 else 1.0)

    result = conjugate_gradient(product, b, identity, tol=1e-12, max_iter=100)
    assert not result.converged
    assert result.n_iter == 5
    assert np.linalg.norm(b - A @ result.x) == pytest.approx(
        result.residual_norm * np.linalg.norm(b)
    )


def test_a_right_hand_side_that_is_not_finite_does_not_converge():
    b = np.array([1.0, np.nan, 0.0])
    result = conjugate_gradient(identity, b, identity, tol=1e-6, max_iter=10)
    assert not result.converged
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("magnitude", [1e-300, 1e-160, 1e160, 1e300])
def test_magnitudes_whose_squares_overflow_or_vanish(magnitude, rng):
    A = positive_definite(20, 10.0, rng)
    b = magnitude * rng.standard_normal(20)
    result = conjugate_gradient(lambda v: A @ v, b, identity, tol=1e-8, max_iter=100)
    assert result.converged
    assert np.linalg.norm((A @ result.x - b) / magnitude) <= 1.1e-8 * np.linalg.norm(b / magnitude)
