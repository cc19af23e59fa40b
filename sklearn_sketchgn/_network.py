"""The two-layer ReLU network in standardised units: initialise, evaluate, linearise."""

from dataclasses import dataclass

import numpy as np

from ._blas import BLOCK_ELEMENTS, product
from ._jacobian import Jacobian

# Size of both layers at the start, times width ** (-1/4): small and balanced, so that features
# are learnt (the paper's initialisation is the lazy regime; docs/algorithm.md).
INITIAL_SCALE = 0.3

# Numbers in the stored mask of one Jacobian (512 MB in float32); beyond it is recomputed. Twice as
# many where the system has a row for each sample, as its matrix is of that order, too: steps of
# 8000 rows and 32,768 neurons take half of the time with it.
_MASK_ELEMENTS = 2**27


@dataclass
class Network:
    """f(x) = a' relu(W x) + b on scaled rows, whose last column is the scaled column of ones.

    Attributes
    ----------
    hidden : ndarray of shape (width, n_features)
        W; its last column is the hidden bias when the output layer is trained.
    output : ndarray of shape (width, n_outputs)
        a.
    intercept : ndarray of shape (n_outputs,)
        b; not used without a trained output layer.
    train_output : bool
        False is the paper's network: a fixed, no bias, no intercept.
    """

    hidden: np.ndarray
    output: np.ndarray
    intercept: np.ndarray
    train_output: bool = True

    @property
    def n_parameters(self):
        """Number of trained parameters."""
        if not self.train_output:
            return self.hidden.size
        return self.hidden.size + self.output.size + self.intercept.size

    def parameters(self):
        """Return the trained parameters [W.ravel(), a.ravel(), b] as one new vector."""
        if not self.train_output:
            return self.hidden.ravel().copy()
        return np.concatenate([self.hidden.ravel(), self.output.ravel(), self.intercept])

    def with_parameters(self, parameters):
        """Return the network of the same shape with other trained parameters."""
        n_hidden, n_output = self.hidden.size, self.output.size
        hidden = parameters[:n_hidden].reshape(self.hidden.shape)
        if not self.train_output:
            return Network(hidden, self.output, self.intercept, False)
        output = parameters[n_hidden : n_hidden + n_output].reshape(self.output.shape)
        return Network(hidden, output, parameters[n_hidden + n_output :], True)

    def penalised(self, column_penalty=None):
        """Return the diagonal of P: how much the square of each parameter counts in the penalty.

        That is 0 for the output intercept, 1 for the output weights, and for the hidden weights
        what ``column_penalty`` has for their column of the rows; None has 1 for all.
        """
        shares = np.ones(self.n_parameters, dtype=self.hidden.dtype)
        if column_penalty is not None:
            shares[: self.hidden.size].reshape(self.hidden.shape)[...] = column_penalty
        if self.train_output:
            shares[-self.intercept.size :] = 0
        return shares

    def astype(self, dtype):
        """Return the network in another dtype."""
        hidden, output, intercept = (
            np.asarray(x, dtype=dtype) for x in (self.hidden, self.output, self.intercept)
        )
        return Network(hidden, output, intercept, self.train_output)

    def evaluate(self, rows):
        """Return f on scaled rows, shape (n_samples, n_outputs), by blocks of rows."""
        out = np.empty((len(rows), self.output.shape[1]), dtype=rows.dtype)
        # Rows may be standardised when they are asked for: no more than 16 MB of wide ones.
        size = max(64, min(2**18 // len(self.hidden), 2**22 // rows.shape[1]))
        for start in range(0, len(rows), size):
            block, values = rows[start : start + size], out[start : start + size]
            hidden = product(block, self.hidden.T)
            values[...] = product(np.maximum(hidden, 0, out=hidden), self.output)
            if self.train_output:
                values += block[:, -1:] * self.intercept
        return out

    def linearise(self, rows, targets):
        """Return the Jacobian and the residual f - y (output by output) on scaled rows."""
        tall = len(rows) * self.output.shape[1] > self.n_parameters
        size, most = len(rows) * len(self.hidden), _MASK_ELEMENTS if tall else 2 * _MASK_ELEMENTS
        if size > most:
            values, mask, activations = self.evaluate(rows), None, None
        else:
            if tall or size <= BLOCK_ELEMENTS:
                hidden = product(rows, self.hidden.T)
            else:  # by neurons, as products with J J' read it
                hidden = product(self.hidden, rows.T).T
            mask = (hidden > 0).astype(rows.dtype)
            activations = np.maximum(hidden, 0, out=hidden)
            values = product(activations, self.output)
            if self.train_output:
                values += rows[:, -1:] * self.intercept
            if size > BLOCK_ELEMENTS:
                activations = None  # it would take as much memory as the mask
        jacobian = Jacobian(
            rows,
            self.hidden,
            self.output,
            train_output=self.train_output,
            mask=mask,
            activations=activations,
        )
        return jacobian, (values - targets).T.ravel()


def initialise(width, n_features, n_outputs, rng, *, train_output=True):
    """Return a small balanced network whose neurons cancel in pairs, so that f starts at 0.

    W[r] is uniform on the sphere and |a| constant, both of size ``0.3 * width ** (-1/4)``; the
    neurons r and r + width // 2 share W[r] and have opposite a. With an odd width the last
    neuron starts with a = 0. The draw does not depend on the data.

    Parameters
    ----------
    width : int
        Number of neurons m.
    n_features : int
        Number of inputs, the column of ones included.
    n_outputs : int
        Number of outputs k; each draws its own signs.
    rng : numpy.random.Generator
        Source of the weights.
    train_output : bool, default=True
        False is the paper's network instead, see :func:`initialise_paper`.
    """
    if not train_output:
        return initialise_paper(width, n_features, n_outputs, rng)
    half = width // 2
    scale = INITIAL_SCALE * width**-0.25
    directions = rng.standard_normal((half + width % 2, n_features))
    directions *= scale / np.linalg.norm(directions, axis=1, keepdims=True)
    signs = scale * rng.choice([-1.0, 1.0], size=(half, n_outputs))
    hidden = np.concatenate([directions[:half], directions[:half], directions[half:]])
    output = np.concatenate([signs, -signs, np.zeros((width % 2, n_outputs))])
    return Network(hidden, output, np.zeros(n_outputs))


def initialise_paper(width, n_features, n_outputs, rng):
    """Return the paper's network: W ~ N(0, 1), a = +-1/sqrt(width) fixed, nothing else.

    Source: van den Brand, Peng, Song, Weinstein (ITCS 2021), section 2: f(W, x) =
    (1/sqrt(m)) sum_r a_r relu(w_r' x) with a_r = +-1 fixed at random and w_r standard normal.
    """
    hidden = rng.standard_normal((width, n_features))
    output = rng.choice([-1.0, 1.0], size=(width, n_outputs)) / np.sqrt(width)
    return Network(hidden, output, np.zeros(n_outputs), train_output=False)
