"""Every strategy and every kind of matrix that the contract tests run over, each named once."""

import numpy as np

from sklearn_sketchgn.sketches import SRHT, CountSketch, Gaussian

SKETCHES = [
    SRHT(),
    CountSketch(),
    CountSketch(nnz_per_column=3),
    CountSketch(nnz_per_column=1),
    Gaussian(),
]

# With one nonzero per column two heavy rows of a matrix can cancel: a subspace is only kept with
# a sketch size quadratic in its dimension.
SUBSPACE_SKETCHES = [SRHT(), CountSketch(), Gaussian()]


def incoherent(n_rows, n_columns, rng):
    """Every row matters about as much as every other."""
    return rng.standard_normal((n_rows, n_columns))


def coherent(n_rows, n_columns, rng):
    """All the weight on as many adjacent rows as there are columns."""
    A = 1e-6 * rng.standard_normal((n_rows, n_columns))
    A[:n_columns] += _orthogonal(n_columns, rng)
    return A


def periodic(n_rows, n_columns, rng):
    """All the weight on as many rows as there are columns, at equal distances.

    Where the distance is odd, a cosine transform of these rows repeats itself up to the sign.
    """
    A = 1e-6 * rng.standard_normal((n_rows, n_columns))
    distance = n_rows // n_columns
    heavy = distance // 2 + distance * np.arange(n_columns)
    A[heavy] += _orthogonal(n_columns, rng)
    return A


def ill_conditioned(n_rows, n_columns, rng):
    """Condition number 1e8, singular vectors in general position."""
    left, _ = np.linalg.qr(rng.standard_normal((n_rows, n_columns)))
    return left * np.logspace(0, -8, n_columns) @ _orthogonal(n_columns, rng)


def badly_scaled(n_rows, n_columns, rng):
    """Columns from 1e-6 to 1e6."""
    return rng.standard_normal((n_rows, n_columns)) * np.logspace(-6, 6, n_columns)


def one_hot(n_rows, n_columns, rng):
    """Indicators of a category; their sum is constant, a single spike to a cosine transform."""
    categories = rng.permutation(np.arange(n_rows) % n_columns)
    return np.eye(n_columns)[categories]


def rank_deficient(n_rows, n_columns, rng):
    """Half the rank that its shape allows: each column occurs twice."""
    half = rng.standard_normal((n_rows, n_columns // 2))
    return np.hstack([half, half])


FULL_RANK_MATRICES = [incoherent, coherent, periodic, ill_conditioned, badly_scaled, one_hot]
MATRICES = [*FULL_RANK_MATRICES, rank_deficient]


def _orthogonal(n, rng):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]
