"""Every strategy and every kind of matrix that the contract tests run over, each named once."""

from dataclasses import astuple, dataclass

import numpy as np

from sklearn_sketchgn._moments import fit_moments
from sklearn_sketchgn._scaling import scaling_of
from sklearn_sketchgn.sketches import SRHT, CountSketch, Gaussian
from sklearn_sketchgn.solvers import CG, Auto, Direct

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

SOLVERS = [Auto(), CG(), Direct()]

LOSSES = ["squared_error", "poisson", "huber"]


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


# Networks and tables behind a structured Jacobian -------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """Sizes of a Jacobian; the last of the features is the column of ones."""

    n_samples: int
    n_features: int
    width: int
    n_outputs: int

    def __str__(self):
        return "n{}d{}m{}k{}".format(*astuple(self))


WIDE_SHAPES = [Shape(24, 6, 64, 1), Shape(20, 6, 200, 3), Shape(16, 3, 12, 2)]
TALL_SHAPES = [Shape(300, 4, 6, 1), Shape(150, 4, 5, 3)]
SHAPES = [*WIDE_SHAPES, *TALL_SHAPES]


def ordinary_table(shape, rng):
    """Standardised columns of about the same size."""
    return rng.standard_normal((shape.n_samples, shape.n_features - 1))


def heavy_rows_table(shape, rng):
    """A few rows a thousand times as large as the others."""
    X = ordinary_table(shape, rng)
    X[:: max(1, len(X) // 5)] *= 1e3
    return X


def collinear_table(shape, rng):
    """Columns that differ by a thousandth: a stable rank near 2 whatever the number of columns."""
    common = rng.standard_normal((shape.n_samples, 1))
    return common + 1e-3 * ordinary_table(shape, rng)


def one_hot_table(shape, rng):
    """Indicators of a category."""
    return one_hot(shape.n_samples, shape.n_features - 1, rng)


def badly_scaled_table(shape, rng):
    """Columns from 1e-3 to 1e3."""
    return ordinary_table(shape, rng) * np.logspace(-3, 3, shape.n_features - 1)


def duplicated_table(shape, rng):
    """Every row occurs twice: J has half the rank that its shape allows."""
    X = ordinary_table(shape, rng)
    half = len(X) // 2
    X[half : 2 * half] = X[:half]
    return X


TABLES = [
    ordinary_table,
    heavy_rows_table,
    collinear_table,
    one_hot_table,
    badly_scaled_table,
    duplicated_table,
]
TABLES_OF_CLEAR_RANK = [ordinary_table, heavy_rows_table, one_hot_table, duplicated_table]


def network_arrays(table, shape, rng, *, antisymmetric=False, dtype=np.float64):
    """Rows with their column of ones, hidden weights and output weights of a random network.

    Antisymmetric pairs share their hidden weights and have opposite output weights.
    """
    n, d, m, k = astuple(shape)
    rows = np.concatenate([table(shape, rng), np.ones((n, 1))], axis=1)
    hidden, output = rng.standard_normal((m, d)), rng.standard_normal((m, k))
    if antisymmetric:
        hidden[m // 2 : 2 * (m // 2)] = hidden[: m // 2]
        output[m // 2 : 2 * (m // 2)] = -output[: m // 2]
    return tuple(np.ascontiguousarray(x, dtype=dtype) for x in (rows, hidden, output))


def fit_scaling(X, y, sample_weight, *, scale_inputs=True):
    """Return the weighted scaling of a table, as a fit computes it."""
    x, y = fit_moments(X, sample_weight), fit_moments(y, sample_weight)
    return scaling_of(x, y, scale_inputs=scale_inputs)


def arrays_of(scaling):
    """Return the arrays of a scaling without ramps and bounds by their names."""
    arrays = dict(vars(scaling))
    assert arrays.pop("ramps") is arrays.pop("bounds") is None
    return arrays
