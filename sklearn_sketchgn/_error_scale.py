"""How squared errors vary over the inputs: a log-linear model with a normal prior."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ._blas import product

# Prior standard deviation of the log of the expected square on an average row. 1 and 2 overfit
# where some fifty errors are all there is (coverage of the 90 % interval down to 0.81).
_DEVIATION = 0.5

_MAX_ITER, _HALVINGS, _TOL = 30, 10, 1e-8


def fit_error_scale(coordinates, squares, weights):
    """Return (level, slopes, range) of the model  E[squares] = level exp(g),  g = coordinates w.

    Maximises the likelihood of normal errors of these variances, times a normal prior on w under
    which g has the standard deviation 0.5 on an average row, by Fisher scoring: with F the
    coordinates and a column of ones, the information F'F / 2 does not depend on w.

    What is fitted comes out smaller on its own rows than on others, so the level is raised by
    1 + 2 gamma / sum(weights), gamma being the effective number of parameters: in the likelihood of
    normal errors a parameter of a variance costs that much.

    Parameters
    ----------
    coordinates : ndarray of shape (n_samples, rank)
        Inputs of the model.
    squares : ndarray of shape (n_samples, n_outputs)
        Squared errors; each output has its own model.
    weights : ndarray of shape (n_samples,)
        An integer weight is that many copies of the row.

    Returns
    -------
    level : ndarray of shape (n_outputs,)
        Zero where all squares are zero.
    slopes : ndarray of shape (rank, n_outputs)
        w.
    range : ndarray of shape (2, n_outputs)
        Least and largest g on these rows.
    """
    size = np.einsum("n,nr,nr->", weights, coordinates, coordinates) / weights.sum()
    unit = _DEVIATION / np.sqrt(size) if size > 0 else 0.0
    F = np.hstack([unit * coordinates, np.ones((len(coordinates), 1))])
    prior = np.append(np.ones(coordinates.shape[1]), 0.0)
    information = 0.5 * product(weights * F.T, F)
    factor = cho_factor(information + np.diag(prior))
    gamma = float(np.trace(cho_solve(factor, information)))
    mean = weights @ squares / weights.sum()
    level, parameters = mean.copy(), np.zeros((F.shape[1], squares.shape[1]))
    for j in np.flatnonzero(mean > 0):
        parameters[:, j] = _maximise(F, squares[:, j] / mean[j], weights, prior, factor)
        level[j] *= np.exp(parameters[-1, j]) * (1 + 2 * gamma / weights.sum())
    slopes = unit * parameters[:-1]
    logs = coordinates @ slopes
    return level, slopes, np.array([logs.min(axis=0), logs.max(axis=0)])


def _maximise(F, ratios, weights, prior, factor):
    """Return the parameters of one output, for squares in units of their mean."""
    parameters = np.zeros(F.shape[1])

    def misfit(parameters):
        with np.errstate(over="ignore"):
            logs = product(F, parameters)
            # Nothing is made of an error of 0, whatever the factor: it may be infinite.
            relative = np.multiply(ratios, np.exp(-logs), where=ratios > 0, out=ratios * 0)
        return 0.5 * (weights @ (logs + relative) + prior @ parameters**2), relative

    value, relative = misfit(parameters)
    for _ in range(_MAX_ITER):
        downhill = 0.5 * product(F.T, weights * (relative - 1)) - prior * parameters
        step = cho_solve(factor, downhill)
        for _ in range(_HALVINGS):
            trial, trial_relative = misfit(parameters + step)
            if trial <= value:
                break
            step *= 0.5
        else:
            break
        parameters += step
        fell, value, relative = value - trial, trial, trial_relative
        if fell <= _TOL * weights.sum():
            break
    return parameters
