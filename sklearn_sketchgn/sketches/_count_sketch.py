"""CountSketch and its generalisation to several signs per column, the sparse sign embedding."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from ._base import Sketch, SketchOperator, check_draw, check_positive_integer

# A column-major array is copied to row-major a few columns at a time: 3 times faster than all at
# once for 8192 rows, where the stride of the copy is a power of two.
_COLUMNS_PER_BLOCK = 16


class CountSketch(Sketch):
    r"""Sparse sign embedding: a few random signs in each column of S.

    Every column of S has exactly z = min(`nnz_per_column`, `sketch_size`) nonzeros, each
    :math:`\pm 1/\sqrt{z}` with an independent random sign, in z distinct rows: the rows of S are
    cut into z blocks of nearly equal size and each block gets one, uniformly (the block
    construction of OSNAP [1]_). Hence each column of S has unit norm, the signs make the
    products of two columns vanish on average, and :math:`E[S^T S] = I`.

    A product with an array of c columns takes z N c additions for N = `n_rows`, whatever
    `sketch_size`; it is the cheapest of the sketches.

    Parameters
    ----------
    nnz_per_column : int, default=8
        Number of nonzeros in each column of S. One is the classical CountSketch [2]_, [3]_:
        cheaper, but heavy rows of A that fall into the same row of S are lost, so that on
        coherent matrices it needs a sketch size quadratic in the number of columns of A. With
        eight, a customary choice [4]_, condition numbers stayed within a sixth of those of a dense
        Gaussian matrix on every matrix tried.

    References
    ----------
    .. [1] Nelson and Nguyen, "OSNAP: Faster numerical linear algebra algorithms via sparser
       subspace embeddings", FOCS 2013. https://doi.org/10.1109/FOCS.2013.21
    .. [2] Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", ICALP 2002.
       https://doi.org/10.1007/3-540-45465-9_59
    .. [3] Clarkson and Woodruff, "Low rank approximation and regression in input sparsity time",
       STOC 2013. https://doi.org/10.1145/2488608.2488620
    .. [4] Martinsson and Tropp, "Randomized numerical linear algebra: Foundations and algorithms",
       Acta Numerica 29, 2020, section 9.2. https://doi.org/10.1017/S0962492920000021

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sketchgn.sketches import CountSketch
    >>> S = CountSketch(nnz_per_column=4).draw(300, 1000, np.random.default_rng(0))
    >>> S
    <CountSketchOperator of shape (300, 1000)>
    >>> dense = S @ np.eye(1000)
    >>> np.unique(dense).tolist(), np.unique(np.count_nonzero(dense, axis=0)).tolist()
    ([-0.5, 0.0, 0.5], [4])
    """

    def __init__(self, nnz_per_column: int = 8) -> None:
        self.nnz_per_column = nnz_per_column

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
            Holds 8 bytes for each nonzero.

        Raises
        ------
        TypeError
            If a size or `nnz_per_column` is not an integer or `rng` is not a generator.
        ValueError
            If a size or `nnz_per_column` is below 1.
        """
        sketch_size, n_rows = check_draw(sketch_size, n_rows, rng)
        nnz = min(check_positive_integer("nnz_per_column", self.nnz_per_column), sketch_size)
        # One loop over the few blocks: distinct rows and sorted indices come for free, and the
        # columns are those of a CSC matrix as they are drawn.
        edges = [block * sketch_size // nnz for block in range(nnz + 1)]
        indices = np.empty((n_rows, nnz), dtype=np.int32 if n_rows * nnz < 2**31 else np.int64)
        for block in range(nnz):
            indices[:, block] = rng.integers(edges[block], edges[block + 1], size=n_rows)
        indptr = np.arange(0, n_rows * nnz + 1, nnz, dtype=indices.dtype)
        # Signs are stored unscaled, for they are exact in float32 and 1/sqrt(8) is not.
        signs = 2 * rng.integers(0, 2, size=n_rows * nnz, dtype=np.int8) - 1
        matrix = csc_array(
            (signs.astype(np.float32), indices.ravel(), indptr), shape=(sketch_size, n_rows)
        )
        return CountSketchOperator((sketch_size, n_rows), matrix, 1 / math.sqrt(nnz))


@dataclass(frozen=True, eq=False, repr=False)
class CountSketchOperator(SketchOperator):
    """A drawn `CountSketch`: a sparse matrix of signs and a scale."""

    signs: csc_array
    scale: float

    def to_sparse(self, dtype: Any) -> Any:
        """Return S as a sparse array by rows; see :class:`SketchOperator`."""
        rows = self.signs.tocsr().astype(dtype, copy=False)
        rows.data *= self.scale
        return rows

    def _multiply(self, A: np.ndarray) -> np.ndarray:
        # By columns of S: A is read once, in order, and scattered into an array of the size of
        # the result. By rows (CSR) A is gathered z times: 2 to 3 times slower.
        if A.strides[0] >= A.strides[1]:
            SA = self.signs @ A
        else:
            SA = np.empty((self.shape[0], A.shape[1]), dtype=A.dtype, order="F")
            for start in range(0, A.shape[1], _COLUMNS_PER_BLOCK):
                columns = slice(start, start + _COLUMNS_PER_BLOCK)
                SA[:, columns] = self.signs @ A[:, columns]
        SA *= self.scale
        return SA
