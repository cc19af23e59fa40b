"""Relevance of columns: those that have proved to matter are penalised less than the others.

The penalty treats the weights of all standardised columns alike, as if each were as likely to
matter. Once a network is trained, how large the weights of a column are tells how much it matters,
and is itself a better guess at how large they ought to be: automatic relevance determination
(MacKay, "Bayesian non-linear modelling for the prediction competition", ASHRAE Transactions 100,
1994; Neal, "Bayesian Learning for Neural Networks", 1996, section 4), as one step of iterative
reweighting (Candes, Wakin and Boyd, Journal of Fourier Analysis and Applications 14, 2008).
"""

import numpy as np

# The least and the largest size that a column is believed to have, in units of the root mean
# square of all that vary (measured while building; docs/design_notes.md).
_LEAST, _LARGEST = 0.05, 3.0


def column_penalty(networks, varying):
    """Return what the penalty is to be multiplied by for the hidden weights of every column.

    With c_j the norm of the weights of column j in all networks together, that is rho / c_j^2,
    where rho leaves the penalty of these networks as it is: sum_j rho / c_j^2 * c_j^2 =
    sum_j c_j^2. Biases, and columns that do not vary, keep the factor 1 and have no say in it.

    Parameters
    ----------
    networks : list of Network
        With a trained output layer, trained in parallel on the same standardised columns.
    varying : ndarray of bool, shape (n_features,)
        Columns that vary in these rows.

    Returns
    -------
    ndarray of shape (n_features + 1,), float64
        With 1 for the column of ones.
    """
    hidden = np.concatenate([network.hidden for network in networks]).astype(np.float64)
    squares = np.einsum("md,md->d", hidden[:, :-1], hidden[:, :-1])[varying]
    mean = squares.mean() if squares.size else 0.0
    penalty = np.ones(hidden.shape[1])
    if 0 < mean < np.inf:
        believed = np.clip(squares / mean, _LEAST**2, _LARGEST**2)
        rho = squares.size / np.sum(squares / mean / believed)
        penalty[:-1][varying] = rho / believed
    return penalty
