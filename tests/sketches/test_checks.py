"""What a user's own sketch may get wrong."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_sketchgn.sketches import Gaussian
from sklearn_sketchgn.sketches._checks import draw_checked, sketch_error


class WrongShape(Gaussian):
    def draw(self, sketch_size, n_rows, rng):
        return super().draw(n_rows, sketch_size, rng)


def test_draw_of_a_wrong_shape_names_the_sketch(rng):
    message = r"WrongShape\(\).draw\(3, 5, rng\) returned.*\(5, 3\); expected shape \(3, 5\)"
    with pytest.raises(ValueError, match=message):
        draw_checked(WrongShape(), 3, 5, rng)


@pytest.mark.parametrize(
    ("sketched", "found"),
    [(np.zeros((2, 3)), "only zeros"), (np.full((2, 3), np.nan), "NaN or infinite")],
)
def test_useless_products_name_the_sketch(sketched, found):
    with pytest.raises(ValueError, match=rf"Gaussian\(\) gave {found}.*`sketch` strategy"):
        raise sketch_error(sketched, Gaussian())


class OneColumn(Gaussian):
    """A product that is right for one column only, of another type, or complex."""

    def __init__(self, how=np.ndarray):
        self.how = how

    def draw(self, sketch_size, n_rows, rng):
        drawn, how = super().draw(sketch_size, n_rows, rng), self.how

        class Drawn:
            shape = [sketch_size, n_rows]

            def __matmul__(self, A):
                return how(drawn @ A)

        return Drawn()


@pytest.mark.parametrize(
    "how", [lambda made: made[:, :1], csr_array, np.ndarray.tolist, lambda m: 1j * m]
)
def test_products_that_are_no_array_of_all_columns_name_the_sketch(how, rng):
    assert draw_checked(OneColumn(np.asarray), 3, 5, rng).shape == [3, 5]
    with pytest.raises(ValueError, match=r"OneColumn\(.*makes of two columns .*`sketch` strategy"):
        draw_checked(OneColumn(how), 3, 5, rng)
