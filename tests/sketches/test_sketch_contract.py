"""What is promised of every sketch, and of a sketch that a user writes."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import qr, solve_triangular
from sklearn.base import clone

from sklearn_sketchgn import sketches
from sklearn_sketchgn.sketches import SKETCHES, Sketch, SketchOperator
from tests import cases


@dataclass(frozen=True, eq=False)
class SignMatrix(SketchOperator):
    signs: np.ndarray

    def _multiply(self, A):
        return self.signs.astype(A.dtype) @ A / self.shape[0] ** 0.5


class Rademacher(Sketch):
    """A third party's sketch, after the docstring of `Sketch`."""

    def draw(self, sketch_size, n_rows, rng):
        signs = rng.choice([-1, 1], size=(sketch_size, n_rows))
        return SignMatrix((sketch_size, n_rows), signs)


every_sketch = pytest.mark.parametrize("sketch", [*cases.SKETCHES, Rademacher()], ids=repr)
every_subspace_sketch = pytest.mark.parametrize(
    "sketch", [*cases.SUBSPACE_SKETCHES, Rademacher()], ids=repr
)
either_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def dense(S):
    return S @ np.eye(S.shape[1])


def matrix(n_rows=60, n_columns=20, seed=0):
    return np.random.default_rng(seed).standard_normal((n_rows, n_columns))


def test_every_public_sketch_is_a_case():
    public = [getattr(sketches, name) for name in sketches.__all__]
    classes = {member for member in public if isinstance(member, type)}
    strategies = {member for member in classes if issubclass(member, Sketch)} - {Sketch}
    assert {type(sketch) for sketch in cases.SKETCHES} == strategies
    assert {type(sketch) for sketch in cases.SUBSPACE_SKETCHES} == strategies
    assert set(SKETCHES.values()) == strategies


@every_sketch
def test_strategy_is_cloneable_and_keeps_no_state(sketch, rng):
    before = dict(vars(sketch))
    sketch.draw(5, 10, rng)
    assert vars(sketch) == before
    assert "random_state" not in sketch.get_params()
    copy = clone(sketch)
    assert type(copy) is type(sketch)
    assert copy.get_params() == sketch.get_params()


@every_sketch
@either_dtype
@pytest.mark.parametrize("order", ["C", "F"])
def test_product_has_the_dtype_of_the_array_and_leaves_it_alone(sketch, dtype, order, rng):
    A = np.array(matrix(), dtype=dtype, order=order)
    A.setflags(write=False)
    S = sketch.draw(15, 60, rng)
    SA = S @ A
    assert S.shape == (15, 60)
    assert SA.shape == (15, 20)
    assert SA.dtype == dtype
    np.testing.assert_array_equal(A, matrix().astype(dtype))
    # 60 terms and a transform of that length lose a few roundings each.
    np.testing.assert_allclose(SA, dense(S) @ A, atol=100 * np.finfo(dtype).eps)


@every_sketch
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float16])
def test_other_real_dtypes_are_computed_in_float64(sketch, dtype, rng):
    A = (matrix() > 0).astype(dtype)
    S = sketch.draw(15, 60, rng)
    SA = S @ A
    assert SA.dtype == np.float64
    np.testing.assert_array_equal(SA, S @ A.astype(np.float64))


@every_sketch
def test_every_product_is_with_the_same_matrix(sketch, rng):
    S = sketch.draw(15, 60, rng)
    A = matrix()
    whole = S @ A
    np.testing.assert_array_equal(S @ A, whole)
    blocks = [S @ A[:, start : start + 7] for start in range(0, 20, 7)]
    np.testing.assert_allclose(np.hstack(blocks), whole, atol=1e-13)
    np.testing.assert_allclose(S @ A[:, 3], whole[:, 3], atol=1e-13)
    np.testing.assert_allclose(S @ A[::-1][::-1, ::2], whole[:, ::2], atol=1e-13)
    assert (S @ A[:, :0]).shape == (15, 0)


@every_sketch
@either_dtype
def test_the_sparse_form_is_the_same_matrix(sketch, dtype, rng):
    S = sketch.draw(30, 100, rng)
    sparse = S.to_sparse(dtype)
    if sparse is None:
        assert not isinstance(sketch, sketches.CountSketch)
        return
    assert sparse.format == "csr" and sparse.dtype == dtype
    np.testing.assert_allclose(sparse.toarray(), dense(S), rtol=4 * np.finfo(dtype).eps)


@every_sketch
@either_dtype
def test_the_pieces_of_columns_are_the_same_matrix(sketch, dtype, rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn.sketches._gaussian._ENTRIES_PER_BLOCK", 1000)
    S = sketch.draw(30, 100, rng)
    pieces = S.column_blocks(dtype)
    if pieces is None:
        assert not isinstance(sketch, sketches.Gaussian)
        return
    found = [(start, piece.copy()) for start, piece in pieces]
    starts = [start for start, _ in found]
    assert len(found) == 4
    assert starts == [0, *np.cumsum([piece.shape[1] for _, piece in found])[:-1]]
    whole = np.hstack([piece for _, piece in found])
    assert whole.dtype == dtype
    np.testing.assert_allclose(whole, dense(S), rtol=4 * np.finfo(dtype).eps)


@every_sketch
def test_product_is_linear(sketch, rng):
    S = sketch.draw(15, 60, rng)
    A, B = matrix(seed=1), matrix(seed=2)
    np.testing.assert_allclose(S @ (3 * A - B), 3 * (S @ A) - S @ B, atol=1e-12)


@every_sketch
def test_randomness_comes_from_the_generator_only(sketch):
    before = np.random.get_state()  # noqa: NPY002
    first, second, third = (
        dense(sketch.draw(15, 60, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)
    one_generator = np.random.default_rng(1)
    draws = [dense(sketch.draw(15, 60, one_generator)) for _ in range(2)]
    assert not np.allclose(*draws)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


@every_sketch
@pytest.mark.parametrize(("sketch_size", "n_rows"), [(5, 13), (13, 13), (1, 4)])
def test_expected_gram_matrix_is_the_identity(sketch, sketch_size, n_rows, rng):
    n_draws = 1000
    mean = np.zeros((n_rows, n_rows))
    for _ in range(n_draws):
        S = dense(sketch.draw(sketch_size, n_rows, rng))
        mean += S.T @ S / n_draws
    # An entry of S'S has a variance of at most 2/s (reached by the diagonal of a Gaussian); six
    # deviations of the mean leave a chance below 1e-6 for all entries together.
    tolerance = 6 * np.sqrt(2 / (sketch_size * n_draws))
    np.testing.assert_allclose(mean, np.eye(n_rows), rtol=0, atol=tolerance)
    # The mean of the n_rows nearly independent diagonal entries bounds the scale more closely.
    assert abs(np.trace(mean) / n_rows - 1) < tolerance / np.sqrt(n_rows)


@every_subspace_sketch
@pytest.mark.parametrize("kind", cases.MATRICES, ids=lambda kind: kind.__name__)
def test_subspaces_are_kept(sketch, kind, rng):
    basis = orthonormal_basis(kind(1000, 40, rng))
    n_columns = basis.shape[1]
    for oversampling in (4, 8):
        S = sketch.draw(oversampling * n_columns, 1000, rng)
        stretch = np.linalg.svd(S @ basis, compute_uv=False)
        distortion = np.sqrt(1 / oversampling)
        assert stretch[0] < 1 + 1.3 * distortion
        assert stretch[-1] > 1 - 1.3 * distortion


@every_subspace_sketch
@pytest.mark.parametrize("kind", cases.FULL_RANK_MATRICES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("oversampling", [4, 8])
def test_sketched_qr_preconditions(sketch, kind, oversampling, rng):
    A = kind(1000, 40, rng)
    assert condition_after_sketched_qr(sketch, A, oversampling, rng) < 1.3 * predicted_condition(
        oversampling
    )


@every_sketch
@pytest.mark.parametrize(
    ("A", "error", "message"),
    [
        (np.ones((59, 3)), ValueError, r"A must have shape \(60, n_columns\).*got shape \(59, 3\)"),
        (np.ones(59), ValueError, r"A must have shape.*got shape \(59,\)"),
        (np.ones((60, 3, 2)), ValueError, r"A must have shape.*got shape \(60, 3, 2\)"),
        (np.float64(1), ValueError, r"A must have shape.*got shape \(\)"),
        (np.ones((60, 3), dtype=complex), TypeError, "real numbers, got dtype complex128"),
        (np.array(["a"] * 60), TypeError, "real numbers, got dtype <U1"),
        (None, TypeError, "real numbers, got dtype object"),
    ],
)
def test_product_refuses(sketch, A, error, message, rng):
    S = sketch.draw(15, 60, rng)
    with pytest.raises(error, match=message):
        S @ A


@pytest.mark.parametrize("sketch", cases.SKETCHES, ids=repr)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sketch_size": 0}, ValueError, "sketch_size must be at least 1, got 0"),
        ({"n_rows": -3}, ValueError, "n_rows must be at least 1, got -3"),
        ({"sketch_size": 5.0}, TypeError, r"sketch_size must be an integer, got 5.0 \(float\)"),
        ({"n_rows": "10"}, TypeError, r"n_rows must be an integer, got '10' \(str\)"),
        ({"sketch_size": True}, TypeError, r"sketch_size must be an integer, got True \(bool\)"),
        ({"rng": 0}, TypeError, "rng must be a numpy.random.Generator.*got int"),
    ],
)
def test_draw_refuses(sketch, arguments, error, message, rng):
    with pytest.raises(error, match=message):
        sketch.draw(**{"sketch_size": 5, "n_rows": 10, "rng": rng, **arguments})


@pytest.mark.parametrize("sketch", cases.SKETCHES, ids=repr)
def test_sizes_may_be_numpy_integers(sketch, rng):
    S = sketch.draw(np.int32(5), np.int64(10), rng)
    assert S.shape == (5, 10)
    assert all(type(size) is int for size in S.shape)
    assert repr(S) == f"<{type(sketch).__name__}Operator of shape (5, 10)>"


def predicted_condition(oversampling):
    """Condition number after a Gaussian sketch, in the limit of large sizes."""
    distortion = np.sqrt(1 / oversampling)
    return (1 + distortion) / (1 - distortion)


def condition_after_sketched_qr(sketch, A, oversampling, rng):
    """Condition number of A R^-1 with Q R = S A."""
    n_rows, n_columns = A.shape
    S = sketch.draw(oversampling * n_columns, n_rows, rng)
    (R,) = qr(S @ A, mode="r")
    return np.linalg.cond(solve_triangular(R[:n_columns], A.T, trans="T").T)


def orthonormal_basis(A):
    left, singular_values, _ = np.linalg.svd(A, full_matrices=False)
    return left[:, singular_values > 1e-10 * singular_values[0]]
