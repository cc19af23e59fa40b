"""The structured Jacobian against a dense one that is written entry by entry."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, svds

from sklearn_sketchgn._jacobian import Jacobian
from sklearn_sketchgn.sketches import CountSketch, Gaussian
from tests import cases, references

SHAPES = [cases.Shape(17, 5, 9, k) for k in (1, 2, 3, 5)] + [cases.Shape(1, 1, 1, 1)]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
output_trained_or_not = pytest.mark.parametrize("train_output", [True, False])
STORED = ["mask", "mask by neurons", "with activations", ""]
mask_stored_or_not = pytest.mark.parametrize("stored", STORED)
either_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def make(shape, rng, *, train_output=True, stored="mask", dtype=np.float64, weighted=True):
    """Return a Jacobian and its dense reference."""
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    if weighted:
        rows = rows * np.sqrt(rng.uniform(0.1, 3.0, size=(len(rows), 1)))
    rows, hidden, output = (np.ascontiguousarray(x, dtype=dtype) for x in (rows, hidden, output))
    hidden_layer = np.maximum(rows @ hidden.T, 0)
    order = "F" if "by neurons" in stored else "C"
    mask = (hidden_layer > 0).astype(dtype, order=order) if stored else None
    structured = Jacobian(
        rows,
        hidden,
        output,
        train_output=train_output,
        mask=mask,
        activations=hidden_layer if stored == "with activations" else None,
    )
    dense = references.jacobian(rows, hidden, output, train_output=train_output)
    assert structured.shape == dense.shape
    return structured, dense


def tolerance(dtype, dense):
    return 50 * np.finfo(dtype).eps * max(1.0, np.linalg.norm(dense, 2) ** 2)


def full(lower):
    return np.tril(lower) + np.tril(lower, -1).T


def test_scipy_multiplies_by_columns(rng):
    J, dense = make(cases.Shape(20, 3, 5, 2), rng)
    operator = LinearOperator(J.shape, matvec=J.matvec, rmatvec=J.rmatvec, dtype=J.dtype)
    several = rng.standard_normal((J.shape[1], 3))
    np.testing.assert_allclose(operator @ several, dense @ several, atol=1e-12)
    largest = svds(operator, k=1, return_singular_vectors=False, random_state=0)
    assert largest[0] == pytest.approx(np.linalg.norm(dense, 2))


@pytest.mark.parametrize("wrong", [-1, 5])
def test_vectors_of_another_length_are_refused(wrong, rng):
    J, _ = make(cases.Shape(20, 3, 5, 2), rng)
    for product, size in ((J.matvec, J.shape[1]), (J.rmatvec, J.shape[0])):
        with pytest.raises(ValueError, match=f"a vector of {size} numbers; got {size + wrong}"):
            product(np.ones(size + wrong))


@every_shape
@output_trained_or_not
@mask_stored_or_not
@either_dtype
def test_products(shape, train_output, stored, dtype, rng):
    J, dense = make(shape, rng, train_output=train_output, stored=stored, dtype=dtype)
    v = rng.standard_normal(J.shape[1]).astype(dtype)
    u = rng.standard_normal(J.shape[0]).astype(dtype)
    assert J.matvec(v).dtype == J.rmatvec(u).dtype == J.dtype == dtype
    np.testing.assert_allclose(J.matvec(v), dense @ v, atol=tolerance(dtype, dense))
    np.testing.assert_allclose(J.rmatvec(u), dense.T @ u, atol=tolerance(dtype, dense))
    assert J.gram_product(u).dtype == J.normal_product(v).dtype == dtype
    atol = tolerance(dtype, dense) * max(1.0, np.linalg.norm(dense, 2))
    np.testing.assert_allclose(J.gram_product(u), dense @ (dense.T @ u), atol=atol)
    np.testing.assert_allclose(J.normal_product(v), dense.T @ (dense @ v), atol=atol)
    # <u, J v> = <J' u, v>
    np.testing.assert_allclose(u @ J.matvec(v), J.rmatvec(u) @ v, atol=tolerance(dtype, dense))


@mask_stored_or_not
def test_products_of_float32_rows_with_float64_vectors(stored, rng):
    J, dense = make(SHAPES[1], rng, stored=stored, dtype=np.float32)
    v, u = rng.standard_normal(J.shape[1]), rng.standard_normal(J.shape[0])
    atol = tolerance(np.float32, dense)
    np.testing.assert_allclose(J.matvec(v), dense @ v, atol=atol)
    np.testing.assert_allclose(J.rmatvec(u), dense.T @ u, atol=atol)
    np.testing.assert_allclose(J.gram_product(u), dense @ (dense.T @ u), atol=10 * atol)
    np.testing.assert_allclose(J.normal_product(v), dense.T @ (dense @ v), atol=10 * atol)


@every_shape
@output_trained_or_not
@mask_stored_or_not
@either_dtype
def test_gram_and_normal_matrix(shape, train_output, stored, dtype, rng):
    J, dense = make(shape, rng, train_output=train_output, stored=stored, dtype=dtype)
    atol = tolerance(dtype, dense)
    np.testing.assert_allclose(J.gram(), dense @ dense.T, atol=atol)
    np.testing.assert_allclose(np.tril(J.lower_gram()), np.tril(dense @ dense.T), atol=atol)
    np.testing.assert_allclose(np.tril(J.lower_normal()), np.tril(dense.T @ dense), atol=atol)
    assert J.gram().dtype == J.lower_gram().dtype == J.lower_normal().dtype == dtype


def test_the_gram_matrix_of_many_rows_is_symmetric(rng):
    J, dense = make(cases.Shape(600, 3, 4, 1), rng)
    np.testing.assert_allclose(J.gram(), dense @ dense.T, atol=1e-10)


@every_shape
@output_trained_or_not
@mask_stored_or_not
@either_dtype
def test_sketches(shape, train_output, stored, dtype, rng):
    J, dense = make(shape, rng, train_output=train_output, stored=stored, dtype=dtype)
    n, d, m, k = shape.n_samples, shape.n_features, shape.width, shape.n_outputs
    neurons = rng.standard_normal((4, m))
    # The sketch mixes the neurons of the hidden layer only: the output layer stays exact.
    sketched_hidden = np.einsum("sm,amd->asd", neurons, dense[:, : m * d].reshape(-1, m, d))
    exact = dense[:, m * d :]
    expected = sketched_hidden.reshape(n * k, -1)
    expected = expected @ expected.T + exact @ exact.T
    scale = np.linalg.norm(neurons, 2) ** 2
    atol = tolerance(dtype, dense) * scale
    neurons = neurons.astype(dtype)
    lower = J.sketched_gram(neurons)
    np.testing.assert_allclose(np.tril(lower), np.tril(expected), atol=atol)
    columns = J.sketched_columns(neurons)
    assert columns.shape == (4 * d + (k * (m + 1) if train_output else 0), n * k)
    np.testing.assert_allclose(columns.T @ columns, expected, atol=atol)
    samples = rng.standard_normal((6, n * k)).astype(dtype)
    np.testing.assert_allclose(J.sketched_rows(samples), samples @ dense, atol=atol)
    assert lower.dtype == columns.dtype == J.sketched_rows(samples).dtype == dtype


@mask_stored_or_not
def test_blocks_of_rows_and_neurons_fit_together(stored, rng, monkeypatch):
    monkeypatch.setattr("sklearn_sketchgn._jacobian.BLOCK_ELEMENTS", 7)
    monkeypatch.setattr("sklearn_sketchgn._gram.BLOCK_ELEMENTS", 7)
    monkeypatch.setattr("sklearn_sketchgn._row_sketch.BLOCK_ELEMENTS", 7)
    monkeypatch.setattr("sklearn_sketchgn._jacobian._LEAST_BLOCK", 3)
    J, dense = make(cases.Shape(150, 3, 11, 2), rng, stored=stored)
    v, u = rng.standard_normal(J.shape[1]), rng.standard_normal(J.shape[0])
    neurons, samples = rng.standard_normal((4, 11)), rng.standard_normal((5, 300))
    atol = tolerance(np.float64, dense)
    np.testing.assert_allclose(J.matvec(v), dense @ v, atol=atol)
    np.testing.assert_allclose(J.rmatvec(u), dense.T @ u, atol=atol)
    np.testing.assert_allclose(J.gram_product(u), dense @ (dense.T @ u), atol=10 * atol)
    np.testing.assert_allclose(J.normal_product(v), dense.T @ (dense @ v), atol=10 * atol)
    np.testing.assert_allclose(J.gram(), dense @ dense.T, atol=atol)
    np.testing.assert_allclose(full(J.lower_normal()), dense.T @ dense, atol=atol)
    np.testing.assert_allclose(J.sketched_rows(samples), samples @ dense, atol=10 * atol)
    columns = J.sketched_columns(neurons)
    np.testing.assert_allclose(full(J.sketched_gram(neurons)), columns.T @ columns, atol=10 * atol)


def test_sketched_gram_takes_a_sketch_operator(rng):
    J, dense = make(cases.Shape(10, 4, 40, 2), rng)
    S = CountSketch().draw(12, 40, rng)
    expected = J.sketched_gram(S @ np.eye(40))
    np.testing.assert_allclose(np.tril(J.sketched_gram(S)), np.tril(expected), atol=1e-12)


@output_trained_or_not
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 5])
def test_derivatives_by_central_differences(train_output, n_outputs, rng):
    shape = cases.Shape(15, 4, 8, n_outputs)
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    intercept = rng.standard_normal(n_outputs) if train_output else None
    step = 1e-6
    # A kink within reach of the difference would spoil it: an activation moves by at most
    # step * |v|_inf * |x|_1.
    activations = np.abs(rows @ hidden.T)
    assert activations.min() > 10 * step * np.abs(rows).sum(axis=1).max()
    J = Jacobian(rows, hidden, output, train_output=train_output)
    v = rng.uniform(-1, 1, size=J.shape[1])
    dW = v[: hidden.size].reshape(hidden.shape)
    da = np.zeros_like(output)
    db = 0.0
    if train_output:
        da = v[hidden.size : hidden.size + output.size].reshape(output.shape)
        db = v[hidden.size + output.size :]

    def values(sign):
        moved = None if intercept is None else intercept + sign * step * db
        out = references.forward(rows, hidden + sign * step * dW, output + sign * step * da, moved)
        return out.T.ravel()

    difference = (values(1) - values(-1)) / (2 * step)
    np.testing.assert_allclose(J.matvec(v), difference, atol=1e-8)


@mask_stored_or_not
def test_flips_counts_activations_that_change(stored, rng):
    J, _ = make(cases.Shape(15, 4, 8, 1), rng, stored=stored)
    assert J.flips(J.hidden_weights) == 0.0
    turned = J.hidden_weights.copy()
    turned[3] *= -1
    assert J.flips(turned) == 1 / 8


def test_stable_rank():
    rows = np.diag([3.0, 2.0, 1.0])
    J = Jacobian(rows, np.ones((2, 3)), np.ones((2, 1)))
    assert J.stable_rank() == pytest.approx((9 + 4 + 1) / 9)
    J = Jacobian(0 * rows, np.ones((2, 3)), np.ones((2, 1)))
    assert J.stable_rank() == 1.0


def test_the_stable_rank_of_wide_rows_costs_no_square_of_their_columns(rng):
    rows = rng.standard_normal((4, 3000))
    J = Jacobian(rows, np.ones((2, 3000)), np.ones((2, 1)))
    tracemalloc.start()
    found = J.stable_rank()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    values = np.linalg.svd(rows, compute_uv=False) ** 2
    assert found == pytest.approx(values.sum() / values[0])
    assert peak < 1e6  # bytes; the square of the columns takes 72 MB


def test_a_shared_fixed_output_layer_gives_exact_float32_counts(rng):
    # With a = +-1 the products A A' count neurons that are active together.
    rows, hidden, _ = cases.network_arrays(cases.ordinary_table, cases.Shape(40, 3, 200, 1), rng)
    rows, hidden = np.rint(4 * rows).astype(np.float32), np.rint(8 * hidden).astype(np.float32)
    signs = rng.choice([-1.0, 1.0], size=(200, 1)).astype(np.float32)
    J = Jacobian(rows, hidden, signs, train_output=False)
    dense = references.jacobian(rows, hidden, signs, train_output=False)
    np.testing.assert_array_equal(J.gram(), dense @ dense.T)


def test_inputs_may_be_read_only_and_are_left_alone(rng):
    arrays = cases.network_arrays(cases.ordinary_table, cases.Shape(12, 4, 10, 2), rng)
    copies = [x.copy() for x in arrays]
    for x in arrays:
        x.setflags(write=False)
    J = Jacobian(*arrays)
    v, u = np.ones(J.shape[1]), np.ones(J.shape[0])
    v.setflags(write=False)
    u.setflags(write=False)
    J.matvec(v), J.rmatvec(u), J.gram_product(u), J.normal_product(v)
    J.gram(), J.lower_normal(), J.stable_rank()
    J.sketched_columns(np.ones((3, 10))), J.sketched_rows(np.ones((3, 24)))
    for x, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(x, copy)


def peak(function, *arguments):
    tracemalloc.start()
    function(*arguments)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@mask_stored_or_not
@pytest.mark.parametrize(
    "shape", [cases.Shape(1000, 16, 4000, 1), cases.Shape(300, 16, 4000, 3)], ids=str
)
def test_peak_memory_of_a_wide_jacobian(shape, stored, rng):
    J, n_numbers = large(shape, stored, rng)
    sketch = rng.standard_normal((100, shape.width))
    side, n_columns = J.shape[0], 100 * shape.n_features + shape.n_outputs * (shape.width + 1)
    assert peak(J.matvec, np.ones(J.shape[1])) < 8 * n_numbers
    assert peak(J.rmatvec, np.ones(J.shape[0])) < 8 * n_numbers
    assert peak(J.gram_product, np.ones(J.shape[0])) < 8 * n_numbers
    assert peak(J.lower_gram) < 8 * (side**2 + 4 * 2**22)
    assert peak(J.sketched_gram, sketch) < 8 * (2 * side**2 + 4 * 2**22)
    assert peak(J.sketched_columns, sketch) < 8 * (2 * side * n_columns + 4 * 2**22)


@mask_stored_or_not
@pytest.mark.parametrize(
    "shape", [cases.Shape(20000, 8, 100, 1), cases.Shape(10000, 8, 60, 3)], ids=str
)
def test_peak_memory_of_a_tall_jacobian(shape, stored, rng):
    J, n_numbers = large(shape, stored, rng)
    side = J.shape[1]
    sketch = CountSketch().draw(2 * side, J.shape[0], rng)
    assert peak(J.matvec, np.ones(J.shape[1])) < 8 * n_numbers
    assert peak(J.rmatvec, np.ones(J.shape[0])) < 8 * n_numbers
    assert peak(J.normal_product, np.ones(J.shape[1])) < 8 * n_numbers
    assert peak(J.lower_normal) < 8 * (side**2 + 4 * 2**22)
    assert peak(J.sketched_rows, sketch) < 8 * (2 * 2 * side**2 + 4 * 2**22)
    sketch = Gaussian().draw(2 * side, J.shape[0], rng)
    assert peak(J.sketched_rows, sketch) < 8 * (2 * 2 * side**2 + 4 * 2**22)


def large(shape, stored, rng):
    """Return a Jacobian and the numbers that a product with it may hold."""
    rows, hidden, output = cases.network_arrays(cases.ordinary_table, shape, rng)
    order = "F" if "by neurons" in stored else "C"
    mask = (rows @ hidden.T > 0).astype(float, order=order) if stored else None
    n_numbers = 4 * (shape.n_samples + shape.width) * shape.n_outputs * shape.n_features
    n_numbers += 0 if stored else 4 * 2**18
    assert n_numbers < 0.2 * shape.n_samples * shape.n_outputs * shape.width * shape.n_features
    return Jacobian(rows, hidden, output, mask=mask), n_numbers
