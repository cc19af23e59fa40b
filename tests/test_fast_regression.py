"""Algorithm 2 of the paper for any tall matrix."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import LinAlgError, qr, solve_triangular
from scipy.sparse import csc_array, csc_matrix, csr_array, csr_matrix
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.exceptions import ConvergenceWarning

from sklearn_sketchgn import Gaussian, fast_regression
from tests import cases, references
from tests.sketches.test_sketch_contract import Rademacher

every_sketch = pytest.mark.parametrize("sketch", cases.SUBSPACE_SKETCHES, ids=repr)
every_matrix = pytest.mark.parametrize(
    "kind", cases.FULL_RANK_MATRICES, ids=lambda kind: kind.__name__
)


def counted(A):
    """Return A as an operator, and the list to which every product with a vector adds."""
    products = []

    def matvec(v):
        products.append(0)
        return A @ v

    operator = LinearOperator(
        A.shape, matvec=matvec, rmatvec=lambda u: A.T @ u, matmat=lambda V: A @ V, dtype=A.dtype
    )
    return operator, products


@every_sketch
@every_matrix
@pytest.mark.parametrize("oversampling", [4, 8])
def test_count_follows_from_the_sketch_size(sketch, kind, oversampling, rng):
    A = kind(2000, 40, rng)
    operator, products = counted(A)
    y = A.T @ rng.standard_normal(2000)
    x = fast_regression(operator, y, tol=1e-6, sketch=sketch, oversampling=oversampling, rng=rng)
    assert np.linalg.norm(y - A.T @ (A @ x)) <= 1.1e-6 * np.linalg.norm(y)
    assert len(products) <= 1.3 * references.expected_iterations(oversampling, 1e-6)


class Counting(Gaussian):
    """Notes the sizes of its draws in a list that clones share."""

    def __init__(self, sizes):
        self.sizes = sizes

    def draw(self, sketch_size, n_rows, rng):
        self.sizes.append((sketch_size, n_rows))
        return super().draw(sketch_size, n_rows, rng)

    def __sklearn_clone__(self):
        return self


@pytest.mark.parametrize(("oversampling", "size"), [(2, 40), (4.01, 81), (24.9, 498)])
def test_sketch_has_the_size_asked_for(oversampling, size, rng):
    A, sizes = cases.incoherent(500, 20, rng), []
    fast_regression(A, A.T @ A[:, 0], sketch=Counting(sizes), oversampling=oversampling, rng=0)
    assert sizes == [(size, 500)]


@pytest.mark.parametrize("shape", [(4, 4), (10, 10), (5, 4), (500, 20)])
def test_a_matrix_with_no_more_rows_than_its_sketch_is_factored_itself(shape, rng):
    sizes = []
    for _ in range(10):
        A, x = rng.standard_normal(shape), rng.standard_normal(shape[1])
        sketch = Counting(sizes)
        found = fast_regression(A, A.T @ (A @ x), sketch=sketch, oversampling=25.0, rng=0)
        np.testing.assert_allclose(A @ found, A @ x, atol=1e-6)
    assert sizes == []


@pytest.mark.parametrize("kind", [cases.incoherent, cases.coherent, cases.one_hot])
@pytest.mark.parametrize("sketch", ["countsketch", "srht", "gaussian", Rademacher()])
def test_dense_solution(kind, sketch, rng):
    A = kind(500, 20, rng)
    b = rng.standard_normal(500)
    x = fast_regression(A, A.T @ b, tol=1e-12, sketch=sketch, rng=0)
    np.testing.assert_allclose(x, np.linalg.lstsq(A, b, rcond=None)[0], atol=1e-9)


def test_the_printed_iteration_diverges_where_conjugate_gradient_converges(rng):
    A = cases.incoherent(2000, 50, rng)
    y = A.T @ rng.standard_normal(2000)
    (R,) = qr(Gaussian().draw(200, 2000, rng) @ A, mode="r")
    R = R[:50]
    x = np.zeros(50)
    norms = []
    for _ in range(20):
        residual = y - A.T @ (A @ x)
        norms.append(np.linalg.norm(residual))
        # A gradient step of length one, as Algorithm 2 of the paper has it.
        x += solve_triangular(R, solve_triangular(R, residual, trans="T"))
    assert norms[-1] > 1e6 * norms[0]
    x = fast_regression(A, y, tol=1e-6, sketch=Gaussian(), oversampling=4, rng=rng)
    assert np.linalg.norm(y - A.T @ (A @ x)) <= 1.1e-6 * norms[0]


@pytest.mark.parametrize("n_columns", [1, 7, 64, 65, 130])
def test_operators_give_what_arrays_give(n_columns, rng):
    A = rng.standard_normal((600, n_columns))
    y = rng.standard_normal(n_columns)
    expected = fast_regression(A, y, tol=1e-12, rng=0)
    by_columns = LinearOperator(A.shape, matvec=A.__matmul__, rmatvec=A.T.__matmul__, dtype=float)
    for operator in (aslinearoperator(A), by_columns):
        x = fast_regression(operator, y, tol=1e-12, rng=0)
        np.testing.assert_allclose(x, expected, rtol=1e-8)


@pytest.mark.parametrize("kind", [csr_array, csc_array, csr_matrix, csc_matrix])
def test_sparse_matrices_as_operators(kind, rng):
    A = kind(rng.standard_normal((400, 15)) * (rng.random((400, 15)) < 0.3))
    y = rng.standard_normal(15)
    expected = fast_regression(aslinearoperator(A), y, tol=1e-10, rng=0)
    np.testing.assert_allclose(A.T @ (A @ expected), y, atol=1e-8)
    np.testing.assert_array_equal(fast_regression(A, y, tol=1e-10, rng=0), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_dtypes(dtype, rng):
    A = np.rint(4 * rng.standard_normal((300, 10))).astype(dtype)
    A.setflags(write=False)
    y = rng.standard_normal(10)
    x = fast_regression(A, y, tol=1e-5, rng=0)
    assert x.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_allclose(A.T.astype(float) @ (A @ x), y, atol=1e-3)


def test_square_matrices_and_zero_right_hand_sides(rng):
    A = rng.standard_normal((12, 12))
    x = fast_regression(A, A.T @ (A @ np.ones(12)), tol=1e-10, rng=0)
    np.testing.assert_allclose(x, 1, rtol=1e-3)
    np.testing.assert_array_equal(fast_regression(A, np.zeros(12), rng=0), 0)


def test_same_seed_same_bits_and_no_global_state(rng):
    A, y = rng.standard_normal((300, 10)), rng.standard_normal(10)
    before = np.random.get_state()  # noqa: NPY002
    first, second = (fast_regression(A, y, rng=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    fast_regression(A, y)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", [cases.rank_deficient, lambda *_: np.zeros((100, 6))])
def test_dependent_columns_are_refused(kind, rng):
    A = kind(100, 6, rng)
    with pytest.raises(LinAlgError, match=r"\(100, 6\) does not have full column rank"):
        fast_regression(A, np.ones(6), rng=0)


@pytest.mark.parametrize("seed", range(20))
def test_rank_does_not_depend_on_the_units_of_columns(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((200, 10))
    units = np.logspace(-9, 9, 10)[rng.permutation(10)]
    y = rng.standard_normal(10) * units
    expected = np.linalg.solve(A.T @ A, y / units) / units
    found = fast_regression(A * units, y, rng=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    A[:, seed % 10] = 1e3 * A[:, np.arange(10) != seed % 10].sum(axis=1)
    with pytest.raises(LinAlgError, match="does not have full column rank"):
        fast_regression(A, y, rng=0)


@pytest.mark.parametrize(("unit", "dtype"), [(1e100, np.float64), (1e9, np.float32)])
def test_residuals_of_large_numbers_do_not_overflow(unit, dtype, rng):
    A = (unit * rng.standard_normal((300, 4))).astype(dtype)
    np.testing.assert_allclose(fast_regression(A, A.T @ A.sum(axis=1), rng=0), 1, rtol=1e-4)


def test_a_tolerance_that_was_missed_warns(rng):
    A = cases.ill_conditioned(500, 20, rng)
    with pytest.warns(ConvergenceWarning, match="expected tol=1.0e-13.*`oversampling`"):
        # The solution is so large that the residual cannot be represented.
        fast_regression(A, np.ones(20), tol=1e-13, rng=0)


def test_a_tolerance_that_was_missed_by_little_warns(rng):
    left, _ = np.linalg.qr(rng.standard_normal((500, 20)))
    right, _ = np.linalg.qr(rng.standard_normal((20, 20)))
    A = left * np.logspace(0, -5, 20) @ right
    with pytest.warns(ConvergenceWarning, match="residual of .*; expected tol=1.0e-10"):
        x = fast_regression(A, np.ones(20), tol=1e-10, rng=0)
    residual = np.linalg.norm(1 - A.T @ (A @ x)) / np.sqrt(20)
    assert 10 * 1e-10 < residual < 1e4 * 1e-10


class Nothing(Gaussian):
    def draw(self, sketch_size, n_rows, rng):
        return np.zeros((sketch_size, n_rows))


class Drawn:
    """What a mistaken sketch may draw: an operator whose products are wrong."""

    def __init__(self, shape, product):
        self.shape, self._product = shape, product

    def __matmul__(self, A):
        return self._product * np.ones((self.shape[0] + (self._product == 3), *A.shape[1:]))


class Wrong(Gaussian):
    def __init__(self, product=3):
        self.product = product

    def draw(self, sketch_size, n_rows, rng):
        return Drawn((sketch_size, n_rows), self.product)


class NoOperator(Gaussian):
    def draw(self, sketch_size, n_rows, rng):
        return SimpleNamespace(shape=(sketch_size, n_rows))


GOOD = np.eye(20, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"A": GOOD.T}, ValueError, r"A must be a tall matrix.*got shape \(3, 20\)"),
        ({"A": np.ones(5)}, ValueError, r"A must be a tall matrix.*got shape \(5,\)"),
        ({"A": np.ones((5, 0))}, ValueError, r"A must be a tall matrix.*got shape \(5, 0\)"),
        ({"A": GOOD * np.nan}, ValueError, "A and y must be finite"),
        ({"A": GOOD * 1j}, TypeError, "must be real numbers; got dtypes complex128"),
        ({"y": np.ones(5)}, ValueError, r"y must have shape \(3,\).*got \(5,\)"),
        ({"y": np.full(3, np.inf)}, ValueError, "A and y must be finite"),
        ({"tol": 0}, ValueError, "tol must be a finite number > 0; got 0"),
        ({"tol": np.nan}, ValueError, "tol must be a finite number > 0; got nan"),
        ({"tol": np.inf}, ValueError, "tol must be a finite number > 0; got inf"),
        ({"tol": "a"}, ValueError, "tol must be a finite number > 0; got 'a'"),
        ({"tol": True}, ValueError, "tol must be a finite number > 0; got True"),
        ({"oversampling": 1.0}, ValueError, "oversampling must be a finite number > 1; got 1.0"),
        ({"oversampling": np.inf}, ValueError, "oversampling must be a finite number > 1; got inf"),
        (
            {"sketch": Wrong(3)},
            ValueError,
            r"Wrong\(\)\.draw.*ndarray of shape \(13, 2\); expected",
        ),
        ({"sketch": Wrong(1j)}, ValueError, r"Wrong.*an array of real numbers of shape \(12, 2\)"),
        ({"A": np.full((5, 3), object())}, TypeError, "A must be real numbers: "),
        ({"sketch": NoOperator()}, ValueError, r"NoOperator.*and an operator @"),
        ({"sketch": "fourier"}, ValueError, "'sketch' parameter.*'srht'.*got 'fourier'"),
        ({"sketch": Gaussian}, TypeError, "'sketch' parameter.*is a class, not an instance"),
        ({"sketch": object()}, TypeError, "'sketch' parameter.*has no draw"),
        ({"sketch": Nothing()}, ValueError, r"Nothing\(\) gave only zeros"),
        ({"A": aslinearoperator(GOOD * np.nan)}, ValueError, "A and y must be finite"),
        ({"y": ["a", "b", "c"]}, TypeError, "must be real numbers; got dtypes float64 and <U1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        fast_regression(**{"A": GOOD, "y": np.ones(3), "rng": 0, **arguments})
