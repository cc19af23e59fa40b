"""The structured Jacobian of a two-layer ReLU network on one batch of rows.

The rows arrive scaled by the square root of their weights, and carry the column of ones (scaled
alike) as their last entry, so nothing here knows about weights, damping or scikit-learn.
"""

from math import ceil

import numpy as np
from scipy.linalg import eigvalsh, get_blas_funcs

from ._blas import product

#: Elements of one temporary block: 1 MB in float32, which stays in a core's second-level cache.
BLOCK_ELEMENTS = 2**18

# Entries in a row of a sparse sketch, times features, from which its rows are taken one by one: at
# 300 this was measured as fast as scattered additions of rows of J, at 2300 three times faster.
_WORK_A_ROW = 512


class Jacobian:
    """Jacobian J of the outputs of a two-layer ReLU network, never formed as an array.

    Row ``j * n_samples + i`` is the derivative of output j at sample i with respect to the
    parameters ``[W.ravel(), a.ravel(), b]`` (only ``W.ravel()`` without a trained output layer):

        J[i] = [ (D[i] * a[:, j]) kron X[i],  H[i] in the slots of output j,  1 for b[j] ],
        D = (X W' > 0),   H = D * (X W').

    Every product needs only skinny products with D, because H v = rowsum(X * (D (v W))) and
    (D * X V') 1 = rowsum(X * (D V)).

    Peak memory, in numbers of ``dtype`` and besides D (``n_samples * width``, or a block of it
    when the caller withholds it): a product ``4 * (n_samples + width) * n_outputs * n_features``;
    :meth:`lower_gram` one array of side ``n_samples * n_outputs``, :meth:`lower_normal` one of
    side ``n_parameters``; a sketch twice what it returns; each with at most four blocks of
    ``2 ** 22`` (of one row or one neuron, where that is more).

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Scaled input rows X, the column of ones included.
    hidden_weights : ndarray of shape (width, n_features)
        W.
    output_weights : ndarray of shape (width, n_outputs)
        a.
    train_output : bool
        Whether the output layer (a and its intercept b) is among the parameters; if so the last
        column of ``rows`` multiplies b.
    mask : ndarray of shape (n_samples, width) or None
        D as numbers 0 and 1. None recomputes it from blocks of rows, for half the speed and
        none of the memory.
    activations : ndarray of shape (n_samples, width) or None
        H, where the caller has it. None recomputes it when it is needed.

    Attributes
    ----------
    shape : tuple of int
        ``(n_samples * n_outputs, n_parameters)``.
    dtype : dtype
        float32 or float64; that of ``rows``.
    """

    def __init__(
        self,
        rows,
        hidden_weights,
        output_weights,
        *,
        train_output=True,
        mask=None,
        activations=None,
    ):
        self.rows = rows
        self.hidden_weights = hidden_weights.astype(rows.dtype, copy=False)
        self.output_weights = output_weights.astype(rows.dtype, copy=False)
        self.train_output = train_output
        self._stored_mask = mask
        self._stored_activations = activations
        self.dtype = rows.dtype
        self.n_samples, self.n_features = rows.shape
        self.width, self.n_outputs = output_weights.shape
        n_parameters = self.width * self.n_features
        if train_output:
            n_parameters += self.n_outputs * (self.width + 1)
        self.shape = (self.n_samples * self.n_outputs, n_parameters)

    # Products ------------------------------------------------------------------------------

    def matvec(self, vector):
        """Return J v for a parameter vector v, shape ``(shape[0],)``."""
        m, d, k = self.width, self.n_features, self.n_outputs
        hidden = vector[: m * d].reshape(m, d)
        # One (m, k, d) array carries both layers: J v = rowsum(X * (D (a V + v_a W))).
        combined = self.output_weights[:, :, None] * hidden[:, None, :]
        if self.train_output:
            change = vector[m * d : m * (d + k)].reshape(m, k)
            combined += change[:, :, None] * self.hidden_weights[:, None, :]
        combined = combined.reshape(m, k * d)
        out = np.empty((k, self.n_samples), dtype=self.dtype)
        for block in self._row_blocks():
            X = self.rows[block]
            projected = product(self._mask(block), combined).reshape(len(X), k, d)
            out[:, block] = np.einsum("nkd,nd->kn", projected, X)
        if self.train_output:
            out += vector[m * (d + k) :, None] * self.rows[:, -1]
        return out.ravel()

    def rmatvec(self, vector):
        """Return J' u for a vector u of one number per sample and output."""
        m, d, k = self.width, self.n_features, self.n_outputs
        u = vector.reshape(k, self.n_samples)
        moments = np.zeros((k * d, m), dtype=self.dtype)  # (D' (u_j * X))' for every output j
        for block in self._row_blocks():
            weighted = u[:, block].T[:, :, None] * self.rows[block][:, None, :]
            # Not D' times a skinny matrix: that takes up to twice as long.
            moments += product(weighted.reshape(-1, k * d).T, self._mask(block))
        out = np.empty((1, self.shape[1]), dtype=self.dtype)
        return self._from_moments(moments[None], product(u, self.rows[:, -1]), out)[0]

    # Gram matrix J J' and its sketch over the neurons ------------------------------------------

    def gram(self):
        """Return G = J J' in full, for solvers that want a plain symmetric array."""
        return _mirror(self.lower_gram())

    def lower_gram(self):
        """Return G = J J' with only its lower triangle filled (Fortran order).

        Block (i, j) of G is ``(A_i A_j') * (X X') + [i = j] (H H' + 1)`` with ``A_j = D * a_j``:
        about ``n^2 (m + d)`` multiplications for one output instead of ``n^2 m d``.
        """
        n, k = self.n_samples, self.n_outputs
        gram = np.zeros((n * k, n * k), dtype=self.dtype, order="F")
        for block in self._neuron_blocks(n * k):
            add_outer(gram, self._masked_outputs(slice(None), block))
        return self._finish_gram(gram)

    def sketched_gram(self, neuron_sketch):
        """Return the lower triangle of G with ``A_i A_j'`` replaced by ``A_i S' S A_j'``.

        The sketch S of shape (sketch_size, width) acts on the neurons only; the factor X X' and
        the output layer stay exact, so the cost ``n^2 (sketch_size + d)`` is free of the width.
        """
        n, k = self.n_samples, self.n_outputs
        gram = np.zeros((n * k, n * k), dtype=self.dtype, order="F")
        add_outer(gram, self._sketched_outputs(neuron_sketch))
        return self._finish_gram(gram)

    def sketched_columns(self, neuron_sketch):
        """Return M with M'M = :meth:`sketched_gram`, dense, for a QR of the sketched J'.

        Shape (sketch_size * n_features + n_outputs * (width + 1), n_samples * n_outputs), the
        second term only with a trained output layer.
        """
        n, k = self.n_samples, self.n_outputs
        outputs = self._sketched_outputs(neuron_sketch).reshape(k, n, -1)
        hidden = outputs[:, :, :, None] * self.rows[None, :, None, :]
        columns = hidden.reshape(k * n, -1).T
        if not self.train_output:
            return columns
        activations = np.concatenate([self._activations(), self.rows[:, -1:]], axis=1)
        return np.concatenate([columns, np.kron(np.eye(k, dtype=self.dtype), activations.T)])

    # Normal matrix J'J and the sketch over the samples -----------------------------------------

    def lower_normal(self):
        """Return J'J with only its lower triangle filled (Fortran order)."""
        n_parameters = self.shape[1]
        normal = np.zeros((n_parameters, n_parameters), dtype=self.dtype, order="F")
        # Rows enough for a rank-k update at full speed, few enough not to matter in memory.
        size = max(1, min(self.n_samples, ceil(16 * BLOCK_ELEMENTS / self.shape[1])))
        for start in range(0, self.n_samples, size):
            block = slice(start, start + size)
            for output in range(self.n_outputs):
                add_outer(normal, self._dense_rows(block, output).T)
        return normal

    def sketched_rows(self, sample_sketch):
        """Return S J for S of shape (sketch_size, shape[0]), by blocks of columns of J.

        A sparse S (one that has ``to_sparse``) with many entries a row is taken row by row.
        """
        to_sparse = getattr(sample_sketch, "to_sparse", None)
        sparse = None if to_sparse is None else to_sparse(self.dtype)
        if sparse is not None and sparse.nnz * self.n_features >= _WORK_A_ROW * sparse.shape[0]:
            return self._sparsely_sketched_rows(sparse)
        n, d, k, m = self.n_samples, self.n_features, self.n_outputs, self.width
        dense = np.empty((sample_sketch.shape[0], self.shape[1]), dtype=self.dtype)
        for block in self._neuron_blocks(4 * n * k * d):
            outputs = self._masked_outputs(slice(None), block).reshape(k, n, -1)
            columns = (outputs[:, :, :, None] * self.rows[None, :, None, :]).reshape(n * k, -1)
            dense[:, block.start * d : block.stop * d] = sample_sketch @ columns
            if self.train_output:
                spread = np.kron(np.eye(k, dtype=self.dtype), self._activations(neurons=block))
                sketched = (sample_sketch @ spread).reshape(len(dense), k, -1)
                target = dense[:, m * d : m * (d + k)].reshape(len(dense), m, k)
                target[:, block] = sketched.transpose(0, 2, 1)
        if self.train_output:
            ones = np.kron(np.eye(k, dtype=self.dtype), self.rows[:, -1:])
            dense[:, m * (d + k) :] = sample_sketch @ ones
        return dense

    def _sparsely_sketched_rows(self, sample_sketch):
        """Return S J for a sparse S: row t is J' s_t, a product over the few samples of s_t.

        A skinny product of a fast library for each row of S, in the place of scattered additions
        of rows of J: 2 nnz(S) m d operations, none of J formed.
        """
        m, d, k = self.width, self.n_features, self.n_outputs
        n_rows, edges = sample_sketch.shape[0], sample_sketch.indptr
        dense = np.empty((n_rows, self.shape[1]), dtype=self.dtype)
        size = max(1, ceil(4 * BLOCK_ELEMENTS * n_rows / (m * sample_sketch.nnz)))
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            entries = slice(edges[start], edges[stop])
            output, samples = np.divmod(sample_sketch.indices[entries], self.n_samples)
            rows = np.take(self.rows, samples, axis=0)
            weighted = sample_sketch.data[entries, None] * rows
            if k > 1:
                weighted = (output[:, None] == np.arange(k))[:, :, None] * weighted[:, None, :]
                weighted = weighted.reshape(-1, k * d)
            if self._stored_mask is None:
                mask = (product(rows, self.hidden_weights.T) > 0).astype(self.dtype)
            else:
                # Without the check of the indices this takes a sixth of the time.
                mask = np.take(self._stored_mask, samples, axis=0, mode="clip")
            moments = np.empty((stop - start, k * d, m), dtype=self.dtype)
            intercept = np.empty((stop - start, k), dtype=self.dtype)
            bounds = edges[start : stop + 1] - edges[start]
            for t in range(stop - start):
                own = slice(bounds[t], bounds[t + 1])
                product(weighted[own].T, mask[own], out=moments[t])
                intercept[t] = weighted[own, d - 1 :: d].sum(axis=0)
            self._from_moments(moments, intercept, dense[start:stop])
        return dense

    def stable_rank(self):
        """Return ||X||_F^2 / ||X||_2^2, by how much the factor X stretches a neuron sketch."""
        rows = self.rows.astype(np.float64, copy=False)
        eigenvalues = eigvalsh(product(rows.T, rows))
        return float(eigenvalues.sum() / eigenvalues[-1]) if eigenvalues[-1] > 0 else 1.0

    def flips(self, hidden_weights):
        """Return the fraction of activations that differ under other hidden weights."""
        changed = 0
        size = max(64, BLOCK_ELEMENTS // self.width)
        for start in range(0, self.n_samples, size):
            block = slice(start, start + size)
            active = product(self.rows[block], hidden_weights.T) > 0
            changed += int(np.count_nonzero(active != (self._mask(block) > 0)))
        return changed / (self.n_samples * self.width)

    # Pieces -----------------------------------------------------------------------------------

    def _from_moments(self, moments, intercept, out):
        """Write J'u for several u into the rows of ``out``.

        ``moments`` holds (D' (u_j * X))' of every output j, shape (n_vectors, k * d, m). It serves
        both layers, as H' u_j = rowsum(W * (D' (u_j * X))).
        """
        m, d, k = self.width, self.n_features, self.n_outputs
        moments = moments.reshape(len(out), k, d, m)
        hidden = out[:, : m * d].reshape(len(out), m, d)
        np.einsum("tkdm,mk->tmd", moments, self.output_weights, out=hidden)
        if self.train_output:
            output = out[:, m * d : m * (d + k)].reshape(len(out), m, k)
            np.einsum("tkdm,md->tmk", moments, self.hidden_weights, out=output)
            out[:, m * (d + k) :] = intercept
        return out

    def _row_blocks(self):
        if self._stored_mask is not None:
            return [slice(0, self.n_samples)]
        size = max(64, BLOCK_ELEMENTS // self.width)
        return [slice(i, min(i + size, self.n_samples)) for i in range(0, self.n_samples, size)]

    def _neuron_blocks(self, elements_per_neuron):
        size = max(1, min(self.width, 16 * BLOCK_ELEMENTS // max(1, elements_per_neuron)))
        return [slice(i, min(i + size, self.width)) for i in range(0, self.width, size)]

    def _mask(self, rows, neurons=slice(None)):
        if self._stored_mask is not None:
            return self._stored_mask[rows, neurons]
        active = product(self.rows[rows], self.hidden_weights[neurons].T) > 0
        return active.astype(self.dtype)

    def _activations(self, rows=slice(None), neurons=slice(None)):
        if self._stored_activations is not None:
            return self._stored_activations[rows, neurons]
        hidden = product(self.rows[rows], self.hidden_weights[neurons].T)
        return np.maximum(hidden, 0, out=hidden)

    def _masked_outputs(self, rows, neurons):
        """Return the stacked A_j = D * a_j, shape (n_outputs * n_rows, n_neurons)."""
        mask = self._mask(rows, neurons)
        stacked = mask[None, :, :] * self.output_weights[neurons].T[:, None, :]
        return stacked.reshape(-1, mask.shape[1])

    def _sketched_outputs(self, neuron_sketch):
        """Return the stacked A_j S', shape (n_outputs * n_samples, sketch_size)."""
        n, k = self.n_samples, self.n_outputs
        out = np.empty((k, n, neuron_sketch.shape[0]), dtype=self.dtype)
        size = max(64, 16 * BLOCK_ELEMENTS // (self.width * k))
        for start in range(0, n, size):
            block = slice(start, min(start + size, n))
            sketched = neuron_sketch @ self._masked_outputs(block, slice(None)).T
            out[:, block] = np.asarray(sketched).T.reshape(k, -1, out.shape[2])
        return out.reshape(k * n, -1)

    def _dense_rows(self, rows, output):
        """Return the rows of J of one output over a block of samples, as a dense array."""
        X, k = self.rows[rows], self.n_outputs
        masked = self._mask(rows) * self.output_weights[:, output]
        hidden = (masked[:, :, None] * X[:, None, :]).reshape(len(X), -1)
        if not self.train_output:
            return hidden
        output_part = np.zeros((len(X), self.width, k), dtype=self.dtype)
        output_part[:, :, output] = self._activations(rows)
        intercept = np.zeros((len(X), k), dtype=self.dtype)
        intercept[:, output] = X[:, -1]
        return np.concatenate([hidden, output_part.reshape(len(X), -1), intercept], axis=1)

    def _finish_gram(self, gram):
        """Turn the sum of A_i A_j' into G: multiply by X X', add H H' + 1 on the diagonal."""
        n, k = self.n_samples, self.n_outputs
        size = max(1, 4 * BLOCK_ELEMENTS // n)
        for start in range(0, n, size):
            block = slice(start, start + size)
            # In the layout of the Gram matrix: the product below takes three times as long if not.
            inner = product(self.rows[block], self.rows.T).T
            for i in range(k):
                for j in range(i + 1):
                    columns = slice(j * n + start, j * n + min(start + size, n))
                    gram[i * n : (i + 1) * n, columns] *= inner
        if self.train_output:
            output_layer = gram if k == 1 else np.zeros((n, n), dtype=self.dtype, order="F")
            for neurons in self._neuron_blocks(n):
                add_outer(output_layer, self._activations(neurons=neurons))
            add_outer(output_layer, np.ascontiguousarray(self.rows[:, -1:]))
            for j in range(k if k > 1 else 0):
                gram[j * n : (j + 1) * n, j * n : (j + 1) * n] += output_layer
        return gram


def add_outer(lower, factor):
    """Add B B' to the lower triangle of a Fortran array in place (half of a full product)."""
    # The routine of the accumulator's dtype: with another one it would update a copy.
    (syrk,) = get_blas_funcs(("syrk",), (lower,))
    if factor.flags.f_contiguous and not factor.flags.c_contiguous:
        syrk(1.0, factor, beta=1.0, c=lower, lower=1, overwrite_c=1)
    else:
        transposed = np.ascontiguousarray(factor).T
        syrk(1.0, transposed, beta=1.0, c=lower, trans=1, lower=1, overwrite_c=1)


def _mirror(lower):
    """Fill the upper triangle of a matrix from its lower one, in place."""
    size = 512
    for start in range(0, len(lower), size):
        stop = start + size
        square = lower[start:stop, start:stop]
        square[...] = np.tril(square) + np.tril(square, -1).T
        lower[start:stop, stop:] = lower[stop:, start:stop].T
    return lower
