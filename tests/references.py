"""Dense float64 oracles, written from the formulas and sharing no code with the package."""

import numpy as np


def forward(rows, hidden_weights, output_weights, intercept=None):
    """f(x) = a' relu(W x) + b x_last, sample by sample; no intercept for the paper's network."""
    out = np.zeros((len(rows), output_weights.shape[1]))
    for i, x in enumerate(np.asarray(rows, dtype=np.float64)):
        for r, w in enumerate(np.asarray(hidden_weights, dtype=np.float64)):
            activation = w @ x
            if activation > 0:
                out[i] += activation * output_weights[r]
        if intercept is not None:
            out[i] += intercept * x[-1]
    return out


def jacobian(rows, hidden_weights, output_weights, *, train_output=True):
    """Row j * n + i is the derivative of output j at sample i by [W.ravel(), a.ravel(), b]."""
    X, W, a = (np.asarray(x, dtype=np.float64) for x in (rows, hidden_weights, output_weights))
    (n, d), (m, k) = X.shape, a.shape
    J = np.zeros((n * k, m * d + (m * k + k if train_output else 0)))
    for j in range(k):
        for i in range(n):
            row = J[j * n + i]
            for r in range(m):
                activation = W[r] @ X[i]
                if activation <= 0:
                    continue
                row[r * d : (r + 1) * d] = a[r, j] * X[i]
                if train_output:
                    row[m * d + r * k + j] = activation
            if train_output:
                row[m * d + m * k + j] = X[i, -1]
    return J


def damped_least_squares(J, rhs, ridge):
    """Minimise ||J q - rhs||^2 + ridge ||q||^2 for ridge > 0, singular direction by direction.

    Equivalent to least squares on the stacked matrix [J; sqrt(ridge) I], but affordable where J
    has many columns; nothing is squared.
    """
    left, values, right = np.linalg.svd(np.asarray(J, dtype=np.float64), full_matrices=False)
    return right.T @ (values / (values**2 + ridge) * (left.T @ rhs))


def mean_and_deviation(table, weights):
    """Weighted mean and standard deviation of every column, in extended precision."""
    table, weights = table.astype(np.longdouble), weights.astype(np.longdouble)
    weights = weights / weights.sum()
    mean = weights @ table
    return mean, np.sqrt(weights @ (table - mean) ** 2)


def expected_iterations(oversampling, tol):
    """Conjugate gradient's count for condition number ((1 + e) / (1 - e))^2, e^-2 = oversampling.

    The error shrinks by e = sqrt(n / s) an iteration: k = ln(2 / tol) / ln sqrt(s / n).
    """
    return np.log(2 / tol) / np.log(np.sqrt(oversampling))
