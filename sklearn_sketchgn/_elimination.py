"""Solve with J'J + ridge I for several outputs: the output layer is eliminated.

For the squared error all outputs share their activations. With Z[i] = D[i] kron X[i] and G = [H, x]
for the column x of ones, the blocks of J'J are

    hidden, hidden      (Z'Z) * (a a' kron 1 1'),
    hidden, output j    (a_j kron 1) * Z'G,
    output i, output j  [i = j] G'G,

so that none of the three products depends on how many outputs there are, nor does the side of what
is left of the hidden layer, the Schur complement

    (Z'Z - Z'G (G'G + ridge I)^-1 G'Z) * (a a' kron 1 1') + ridge I.

It is what a Cholesky factorisation of J'J + ridge I, the output layer first, leaves for the hidden
layer, and as stable.
"""

import numpy as np
from scipy.linalg import get_lapack_funcs

from ._blas import BLOCK_ELEMENTS, add_outer, product


def eliminates(jacobian):
    """Return whether a direct solution is cheaper with the output layer eliminated."""
    if not getattr(jacobian, "outputs_alike", False) or jacobian.n_outputs == 1:
        return False
    m, (rows, columns) = jacobian.width, jacobian.shape
    dual = dual_operations(rows, m)
    primal = rows * columns**2 + columns**3 / 3
    return sum(operations(jacobian.n_samples, jacobian.n_features, m)) < min(dual, primal)


def dual_operations(n_rows, width):
    """Return the multiplications of a direct step with J J' of so many rows and outputs."""
    return n_rows**2 * width + n_rows**3 / 3


def operations(n_samples, n_features, width):
    """Return the multiplications that form the Schur complement, and those that factor it."""
    side = width * n_features
    return side**2 * (n_samples + width) + 2 * n_samples * side * width, side**3 / 3


class Elimination:
    """J'J of a Jacobian in the three products that all outputs share; solves for any ridge > 0.

    Two matrices of side ``width * n_features`` are all the memory it takes, beside ``width``
    columns of that length. On the same Jacobian another right-hand side costs no factorisation.

    Parameters
    ----------
    jacobian : Jacobian
        With ``outputs_alike``: rows are not weighted by output.
    """

    def __init__(self, jacobian):
        self.jacobian = jacobian
        m, d, dtype = jacobian.width, jacobian.n_features, jacobian.dtype
        self._hidden = np.zeros((m * d, m * d), dtype=dtype, order="F")
        self._output = np.zeros((m + 1, m + 1), dtype=dtype, order="F")
        self._coupling = np.zeros((m * d, m + 1), dtype=dtype)
        size = max(64, 16 * BLOCK_ELEMENTS // (m * d))
        for start in range(0, jacobian.n_samples, size):
            rows = slice(start, start + size)
            Z, H = jacobian.hidden_rows(rows), jacobian.activations(rows)
            G = np.concatenate([H, jacobian.rows[rows, -1:]], axis=1)
            add_outer(self._hidden, Z.T)
            add_outer(self._output, G.T)
            product(Z.T, G, out=self._coupling, add=True)
        self._factors, self._ridge = None, np.nan
        #: What a caller solves with where this fails.
        self.whole = None

    def solve(self, right, ridge):
        """Return (J'J + ridge I)^-1 v, or None if Cholesky fails."""
        if self._ridge != ridge:
            self._factors, self._ridge = self._factorise(ridge), ridge
        if self._factors is None:
            return None
        outer, inner = self._factors
        (potrs,) = get_lapack_funcs(("potrs",), (outer,))
        jacobian = self.jacobian
        m, d, k, a = (
            jacobian.width,
            jacobian.n_features,
            jacobian.n_outputs,
            jacobian.output_weights,
        )
        hidden, output = right[: m * d], right[m * d :].reshape(m + 1, k)
        # Elimination, column by column of the output layer: of one output each.
        pulled = product(self._coupling, potrs(outer, output, lower=True)[0])
        pulled = np.einsum("mdk,mk->md", pulled.reshape(m, d, k), a)
        step = potrs(inner, hidden - pulled.ravel(), lower=True)[0]
        pushed = (step.reshape(m, d, 1) * a[:, None, :]).reshape(m * d, k)
        output = potrs(outer, output - product(self._coupling.T, pushed), lower=True)[0]
        return np.concatenate([step, output.ravel()])

    def _factorise(self, ridge):
        """Return the Cholesky factors of the output layer and of the Schur complement, or None."""
        a, dtype = self.jacobian.output_weights, self._hidden.dtype
        m, d = self.jacobian.width, self.jacobian.n_features
        outer = self._output.copy(order="F")
        np.einsum("ii->i", outer)[...] += dtype.type(ridge)
        potrf, trtrs = get_lapack_funcs(("potrf", "trtrs"), (outer,))
        outer, failed = potrf(outer, lower=True, overwrite_a=True)
        # Not every LAPACK takes NaN for a failure.
        if failed or not np.isfinite(np.einsum("ii->i", outer)).all():
            return None
        taken = trtrs(outer, self._coupling.T, lower=True)[0]
        inner = self._hidden.copy(order="F")
        add_outer(inner, taken.T, times=-1.0)
        by_neuron = inner.T.reshape(m, d, m, d)
        by_neuron *= product(a, a.T)[:, None, :, None]
        np.einsum("ii->i", inner)[...] += dtype.type(ridge)
        inner, failed = potrf(inner, lower=True, clean=False, overwrite_a=True)
        if failed or not np.isfinite(np.einsum("ii->i", inner)).all():
            return None
        return outer, inner
