"""The kernel of a network's Jacobian between two sets of rows, never forming the Jacobian."""

from dataclasses import dataclass

import numpy as np

from ._blas import product

# Numbers in one block of activations (8 MB): neurons are taken so many at a time.
_BLOCK_ELEMENTS = 2**20


@dataclass(frozen=True)
class TangentKernel:
    """k(x, z) = j(x)' j(z) for the Jacobian j of a two-layer ReLU network at fixed weights.

    With A = D * a and H = relu(X W') as in :class:`~sklearn_sketchgn._jacobian.Jacobian`,

        K = (A A') * (X X') + H H' + 1,

    the first term alone for a network whose output layer is not trained. Where the network has
    several outputs, a is the root mean square of a neuron's output weights: K is then the mean of
    the k kernels of the single outputs, one for all of them.

    Parameters
    ----------
    hidden : ndarray of shape (width, n_features)
        W.
    output : ndarray of shape (width,)
        a.
    train_output : bool
        Whether a and the intercept are among the parameters.
    """

    hidden: np.ndarray
    output: np.ndarray
    train_output: bool

    @classmethod
    def of(cls, network, n_members=1):
        """Return the kernel of a network, in float64.

        In the average of several members the output weights are divided by their number; here
        they are not, so that both layers move as in the members.
        """
        output = n_members * network.output.astype(np.float64)
        hidden = network.hidden.astype(np.float64)
        return cls(hidden, np.sqrt(np.mean(output**2, axis=1)), network.train_output)

    def __call__(self, first, second):
        """Return K between rows (each with its entry for the bias last), shape (n, n')."""
        outputs = np.zeros((len(first), len(second)))
        activations = np.zeros_like(outputs)
        size = max(1, _BLOCK_ELEMENTS // (len(first) + len(second)))
        for start in range(0, len(self.hidden), size):
            neurons = slice(start, start + size)
            H, masked = self._pieces(first, neurons)
            other_H, other_masked = self._pieces(second, neurons)
            outputs += product(masked, other_masked.T)
            if self.train_output:
                activations += product(H, other_H.T)
        outputs *= product(first, second.T)
        if self.train_output:
            outputs += activations + np.outer(first[:, -1], second[:, -1])
        return outputs

    def diagonal(self, rows):
        """Return k(x, x) for every row."""
        out, activations = np.zeros(len(rows)), np.zeros(len(rows))
        size = max(1, _BLOCK_ELEMENTS // len(rows))
        for start in range(0, len(self.hidden), size):
            H, masked = self._pieces(rows, slice(start, start + size))
            out += np.einsum("nm,nm->n", masked, masked)
            activations += np.einsum("nm,nm->n", H, H)
        out *= np.einsum("nd,nd->n", rows, rows)
        return out + activations + rows[:, -1] ** 2 if self.train_output else out

    def _pieces(self, rows, neurons):
        """Return H and A on a block of neurons."""
        projected = product(rows, self.hidden[neurons].T)
        masked = (projected > 0) * self.output[neurons]
        return np.maximum(projected, 0, out=projected), masked
