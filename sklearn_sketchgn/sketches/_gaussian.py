"""Dense Gaussian sketch, generated anew in each product so that it is never held."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._blas import product
from ._base import Sketch, SketchOperator, check_draw

# 16 MB of float32: large enough for fast matrix products, small beside any table that needs it.
_ENTRIES_PER_BLOCK = 2**22


class Gaussian(Sketch):
    r"""Dense matrix of independent normal entries with mean 0 and variance 1/`sketch_size`.

    The reference among sketches: its distortion depends on the sizes alone and not on the matrix
    that it multiplies [1]_. Each entry of :math:`S^T S` is an average of s = `sketch_size` products
    of standard normals, so :math:`E[S^T S] = I`. The price is a product of s N c multiplications
    for N = `n_rows` and c columns.

    Notes
    -----
    S is not held. Its columns are generated in blocks from a stored seed, in every product anew,
    and dropped: the memory is 16 MB for float32 and 48 MB for float64 (or one column of S where
    that is more) instead of gigabytes for a large table. Generating takes about as long as
    multiplying 500 columns, so give it few blocks of many columns, or take its own blocks
    (``column_blocks``). Entries are drawn in float32 for either dtype, so that both see the same S.

    References
    ----------
    .. [1] Martinsson and Tropp, "Randomized numerical linear algebra: Foundations and algorithms",
       Acta Numerica 29, 2020, section 8. https://doi.org/10.1017/S0962492920000021

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sketchgn.sketches import Gaussian
    >>> S = Gaussian().draw(300, 1000, np.random.default_rng(0))
    >>> S
    <GaussianOperator of shape (300, 1000)>
    >>> v = np.ones(1000)
    >>> bool(np.array_equal(S @ v, S @ v))
    True
    """

    def draw(self, sketch_size: int, n_rows: int, rng: np.random.Generator) -> SketchOperator:
        """Draw one random matrix S.

        Parameters
        ----------
        sketch_size : int
            Number of rows of S, at least 1.
        n_rows : int
            Number of columns of S: the number of rows of the arrays it will multiply, at least 1.
        rng : numpy.random.Generator
            Source of all randomness. The same state gives the same S.

        Returns
        -------
        S : SketchOperator of shape (sketch_size, n_rows)
            Holds a seed and nothing else.

        Raises
        ------
        TypeError
            If a size is not an integer or `rng` is not a generator.
        ValueError
            If a size is below 1.
        """
        sketch_size, n_rows = check_draw(sketch_size, n_rows, rng)
        first, second = rng.integers(2**63, size=2).tolist()
        return GaussianOperator((sketch_size, n_rows), (first, second))


@dataclass(frozen=True, eq=False, repr=False)
class GaussianOperator(SketchOperator):
    """A drawn `Gaussian`: the seed of its blocks of columns."""

    seed: tuple[int, int]

    def column_blocks(self, dtype: Any) -> Iterator[tuple[int, np.ndarray]]:
        """Return S in dense pieces of columns; see `SketchOperator`."""
        sketch_size, n_rows = self.shape
        width = min(max(1, _ENTRIES_PER_BLOCK // sketch_size), n_rows)
        buffer = np.empty(sketch_size * width, dtype=np.float32)
        for start in range(0, n_rows, width):
            columns = min(width, n_rows - start)
            piece = buffer[: sketch_size * columns].reshape(sketch_size, columns)
            np.random.default_rng([*self.seed, start]).standard_normal(dtype=np.float32, out=piece)
            piece /= np.float32(math.sqrt(sketch_size))
            yield start, piece.astype(dtype, copy=False)

    def _multiply(self, A: np.ndarray) -> np.ndarray:
        SA = np.zeros((self.shape[0], A.shape[1]), dtype=A.dtype)
        for start, piece in self.column_blocks(A.dtype):
            product(piece, A[start : start + piece.shape[1]], out=SA, add=True)
        return SA
