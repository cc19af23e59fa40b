"""Products and inner products, against numpy's on integers, where every order of sums agrees."""

import numpy as np
import pytest

from sklearn_sketchgn._blas import add_outer, dot, norm, product

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda table: np.repeat(table, 2, axis=-1)[..., ::2],
    "reversed": lambda table: table[..., ::-1].copy()[..., ::-1],
}


def integers(rng, *shape, dtype=np.float64):
    return rng.integers(-9, 9, shape).astype(dtype)


@every_dtype
@pytest.mark.parametrize("left_layout", LAYOUTS)
@pytest.mark.parametrize("right_layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(7, 5, 3), (1, 5, 3), (7, 1, 3), (7, 5, 1), (1, 1, 1)], ids=str)
def test_a_product_is_that_of_numpy(shape, left_layout, right_layout, dtype, rng):
    n_rows, n_inner, n_columns = shape
    left = LAYOUTS[left_layout](integers(rng, n_rows, n_inner, dtype=dtype))
    right = LAYOUTS[right_layout](integers(rng, n_inner, n_columns, dtype=dtype))
    before = left.copy(), right.copy()
    expected = left @ right
    result = product(left, right)
    assert result.dtype == dtype and result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(product(left, right[:, 0]), expected[:, 0])
    out = np.full((n_rows + 1, n_columns), 7, dtype=dtype)
    product(left, right, out=out[1:])
    np.testing.assert_array_equal(out[1:], expected)
    np.testing.assert_array_equal(out[0], 7)
    product(left, right, out=out[1:], add=True)
    np.testing.assert_array_equal(out[1:], 2 * expected)
    np.testing.assert_array_equal(left, before[0])
    np.testing.assert_array_equal(right, before[1])


@pytest.mark.parametrize("shape", [(0, 5, 3), (7, 0, 3), (7, 5, 0), (0, 0, 0)], ids=str)
def test_an_empty_product(shape, rng):
    left, right = np.ones(shape[:2]), np.ones(shape[1:])
    np.testing.assert_array_equal(product(left, right), left @ right)
    np.testing.assert_array_equal(product(left, np.ones(shape[1])), left @ np.ones(shape[1]))
    out = np.ones((shape[0], shape[2]))
    np.testing.assert_array_equal(product(left, right, out=out, add=True), np.ones_like(out))


def test_the_larger_dtype_counts(rng):
    left, right = integers(rng, 4, 3, dtype=np.float32), integers(rng, 3, 2)
    assert product(left, right).dtype == np.float64
    assert product(right.T, left.T).dtype == np.float64


@every_dtype
@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 1)], ids=str)
def test_the_dtype_of_out_counts(shape, dtype, rng):
    left, right = integers(rng, *shape[:2], dtype=np.float32), integers(rng, *shape[1:])
    out = np.ones((shape[0], shape[2]), dtype=dtype)
    product(left, right, out=out, add=True)
    np.testing.assert_array_equal(out, left @ right + 1)
    product(left, right, out=out)
    np.testing.assert_array_equal(out, left @ right)


def test_out_must_be_in_c_order(rng):
    with pytest.raises(ValueError, match="out must be in C order, got strides"):
        product(np.ones((4, 3)), np.ones((3, 2)), out=np.ones((4, 2), order="F"))


def test_out_is_none_of_a_product_with_a_vector():
    with pytest.raises(ValueError, match="out is for products of two matrices"):
        product(np.ones((4, 3)), np.ones(3), out=np.ones(4), add=True)


def test_a_triangle_is_added_to_in_fortran_order():
    with pytest.raises(ValueError, match="lower must be in Fortran order, got strides"):
        add_outer(np.zeros((3, 3)), np.ones((3, 2)))


def test_nan_and_infinity_pass_through():
    left = np.array([[np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(product(left, np.ones((2, 2)))[:, 0], [np.nan, np.inf, 2.0])


@every_dtype
def test_an_inner_product_is_that_of_numpy(dtype, rng):
    first, second = integers(rng, 50, dtype=dtype), integers(rng, 50, dtype=dtype)
    assert dot(first, second) == first @ second
    assert dot(first[::2], second[1::2]) == first[::2] @ second[1::2]
    assert dot(first[:0], second[:0]) == 0.0
    assert type(dot(first, second)) is float
    assert norm(np.array([3.0, 0.0, -4.0], dtype=dtype)) == 5.0


def test_an_inner_product_is_in_the_larger_dtype():
    small = np.array([1.0, 1e-5], dtype=np.float32)
    exact = 1.0 + float(small[1])
    assert dot(small, np.ones(2)) == exact != dot(small, np.ones(2, dtype=np.float32))
