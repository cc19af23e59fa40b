"""S J for a sketch S of the rows of a structured Jacobian J, which is never held.

Three ways, by what is known of S: its rows in sparse form, its columns in dense pieces, or nothing
but products with it.
"""

from math import ceil

import numpy as np
from scipy.sparse import csr_array, issparse

from ._blas import BLOCK_ELEMENTS, product

# Entries in a row of a sparse sketch, times features, from which its rows are taken one by one: at
# 300 this was measured as fast as scattered additions of rows of J, at 2300 three times faster.
_WORK_A_ROW = 512


def sketch_rows(jacobian, sketch):
    """Return S J for S of shape (sketch_size, n_samples * n_outputs).

    Parameters
    ----------
    jacobian : Jacobian
        J.
    sketch : object with ``shape`` and ``@``
        What ``Sketch.draw`` returned. Its ``to_sparse`` and ``column_blocks`` are used if it has
        them; see `SketchOperator`.
    """
    sparse = optional_form(sketch, "to_sparse", jacobian.dtype)
    if sparse is not None and sparse.nnz * jacobian.n_features >= _WORK_A_ROW * sparse.shape[0]:
        return _by_sparse_rows(jacobian, sparse)
    pieces = optional_form(sketch, "column_blocks", jacobian.dtype)
    if pieces is not None:
        return _by_dense_columns(jacobian, sketch.shape[0], pieces)
    return _by_blocks_of_neurons(jacobian, sketch)


def optional_form(sketch, name, dtype):
    """Return S in a form that not every sketch has, "to_sparse" or "column_blocks", or None."""
    method = getattr(sketch, name, None)
    form = None if method is None else method(dtype)
    return csr_array(form) if issparse(form) else form


def _by_sparse_rows(jacobian, sketch):
    """Return S J for a sparse S: row t is J' s_t, a product over the few samples of s_t.

    A skinny product of a fast library for each row of S, in the place of scattered additions
    of rows of J: 2 nnz(S) m d operations, none of J formed.
    """
    m, d, k = jacobian.width, jacobian.n_features, jacobian.n_outputs
    n_rows, edges = sketch.shape[0], sketch.indptr
    dense = np.empty((n_rows, jacobian.shape[1]), dtype=jacobian.dtype)
    size = max(1, ceil(4 * BLOCK_ELEMENTS * n_rows / (m * sketch.nnz)))
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        entries = slice(edges[start], edges[stop])
        output, samples = np.divmod(sketch.indices[entries], jacobian.n_samples)
        weighted = sketch.data[entries, None] * np.take(jacobian.rows, samples, axis=0)
        if k > 1:
            weighted = (output[:, None] == np.arange(k))[:, :, None] * weighted[:, None, :]
            weighted = weighted.reshape(-1, k * d)
        mask = jacobian.masks_of(samples)
        moments = np.empty((stop - start, k * d, m), dtype=jacobian.dtype)
        intercept = np.empty((stop - start, k), dtype=jacobian.dtype)
        bounds = edges[start : stop + 1] - edges[start]
        for t in range(stop - start):
            own = slice(bounds[t], bounds[t + 1])
            product(weighted[own].T, mask[own], out=moments[t])
            intercept[t] = weighted[own, d - 1 :: d].sum(axis=0)
        jacobian.from_moments(moments, intercept, dense[start:stop])
    return dense


def _by_dense_columns(jacobian, sketch_size, pieces):
    """Return S J as a sum over pieces of columns of S, each times its rows of J."""
    n = jacobian.n_samples
    dense = np.zeros((sketch_size, jacobian.shape[1]), dtype=jacobian.dtype)
    for start, piece in pieces:
        stop = start + piece.shape[1]
        for output in range(start // n, (stop - 1) // n + 1):
            first, last = max(start, output * n), min(stop, (output + 1) * n)
            rows = jacobian.dense_rows(slice(first - output * n, last - output * n), output)
            product(piece[:, first - start : last - start], rows, out=dense, add=True)
    return dense


def _by_blocks_of_neurons(jacobian, sketch):
    """Return S J by products of S with blocks of columns of J, those of some neurons at a time."""
    n, d, k, m = jacobian.n_samples, jacobian.n_features, jacobian.n_outputs, jacobian.width
    n_rows = sketch.shape[0]
    dense = np.empty((n_rows, jacobian.shape[1]), dtype=jacobian.dtype)
    each_output = np.eye(k, dtype=jacobian.dtype)
    for block in jacobian.neuron_blocks(4 * n * k * d):
        outputs = jacobian.masked_outputs(slice(None), block).reshape(k, n, -1)
        columns = (outputs[:, :, :, None] * jacobian.rows[None, :, None, :]).reshape(n * k, -1)
        dense[:, block.start * d : block.stop * d] = sketch @ columns
        if jacobian.train_output:
            spread = np.kron(each_output, jacobian.activations(neurons=block))
            sketched = (sketch @ spread).reshape(n_rows, k, -1)
            target = dense[:, m * d : m * (d + k)].reshape(n_rows, m, k)
            target[:, block] = sketched.transpose(0, 2, 1)
    if jacobian.train_output:
        dense[:, m * (d + k) :] = sketch @ np.kron(each_output, jacobian.rows[:, -1:])
    return dense
