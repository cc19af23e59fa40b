"""The structured Jacobian of a two-layer ReLU network on one batch of rows.

The rows arrive scaled by the square root of their weights, and carry the column of ones (scaled
alike) as their last entry, so nothing here knows about weights, damping or scikit-learn.
"""

from math import ceil

import numpy as np
from scipy.linalg import eigvalsh

from ._blas import BLOCK_ELEMENTS, add_outer, product
from ._gram import lower_gram, mirror, sketched_columns, sketched_gram
from ._row_sketch import sketch_rows

# Rows or neurons of a block, at least: fewer make a product slow.
_LEAST_BLOCK = 32


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
        D as numbers 0 and 1: in C order for products with J'J, by neurons (Fortran order) for
        those with J J'. None recomputes blocks of it, for half the speed and none of the memory.
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
        #: Whether all outputs share the activations of a trained output layer, unweighted.
        self.outputs_alike = train_output

    # Products ------------------------------------------------------------------------------

    def matvec(self, vector):
        """Return J v for a parameter vector v, shape ``(shape[0],)``."""
        vector = _flat(vector, self.shape[1])
        combined = self._combine(*self._layers(vector))
        parts = [
            self._image(self._mask(block), block, combined, vector) for block in self._row_blocks()
        ]
        return self._scale(parts[0] if len(parts) == 1 else np.hstack(parts)).ravel()

    def rmatvec(self, vector):
        """Return J' u for a vector u of one number per sample and output."""
        vector = _flat(vector, self.shape[0])
        u = self._scale(vector.reshape(self.n_outputs, self.n_samples))
        moments = np.zeros((self.n_outputs * self.n_features, self.width), dtype=self.dtype)
        for block in self._row_blocks():
            self._add_moments(moments, self._mask(block), block, u)
        return self._pull(moments, u)

    def normal_product(self, vector):
        """Return J'J v; D is read once, by blocks of rows that stay in the cache."""
        if not self._is_read_by("rows"):
            return self.rmatvec(self.matvec(vector))
        combined = self._combine(*self._layers(vector))
        u = np.empty((self.n_outputs, self.n_samples), dtype=self.dtype)
        moments = np.zeros((self.n_outputs * self.n_features, self.width), dtype=self.dtype)
        for block in _blocks(self.n_samples, self.width):
            mask = self._mask(block)
            image = self._scale(self._image(mask, block, combined, vector), block)
            u[:, block] = self._scale(image, block)  # once for J and once for J'
            self._add_moments(moments, mask, block, u)
        return self._pull(moments, u)

    def gram_product(self, vector):
        """Return J J' u; D is read once, by blocks of neurons that stay in the cache."""
        if not self._is_read_by("neurons"):
            return self.matvec(self.rmatvec(vector))
        n, d, k = self.n_samples, self.n_features, self.n_outputs
        u = self._scale(vector.reshape(k, n))
        weighted = self._weigh(u)
        projected = np.zeros((n, k * d), dtype=self.dtype)
        for neurons in _blocks(self.width, n):
            mask = self._mask(slice(None), neurons)
            moments = product(mask.T, weighted).reshape(-1, k, d)
            hidden = np.einsum("mkd,mk->md", moments, self.output_weights[neurons])
            change = None
            if self.train_output:
                change = np.einsum("mkd,md->mk", moments, self.hidden_weights[neurons])
            product(mask, self._combine(hidden, change, neurons), out=projected, add=True)
        return self._scale(self._row_sums(projected, product(u, self.rows[:, -1]))).ravel()

    # Matrices ----------------------------------------------------------------------------------

    def gram(self):
        """Return G = J J' in full, for solvers that want a plain symmetric array."""
        return mirror(self.lower_gram())

    def lower_gram(self):
        """Return G = J J' with only its lower triangle filled (Fortran order); see ``_gram.py``."""
        return lower_gram(self)

    def sketched_gram(self, neuron_sketch):
        """Return the lower triangle of G for sketched neurons; see ``_gram.py``."""
        return sketched_gram(self, neuron_sketch)

    def sketched_columns(self, neuron_sketch):
        """Return M with M'M = :meth:`sketched_gram`, dense, for a QR of the sketched J'."""
        return sketched_columns(self, neuron_sketch)

    def lower_normal(self):
        """Return J'J with only its lower triangle filled (Fortran order)."""
        n_parameters = self.shape[1]
        normal = np.zeros((n_parameters, n_parameters), dtype=self.dtype, order="F")
        # Rows enough for a rank-k update at full speed, few enough not to matter in memory.
        size = max(1, min(self.n_samples, ceil(16 * BLOCK_ELEMENTS / self.shape[1])))
        for start in range(0, self.n_samples, size):
            block = slice(start, start + size)
            for output in range(self.n_outputs):
                add_outer(normal, self.dense_rows(block, output).T)
        return normal

    def sketched_rows(self, sample_sketch):
        """Return S J for S of shape (sketch_size, shape[0]); see ``_row_sketch.py``."""
        return sketch_rows(self, sample_sketch)

    def stable_rank(self):
        """Return ||X||_F^2 / ||X||_2^2, by how much the factor X stretches a neuron sketch."""
        rows = self.rows.astype(np.float64, copy=False)
        # The nonzero ones are those of the smaller product.
        wide = rows.shape[1] > len(rows)
        eigenvalues = eigvalsh(product(rows, rows.T) if wide else product(rows.T, rows))
        return float(eigenvalues.sum() / eigenvalues[-1]) if eigenvalues[-1] > 0 else 1.0

    def flips(self, hidden_weights):
        """Return the fraction of activations that differ under other hidden weights."""
        changed, weights = 0, hidden_weights.astype(self.dtype, copy=False)
        if self._is_read_by("rows"):
            blocks = [(rows, None) for rows in _blocks(self.n_samples, self.width)]
        else:
            blocks = [(slice(None), neurons) for neurons in _blocks(self.width, self.n_samples)]
        for block in blocks:
            active = self._activity(weights, *block)
            changed += int(np.count_nonzero(active != (self._mask(*block) > 0)))
        return changed / (self.n_samples * self.width)

    # Pieces -----------------------------------------------------------------------------------

    def _scale(self, values, block=slice(None)):
        """Return what J has one number a row and output of, times the factors of its rows."""
        return values

    def _is_read_by(self, axis):
        """Return whether blocks of D along an axis lie together in memory."""
        mask = self._stored_mask
        return mask is None or (
            mask.flags.c_contiguous if axis == "rows" else mask.flags.f_contiguous
        )

    def _layers(self, vector):
        """Return what a parameter vector holds for W and for a, None if a is not trained."""
        m, d, k = self.width, self.n_features, self.n_outputs
        hidden = vector[: m * d].reshape(m, d)
        return hidden, vector[m * d : m * (d + k)].reshape(m, k) if self.train_output else None

    def _combine(self, hidden, change, neurons=slice(None)):
        """Return a V + v_a W for V and v_a of both layers, shape (n_neurons, k * d).

        One array carries both, as  J v = rowsum(X * (D (a V + v_a W))).
        """
        combined = self.output_weights[neurons, :, None] * hidden[:, None, :]
        if change is not None:
            combined += change[:, :, None] * self.hidden_weights[neurons, None, :]
        return combined.reshape(len(hidden), -1)

    def _image(self, mask, block, combined, vector):
        """Return the rows of J v of a block of samples, shape (n_outputs, n_rows)."""
        if mask.flags.c_contiguous:
            projected = product(mask, combined)
        else:  # two to three times as fast as the whole product
            projected = np.zeros((len(mask), combined.shape[1]), dtype=self.dtype)
            for neurons in _blocks(self.width, len(mask)):
                product(mask[:, neurons], combined[neurons], out=projected, add=True)
        return self._row_sums(projected, vector[-self.n_outputs :], block)

    def _add_moments(self, moments, mask, block, u):
        """Add (D' (u_j * X))' of a block of samples, for every output j, shape (k * d, m)."""
        # Not D' times a skinny matrix: that takes up to twice as long.
        product(self._weigh(u[:, block], block).T, mask, out=moments, add=True)

    def _weigh(self, u, block=slice(None)):
        """Return u_j * X side by side for every output j, shape (n_rows, k * d)."""
        weighted = u.T[:, :, None] * self.rows[block][:, None, :]
        return weighted.reshape(len(weighted), -1)

    def _row_sums(self, projected, intercept, block=slice(None)):
        """Return rowsum(X * projected_j) + b_j for every output j, shape (n_outputs, n_rows)."""
        X = self.rows[block]
        sums = np.einsum("nkd,nd->kn", projected.reshape(len(X), self.n_outputs, -1), X)
        if self.train_output:
            sums += intercept[:, None] * X[:, -1]
        return sums

    def _pull(self, moments, u):
        """Return J'u from the moments of u."""
        out = np.empty((1, self.shape[1]), dtype=self.dtype)
        return self.from_moments(moments[None], product(u, self.rows[:, -1]), out)[0]

    def from_moments(self, moments, intercept, out):
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
        return _blocks(self.n_samples, self.width)

    def neuron_blocks(self, elements_per_neuron):
        """Return slices of the neurons, of so many elements each, for blocks of 16 MB."""
        size = max(1, min(self.width, 16 * BLOCK_ELEMENTS // max(1, elements_per_neuron)))
        return [slice(i, min(i + size, self.width)) for i in range(0, self.width, size)]

    def _mask(self, rows, neurons=None):
        """Return a block of D: by rows (C order) with all neurons (None), else by neurons."""
        if self._stored_mask is not None:
            return self._stored_mask[rows, slice(None) if neurons is None else neurons]
        return self._activity(self.hidden_weights, rows, neurons).astype(self.dtype)

    def _activity(self, hidden_weights, rows, neurons):
        """Return X W' > 0 on a block, in the order of :meth:`_mask`."""
        if neurons is None:
            return product(self.rows[rows], hidden_weights.T) > 0
        return product(hidden_weights[neurons], self.rows[rows].T).T > 0

    def masks_of(self, samples):
        """Return the rows of D of samples given by their numbers, as an array of its own."""
        if self._stored_mask is None:
            return self._mask(samples)
        # Without the check of the indices this takes a sixth of the time.
        return np.take(self._stored_mask, samples, axis=0, mode="clip")

    def activations(self, rows=slice(None), neurons=slice(None)):
        """Return a block of H."""
        if self._stored_activations is not None:
            return self._stored_activations[rows, neurons]
        hidden = product(self.rows[rows], self.hidden_weights[neurons].T)
        return np.maximum(hidden, 0, out=hidden)

    def masked_outputs(self, rows, neurons=None):
        """Return the stacked A_j = D * a_j, shape (n_outputs * n_rows, n_neurons)."""
        mask = self._mask(rows, neurons)
        outputs = self.output_weights if neurons is None else self.output_weights[neurons]
        stacked = mask[None, :, :] * outputs.T[:, None, :]
        return stacked.reshape(-1, mask.shape[1])

    def hidden_rows(self, rows):
        """Return the rows Z[i] = D[i] kron X[i] of a block: the hidden layer's for a = 1."""
        X = self.rows[rows]
        return (self._mask(rows)[:, :, None] * X[:, None, :]).reshape(len(X), -1)

    def dense_rows(self, rows, output):
        """Return the rows of J of one output over a block of samples, as a dense array."""
        X, k = self.rows[rows], self.n_outputs
        masked = self._mask(rows) * self.output_weights[:, output]
        hidden = (masked[:, :, None] * X[:, None, :]).reshape(len(X), -1)
        if not self.train_output:
            return hidden
        output_part = np.zeros((len(X), self.width, k), dtype=self.dtype)
        output_part[:, :, output] = self.activations(rows)
        intercept = np.zeros((len(X), k), dtype=self.dtype)
        intercept[:, output] = X[:, -1]
        return np.concatenate([hidden, output_part.reshape(len(X), -1), intercept], axis=1)


def _flat(values, size):
    """Return so many numbers as a vector; scipy's linear operators may pass them as a column."""
    vector = np.asarray(values).reshape(-1)
    if len(vector) != size:
        raise ValueError(f"Expected a vector of {size} numbers; got {len(vector)}.")
    return vector


def _blocks(length, elements):
    """Return slices of an axis with so many elements at each index: blocks that fit in a cache."""
    size = max(_LEAST_BLOCK, BLOCK_ELEMENTS // elements)
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
