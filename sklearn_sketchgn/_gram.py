"""The Gram matrix G = J J' of a structured Jacobian J, exact and with sketched neurons.

With A_j = D * a_j block (i, j) of G is  (A_i A_j') * (X X') + [i = j] (H H' + 1):  about
n^2 (m + d) multiplications for one output instead of n^2 m d.
"""

import numpy as np

from ._blas import BLOCK_ELEMENTS, add_outer, product


def lower_gram(jacobian):
    """Return G with only its lower triangle filled (Fortran order)."""
    gram = _zeros(jacobian)
    for neurons in jacobian.neuron_blocks(len(gram)):
        add_outer(gram, jacobian.masked_outputs(slice(None), neurons))
    return _finish(jacobian, gram)


def sketched_gram(jacobian, neuron_sketch):
    """Return the lower triangle of G with A_i A_j' replaced by A_i S' S A_j'.

    The sketch S of shape (sketch_size, width) acts on the neurons only; the factor X X' and the
    output layer stay exact, so the cost n^2 (sketch_size + d) is free of the width.
    """
    gram = _zeros(jacobian)
    add_outer(gram, sketched_outputs(jacobian, neuron_sketch))
    return _finish(jacobian, gram)


def sketched_columns(jacobian, neuron_sketch):
    """Return M with M'M = :func:`sketched_gram`, dense, for a QR of the sketched J'.

    Shape (sketch_size * n_features + n_outputs * (width + 1), n_samples * n_outputs), the second
    term only with a trained output layer.
    """
    n, k = jacobian.n_samples, jacobian.n_outputs
    outputs = sketched_outputs(jacobian, neuron_sketch).reshape(k, n, -1)
    hidden = outputs[:, :, :, None] * jacobian.rows[None, :, None, :]
    columns = hidden.reshape(k * n, -1).T
    if not jacobian.train_output:
        return columns
    activations = np.concatenate([jacobian.activations(), jacobian.rows[:, -1:]], axis=1)
    return np.concatenate([columns, np.kron(np.eye(k, dtype=jacobian.dtype), activations.T)])


def sketched_outputs(jacobian, neuron_sketch):
    """Return the stacked A_j S', shape (n_outputs * n_samples, sketch_size)."""
    n, k = jacobian.n_samples, jacobian.n_outputs
    out = np.empty((k, n, neuron_sketch.shape[0]), dtype=jacobian.dtype)
    size = max(64, 16 * BLOCK_ELEMENTS // (jacobian.width * k))
    for start in range(0, n, size):
        block = slice(start, min(start + size, n))
        sketched = neuron_sketch @ jacobian.masked_outputs(block).T
        out[:, block] = np.asarray(sketched).T.reshape(k, -1, out.shape[2])
    return out.reshape(k * n, -1)


def mirror(lower):
    """Fill the upper triangle of a matrix from its lower one, in place."""
    size = 512
    for start in range(0, len(lower), size):
        stop = start + size
        square = lower[start:stop, start:stop]
        square[...] = np.tril(square) + np.tril(square, -1).T
        lower[start:stop, stop:] = lower[stop:, start:stop].T
    return lower


def _zeros(jacobian):
    side = jacobian.shape[0]
    return np.zeros((side, side), dtype=jacobian.dtype, order="F")


def _finish(jacobian, gram):
    """Turn the sum of A_i A_j' into G: multiply by X X', add H H' + 1 on the diagonal."""
    n, k, rows = jacobian.n_samples, jacobian.n_outputs, jacobian.rows
    size = max(1, 4 * BLOCK_ELEMENTS // n)
    for start in range(0, n, size):
        block = slice(start, start + size)
        # In the layout of the Gram matrix: the product below takes three times as long if not.
        inner = product(rows[block], rows.T).T
        for i in range(k):
            for j in range(i + 1):
                columns = slice(j * n + start, j * n + min(start + size, n))
                gram[i * n : (i + 1) * n, columns] *= inner
    if jacobian.train_output:
        output_layer = gram if k == 1 else np.zeros((n, n), dtype=jacobian.dtype, order="F")
        for neurons in jacobian.neuron_blocks(n):
            add_outer(output_layer, jacobian.activations(neurons=neurons))
        add_outer(output_layer, np.ascontiguousarray(rows[:, -1:]))
        for j in range(k if k > 1 else 0):
            gram[j * n : (j + 1) * n, j * n : (j + 1) * n] += output_layer
    return gram
