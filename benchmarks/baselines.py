"""The other rows of the paper's Table 1, each a step on the paper's network, written plainly.

The network is f(x) = a' relu(W x) with a = +-1 / sqrt(m) fixed; W is trained on the loss
L(W) = 1/2 ||f(X) - y||^2. With the residual r = f - y and the Jacobian J of r with respect to W,
as a dense array, the gradient is J'r. Every step returns the new W and what the next step needs.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

# A round-off ridge, times the mean of the diagonal: J J' of nearly equal rows is singular in
# float32. The papers assume a positive smallest eigenvalue.
_RIDGE = 1e-6


def residual(hidden, output, rows, targets):
    """Return r, shape (n_rows,)."""
    return np.maximum(rows @ hidden.T, 0) @ output - targets


def gradient(hidden, output, rows, targets):
    """Return J'r in the shape of W: the cost of one forward and one backward pass."""
    projected = rows @ hidden.T
    r = np.maximum(projected, 0) @ output - targets
    return ((projected > 0) * r[:, None] * output).T @ rows


def dense_jacobian(hidden, output, rows):
    """Return J, shape (n_rows, m d): row i is (a * (W x_i > 0)) kron x_i."""
    masked = (rows @ hidden.T > 0) * output
    return (masked[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)


def largest_curvature(hidden, output, rows, n_iter=20):
    """Return the largest eigenvalue of J J', by power iteration from a vector of ones."""
    masked = (rows @ hidden.T > 0) * output
    u = np.ones(len(rows), dtype=rows.dtype)
    for _ in range(n_iter):
        u /= np.linalg.norm(u)
        v = (masked * u[:, None]).T @ rows  # J'u in the shape of W
        u = (masked * (rows @ v.T)).sum(axis=1)
    return float(np.linalg.norm(u))


def gradient_descent(hidden, output, rows, targets, state=None):
    """W <- W - J'r / lambda_max(J J' at the start): the longest step that is safe at first.

    Du, Zhai, Poczos, Singh: Gradient descent provably optimizes over-parameterized neural
    networks, ICLR 2019.
    """
    if state is None:
        state = 1.0 / largest_curvature(hidden, output, rows)
    return hidden - state * gradient(hidden, output, rows, targets), state


def adaptive_gradient_descent(hidden, output, rows, targets, state=None):
    """W <- W - (eta / b) J'r, where b^2 grows by c sqrt(n) ||r|| before every step (AdaLoss).

    Our choice of its constants: eta = 2 / lambda_max(J J'), twice the length of `gradient_descent`,
    b = 1 at first, and c such that the first growth is n^(-1/2), so that sqrt(n) steps without
    progress shorten the next ones to a stable length.

    Wu, Du, Ward: Global convergence of adaptive gradient methods for an over-parameterized neural
    network, arXiv:1902.07111, Algorithm 1.
    """
    size = np.sqrt(len(rows)) * float(np.linalg.norm(residual(hidden, output, rows, targets)))
    if state is None:
        state = {
            "eta": 2.0 / largest_curvature(hidden, output, rows),
            "growth": len(rows) ** -0.5 / size,
            "b_squared": 1.0,
        }
    state = state | {"b_squared": state["b_squared"] + state["growth"] * size}
    length = state["eta"] / state["b_squared"] ** 0.5
    return hidden - length * gradient(hidden, output, rows, targets), state


def _gram_solve(jacobian, right):
    gram = jacobian @ jacobian.T
    diagonal = np.einsum("ii->i", gram)
    diagonal += _RIDGE * diagonal.mean()
    return cho_solve(cho_factor(gram, lower=True, overwrite_a=True), right)


def gram_gauss_newton(hidden, output, rows, targets, state=None):
    """W <- W - J'(J J')^-1 r, with J as a dense array: n^2 m d operations and n m d numbers.

    Cai, Gao, Hou, Chen, Wang, He, Zhang, Wang: Gram-Gauss-Newton method, arXiv:1905.11675,
    equation (10) without damping.
    """
    jacobian = dense_jacobian(hidden, output, rows)
    step = jacobian.T @ _gram_solve(jacobian, residual(hidden, output, rows, targets))
    return hidden - step.reshape(hidden.shape), None


def batch_gram_gauss_newton(hidden, output, rows, targets, state=None, batch=128):
    """One epoch of `gram_gauss_newton` on batches of rows, drawn anew from a fixed seed.

    Cai et al., as above, Algorithm 1 (mini-batch Gram-Gauss-Newton).
    """
    rng = np.random.default_rng(0) if state is None else state
    order = rng.permutation(len(rows))
    n_batches = -(-len(rows) // batch)
    for index in range(n_batches):
        chosen = order[index::n_batches]
        hidden, _ = gram_gauss_newton(hidden, output, rows[chosen], targets[chosen])
    return hidden, rng


def natural_gradient_descent(hidden, output, rows, targets, state=None, length=0.5):
    """W <- W - eta F^+ J'r with the Fisher matrix F = J'J and eta = 1/2.

    For the squared error the direction is that of `gram_gauss_newton`, J'(J J')^-1 r; the theorem
    asks for a length below one. F itself has side m d, so it is not formed: F^+ J' is the
    pseudo-inverse of J, taken by a QR of J' without squaring its condition number.

    Zhang, Martens, Grosse: Fast convergence of natural gradient descent for over-parameterized
    neural networks, NeurIPS 2019, equation (6).
    """
    jacobian = dense_jacobian(hidden, output, rows)
    r = residual(hidden, output, rows, targets)
    q, upper = np.linalg.qr(jacobian.T)  # J' = Q R, so J^+ r = Q R'^-1 r
    step = q @ np.linalg.solve(upper.T, r)
    return hidden - length * step.reshape(hidden.shape), None


BASELINES = {
    "gradient descent": gradient_descent,
    "adaptive gradient descent": adaptive_gradient_descent,
    "Gram-Gauss-Newton": gram_gauss_newton,
    "batch Gram-Gauss-Newton": batch_gram_gauss_newton,
    "natural gradient descent": natural_gradient_descent,
}
