"""What every sketch shares: the strategy, the operator it draws, and the checks of their inputs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


class Sketch(BaseEstimator, ABC):
    r"""Base class of the sketches: a distribution over random matrices S with E[S'S] = I.

    A sketch holds hyperparameters only, and no random state: `draw` is given the generator and
    returns what is random, so that one sketch object serves any number of fits.

    Notes
    -----
    To write your own, derive from `Sketch`, store the arguments of ``__init__`` unchanged under
    their own names, check them in `draw`, and return from it an object S with

    - ``S.shape == (sketch_size, n_rows)``;
    - ``S @ A`` for every real array A of shape (n_rows, n_columns), linear in A, in the dtype of A
      where that is float32 or float64 and in float64 otherwise, without writing to A;
    - the same matrix in every product: A may arrive in blocks of columns;
    - :math:`E[S^T S] = I`. The scale is part of the contract: a sketch too small by a factor c
      silently acts as a damping larger by :math:`1/c^2`.

    `SketchOperator` sees to the checks, the dtypes and one-dimensional A. Everything random comes
    from `rng`, and the global state of numpy stays as it was.

    Examples
    --------
    A dense matrix of random signs, complete:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from sklearn_sketchgn.sketches import Sketch, SketchOperator
    >>> @dataclass(frozen=True, eq=False)
    ... class SignMatrix(SketchOperator):
    ...     signs: np.ndarray
    ...     def _multiply(self, A):
    ...         return self.signs.astype(A.dtype) @ A / self.shape[0] ** 0.5
    >>> class Rademacher(Sketch):
    ...     def draw(self, sketch_size, n_rows, rng):
    ...         signs = rng.choice([-1, 1], size=(sketch_size, n_rows))
    ...         return SignMatrix((sketch_size, n_rows), signs)
    >>> S = Rademacher().draw(50, 200, np.random.default_rng(0))
    >>> (S @ np.ones((200, 3), dtype=np.float32)).dtype
    dtype('float32')
    """

    @abstractmethod
    def draw(self, sketch_size: int, n_rows: int, rng: np.random.Generator) -> Any:
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
        S : object with ``shape`` and ``@``
            See the notes of `Sketch` for what is promised of it.
        """


@dataclass(frozen=True, eq=False, repr=False)
class SketchOperator(ABC):
    """A drawn sketch: an immutable matrix that is known by its products.

    A derived class implements ``_multiply(A)``, which is only ever given a float32 or float64
    array of shape (n_rows, n_columns), in any memory layout and perhaps read-only, and returns an
    array of shape (sketch_size, n_columns) in the same dtype.

    Parameters
    ----------
    shape : tuple of int
        (sketch_size, n_rows).

    Examples
    --------
    The example of `Sketch` derives one. Those of the package are made by ``draw``:

    >>> import numpy as np
    >>> from sklearn_sketchgn import Gaussian
    >>> S = Gaussian().draw(20, 100, np.random.default_rng(0))
    >>> S.shape, (S @ np.ones((100, 3))).shape
    ((20, 100), (20, 3))
    """

    shape: tuple[int, int]

    def __matmul__(self, A: Any) -> np.ndarray:
        """Multiply an array from the left.

        Parameters
        ----------
        A : array-like of shape (n_rows, n_columns) or (n_rows,)
            Real numbers. Never written to.

        Returns
        -------
        SA : ndarray of shape (sketch_size, n_columns) or (sketch_size,)
            In the dtype of A if that is float32 or float64, else in float64.

        Raises
        ------
        TypeError
            If A does not hold real numbers.
        ValueError
            If A has another number of rows than S has columns, or is not one- or two-dimensional.
        """
        A = np.asarray(A)
        if A.dtype.kind not in "biuf":
            raise TypeError(f"A must be an array of real numbers, got dtype {A.dtype}.")
        if A.ndim not in (1, 2) or A.shape[0] != self.shape[1]:
            raise ValueError(
                f"A must have shape ({self.shape[1]}, n_columns) or ({self.shape[1]},) to be "
                f"multiplied by a sketch of shape {self.shape}, got shape {A.shape}."
            )
        if A.dtype not in (np.float32, np.float64):
            A = A.astype(np.float64)
        return self._multiply(A) if A.ndim == 2 else self._multiply(A[:, None])[:, 0]

    def to_sparse(self, dtype: Any) -> Any:
        """Return S as a sparse array by rows, for products faster than S @ A; None if it is dense.

        Parameters
        ----------
        dtype : dtype
            Of its entries, float32 or float64.

        Returns
        -------
        S : scipy.sparse.csr_array of shape (sketch_size, n_rows) or None
            The same matrix.
        """
        return None

    def column_blocks(self, dtype: Any) -> Iterator[tuple[int, np.ndarray]] | None:
        """Return S in dense pieces of columns, for a matrix that arrives row by row; or None.

        For a sketch that has to generate what it multiplies with: S @ A for many blocks of
        columns of A would generate it as many times.

        Parameters
        ----------
        dtype : dtype
            Of the entries, float32 or float64.

        Returns
        -------
        pieces : iterator of (int, ndarray of shape (sketch_size, n_columns)) or None
            The number of a piece's first column, and the piece, which is valid until the next one
            is asked for. In order, and together the same matrix.
        """
        return None

    @abstractmethod
    def _multiply(self, A: np.ndarray) -> np.ndarray:
        """Return S A for a float32 or float64 array A of shape (n_rows, n_columns)."""

    def __repr__(self) -> str:
        """Name and shape; the arrays inside are as large as the data."""
        return f"<{type(self).__name__} of shape {self.shape}>"


def check_draw(sketch_size: Any, n_rows: Any, rng: Any) -> tuple[int, int]:
    """Check the arguments of `Sketch.draw` and return the two sizes as Python integers."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng must be a numpy.random.Generator, as numpy.random.default_rng returns, "
            f"got {type(rng).__name__}."
        )
    return check_positive_integer("sketch_size", sketch_size), check_positive_integer(
        "n_rows", n_rows
    )


def check_positive_integer(name: str, value: Any) -> int:
    """Return `value` as a Python integer, or raise an error that calls it `name`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__}).")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}.")
    return int(value)
