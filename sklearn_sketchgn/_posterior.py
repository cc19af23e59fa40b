"""J'J of a network, represented on the Jacobian's rows at a few inducing rows (Nystrom)."""

import numpy as np
from scipy.linalg import eigh

from ._blas import product
from ._tables import subset

# Most inducing rows, and most numbers kept (2 MB): on wide tables there are fewer inducing rows.
_INDUCING, _STORED = 256, 2**18

#: Rows of one block of coordinates.
BLOCK = 512


class Posterior:
    """J'J over the chosen rows, with and without those held out, on the span of inducing rows."""

    def __init__(self, kernel, data, held_out, total, curvature, rng):
        self.kernel = kernel
        inducing = data.take(subset(len(data), _n_inducing(data), rng))
        self.inducing = inducing.unweighted(inducing.rows)
        self.basis = _orthonormal_basis(kernel(self.inducing, self.inducing))
        kept = self._normal(data, curvature, ~held_out)
        other = self._normal(data, curvature, held_out)
        share = total / data.weight
        self.kept = _eigen(share * kept)
        self.whole = _eigen(share * (kept + other))

    def coordinates(self, rows):
        """Return coordinates of j(x) in the orthonormal basis of the span."""
        return product(self.kernel(rows, self.inducing), self.basis)

    def images(self, data):
        """Return the coordinates of every row of a set of samples, and k(x, x)."""
        coordinates, diagonal = [], []
        for block in data.blocks():
            rows = block.unweighted(block.rows)
            coordinates.append(self.coordinates(rows))
            diagonal.append(self.kernel.diagonal(rows))
        return np.concatenate(coordinates), np.concatenate(diagonal)

    def _normal(self, data, curvature, mask):
        """Return J'J over the masked rows, times their curvatures, in the basis's coordinates."""
        index = np.flatnonzero(mask)
        normal = np.zeros((self.basis.shape[1], self.basis.shape[1]))
        for start in range(0, len(index), BLOCK):
            block = index[start : start + BLOCK]
            coordinates = self.coordinates(data.rows[block].astype(np.float64))
            normal += product((coordinates * curvature[block, None]).T, coordinates)
        return normal


def leverage_at(coordinates, eigenvalues, diagonal, ridge):
    """Return j(x)' (J'J + ridge I)^-1 j(x).

    Within the span of the inducing rows by the eigenvalues of J'J, whose eigenvectors the
    coordinates refer to; outside of it, where J'J is taken as zero, by the ridge.
    """
    squares = coordinates**2
    outside = np.maximum(diagonal - squares.sum(axis=1), 0)
    return squares @ (1 / (eigenvalues + ridge)) + outside / ridge


def _n_inducing(data):
    """Return M so that M (M + n_features) numbers stay within the bound on what is kept."""
    half = data.rows.shape[1] / 2
    return int(min(_INDUCING, max(1, np.sqrt(half**2 + _STORED) - half)))


def _orthonormal_basis(gram):
    """Return B with B'KB = I on the range of K."""
    values, vectors = eigh(gram)
    used = values > 1e-10 * max(values[-1], 0)
    return vectors[:, used] / np.sqrt(values[used])


def _eigen(normal):
    values, vectors = eigh(normal) if len(normal) else (np.zeros(0), normal)
    return np.maximum(values, 0), vectors
